"""Shocks of random accounts against the paper exchange, which shares no line of arithmetic: it is set to the shocked
marks, and whom it liquidates there is the truth."""

from random import Random

import pytest

from benchmarks.oracle_cases import ACCOUNT, BracketsBySymbol, RandomAccount, as_snapshot, random_account, real_brackets
from monitor.paper.book import EventKind
from monitor.risk.shock import PRECISION, factor_of
from monitor.risk.stress import Shock, outcome
from tests.builders import needs_shared

HAIR = 100 * PRECISION


def a_shock(rng: Random, account: RandomAccount) -> Shock:
    """Down or up, each coin by a figure of its own."""
    sign, coins = rng.choice((-1, 1)), sorted({contract.base for contract in account.contracts})
    moves = {coin.upper(): sign * rng.uniform(0.0, 0.7) * rng.choice((1, 1, 1, -0.3)) for coin in coins}
    return Shock(name="random", moves=moves, others=0.0)


def liquidated_by_engine(account: RandomAccount, shock: Shock, share: float) -> set[str]:
    """The pools of a fresh exchange that lose a position where that share of the shock passes at once."""
    engine = account.on_engine(account.marks)
    base = {contract.symbol: contract.base for contract in account.contracts}
    engine.set_marks(
        {symbol: mark * factor_of(share * shock.rates(base[symbol])[0]) for symbol, mark in account.marks.items()}
    )
    pools = {
        (h.contract.symbol, h.side): f"cross:{h.contract.settle}"
        if h.isolated_margin is None
        else f"isolated:{h.contract.symbol}:{h.side}"
        for h in account.holdings
    }
    taken = [event for event in engine.events if event.kind in (EventKind.PARTIAL, EventKind.FULL)]
    return {pools[event.symbol, event.side] for event in taken if event.symbol and event.side}


def compare(rng: Random, brackets: BracketsBySymbol) -> tuple[int, int]:
    """(pools liquidated on the way, pools that live) of one account under one shock; asserts that both sides agree."""
    account = random_account(rng, brackets)
    shock = a_shock(rng, account)
    wallets = {pool.pool: pool.wallet for pool in account.on_engine(account.marks).pools(ACCOUNT)}
    snapshot, markets = as_snapshot(account, account.marks, wallets)
    shares = [rng.random() for _ in range(4)]
    truths = [(share, liquidated_by_engine(account, shock, share)) for share in (0.0, 1.0, *shares)]
    gone = alive = 0
    for balance in snapshot.margins:
        if not snapshot.positions_in(balance.pool):
            continue
        found = outcome(snapshot, balance, markets, shock)
        for share, liquidated in truths:
            if balance.pool in liquidated:
                assert found.share is not None, "the exchange liquidates a pool that should live"
                assert found.share <= share + HAIR
            if found.share is None or share < found.share:
                assert balance.pool not in liquidated
        if found.share is None:
            alive += 1
        elif 0 < found.share < 1 - HAIR:
            gone += 1
            assert balance.pool not in liquidated_by_engine(account, shock, max(0.0, found.share - HAIR))
            taken = liquidated_by_engine(account, shock, found.share + HAIR)
            # What is left of a liquidated isolated margin falls to the cross pool, and may save it.
            assert balance.pool in taken or any(pool.startswith("isolated:") for pool in taken)
    return gone, alive


@needs_shared
@pytest.mark.parametrize("seed", range(3))
def test_the_exchange_liquidates_those_pools_that_a_shock_should_and_where_it_should(seed: int) -> None:
    brackets = real_brackets()
    found = [compare(Random(f"{seed}:{number}"), brackets) for number in range(40)]
    assert sum(gone for gone, _ in found) > 15
    assert sum(alive for _, alive in found) > 15
