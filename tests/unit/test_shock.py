"""A pool along a shock of the whole market: no size that liquidates is missed, and figures are those of repricing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.oracle_cases import as_snapshot, random_account
from monitor.domain.account import AccountSnapshot, Collateral, MarginBalance, Position, PriceOrigin, Side
from monitor.domain.market import Markets
from monitor.paper.contract import Bracket
from monitor.risk.liquidation import liquidation_prices
from monitor.risk.margin import maintenance_at
from monitor.risk.reprice import reprice, tiers_of
from monitor.risk.shock import (
    LARGEST_FALL,
    LARGEST_RISE,
    PRECISION,
    BtcMoves,
    PoolPath,
    btc_moves,
    btc_rates,
    factor_of,
)
from tests.builders import a_market, a_position, a_snapshot, flat_tiers
from tests.paper import COIN_STEPS, STEPS

ETH, SOL = "ETH/USDT:USDT", "SOL/USDT:USDT"
TWO_LISTS = {"BTC/USDT:USDT": STEPS, "ETH/USDT:USDT": COIN_STEPS}
# Where a bracket's rate holds for the whole notional, maintenance jumps at its edge.
JUMPS = (Bracket(0, 50_000, 0.004, 125, 0), Bracket(50_000, 600_000, 0.02, 100, 0), Bracket(600_000, 1e9, 0.1, 75, 0))
LISTS = {**TWO_LISTS, "SOL/USDT:USDT": JUMPS, "XRP/USDT:USDT": JUMPS}


def path_of(
    snapshot: AccountSnapshot, markets: Markets | None = None, betas: Mapping[str, float] | None = None
) -> PoolPath:
    path = PoolPath.of(snapshot, snapshot.margins[0], markets or {}, btc_rates(betas))
    assert path is not None
    return path


def moves(snapshot: AccountSnapshot, betas: Mapping[str, float] | None = None) -> BtcMoves:
    return btc_moves(path_of(snapshot, betas=betas))


def test_a_lone_position_in_btc_dies_where_its_liquidation_price_lies() -> None:
    position = a_position(mark_price=100, rate=0.004)
    snapshot = a_snapshot(position, equity=5, other_maintenance=4)
    found = btc_moves(path_of(snapshot, a_market(tiers=flat_tiers(0.004))))
    assert found.fall == pytest.approx(99.40 / 100 - 1, abs=0.00005)
    assert found.rise is None


@pytest.mark.parametrize(
    ("betas", "fall"),
    [
        ({}, -0.1 / 2.5),
        ({"SOL": 4.0}, -0.1 / 4),
        ({"SOL": 1.1}, -0.1 / 2.5),
    ],
    ids=["not measured", "measured worse", "measured in calm"],
)
def test_an_alt_that_loses_moves_by_its_beta_or_by_the_floor_where_that_is_worse(
    betas: dict[str, float], fall: float
) -> None:
    snapshot = a_snapshot(a_position(symbol=SOL, contracts=10, rate=0.0), equity=100)
    assert moves(snapshot, betas).fall == pytest.approx(fall, abs=1e-6)


@pytest.mark.parametrize(("betas", "gain"), [({}, 1.0), ({"ETH": 0.5}, 0.5), ({"ETH": 3.0}, 1.0)])
def test_an_alt_that_gains_is_not_counted_on_to_gain_more_than_btc_moves(betas: dict[str, float], gain: float) -> None:
    long = a_position(symbol=SOL, contracts=10, rate=0.0)
    hedge = a_position(symbol=ETH, side=Side.SHORT, contracts=10, rate=0.0)
    fall = moves(a_snapshot(long, hedge, equity=100), betas).fall
    assert fall == pytest.approx(-100 / (1000 * (2.5 - gain)), abs=1e-6)


def test_contracts_on_one_coin_move_alike_so_that_a_hedge_in_one_coin_is_one() -> None:
    long = a_position(symbol=ETH, contracts=10, rate=0.01)
    short = a_position(symbol="ETH/USDC:USDC", side=Side.SHORT, contracts=10, rate=0.01, pool="cross:USDT")
    assert moves(a_snapshot(long, short, equity=30)).fall is None
    rise = moves(a_snapshot(long, short, equity=30)).rise
    assert rise == pytest.approx(0.5 / 2.5, abs=1e-6), "both owe maintenance of what has grown"


def test_marks_stop_above_0() -> None:
    snapshot = a_snapshot(a_position(symbol=SOL, contracts=10, rate=0.01), equity=1001)
    assert moves(snapshot) == BtcMoves(None, None)
    assert path_of(snapshot).at(-1.0).equity == pytest.approx(1001 - 1000 * 0.999)


def test_a_dollar_token_does_not_move() -> None:
    assert moves(a_snapshot(a_position(symbol="USDC/USDT:USDT", contracts=10), equity=10)) == BtcMoves(None, None)


def test_a_pool_that_is_liquidatable_today_dies_at_no_move_at_all() -> None:
    found = moves(a_snapshot(a_position(rate=0.05), equity=5))
    assert (found.fall, found.rise, found.nearest) == (0.0, 0.0, 0.0)


def test_the_nearer_direction_speaks() -> None:
    assert BtcMoves(-0.2, 0.1).nearest == 0.1
    assert BtcMoves(-0.1, 0.2).nearest == -0.1
    assert BtcMoves(None, 0.2).nearest == 0.2
    assert BtcMoves(None, None).nearest is None


@pytest.mark.parametrize(
    "snapshot",
    [a_snapshot(a_position(), equity=None), a_snapshot(a_position(maintenance_margin=None))],
    ids=["equity", "maintenance"],
)
def test_what_is_not_known_makes_no_path(snapshot: AccountSnapshot) -> None:
    assert PoolPath.of(snapshot, snapshot.margins[0], {}, btc_rates()) is None


def at_the_brink(long: str, short: str) -> PoolPath:
    """Two coins that move alike and hedge each other, in a pool that can lose next to nothing."""
    legs = (
        a_position(symbol=long, contracts=1_000, rate=0.0),
        a_position(symbol=short, side=Side.SHORT, contracts=1_000, rate=0.0),
    )
    pooled = [replace(leg, pool="cross:USD") for leg in legs]
    balance = MarginBalance(pool="cross:USD", currency="USD", equity=0.001, maintenance_margin=0.0)
    path = PoolPath.of(replace(a_snapshot(*pooled), margins=(balance,)), balance, {}, lambda coin: (-0.5,))
    assert path is not None
    return path


def test_a_pool_at_the_brink_over_a_long_way_survives_it_where_what_it_leaves_is_a_straight_line() -> None:
    assert at_the_brink(ETH, SOL).first(1.0) is None


def test_one_at_the_brink_along_curves_is_given_up_soon_and_on_the_safe_side() -> None:
    path = at_the_brink("ETH/USD:ETH", "SOL/USD:SOL")
    assert path.surplus(1.0) > 0
    found = path.first(1.0)
    assert found is not None
    assert 0 < found < 0.01


# --- nothing is missed ---


def a_mixed_pool(rng: Random) -> tuple[AccountSnapshot, Markets]:
    """A random account as one pool in three coins, linear and inverse, near liquidation and far; some brackets jump."""
    account = random_account(rng, LISTS)
    apart, markets = as_snapshot(account, account.marks, {})
    coins = {contract.symbol: rng.choice(("BTC", "ETH", "SOL")) for contract in account.contracts}
    positions = tuple(
        replace(
            position,
            pool="cross:USD",
            pool_rate=position.mark_price if position.instrument.inverse else 1.0,
            instrument=replace(position.instrument, base=coins[position.instrument.symbol]),
        )
        for position in apart.positions
    )
    owed = sum((position.maintenance_margin or 0.0) * position.pool_rate for position in positions)
    equity = owed + gross_of(positions) * 10 ** rng.uniform(-3, 0.5)
    balance = MarginBalance(pool="cross:USD", currency="USD", equity=equity, maintenance_margin=owed)
    return replace(apart, positions=positions, margins=(balance,)), markets


def gross_of(positions: Sequence[Position]) -> float:
    return sum(position.notional * position.pool_rate for position in positions)


def surplus_by_repricing(snapshot: AccountSnapshot, markets: Markets, size: float) -> float:
    """The least over all combinations of the rates that the coins may move by."""
    coins = sorted({position.instrument.base for position in snapshot.positions})
    found = []
    for rates in product(*map(btc_rates(), coins)):
        rate_of = dict(zip(coins, rates, strict=True))
        marks = {
            position.instrument.symbol: position.mark_price * factor_of(rate_of[position.instrument.base] * size)
            for position in snapshot.positions
        }
        pool = reprice(snapshot, marks, markets).margins[0]
        assert pool.equity is not None
        assert pool.maintenance_margin is not None
        found.append(pool.equity - pool.maintenance_margin)
    return min(found)


def with_coins(rng: Random, snapshot: AccountSnapshot) -> AccountSnapshot:
    """What stands behind the pool: some of its coins, held or owed, one that no contract is on, and dollars for the
    rest. A venue's haircut takes the same of all that is held."""
    (balance,), gross = snapshot.margins, gross_of(snapshot.positions)
    worth = {coin: gross * rng.uniform(-0.2, 1) for coin in ("BTC", "ETH", "XRP") if rng.random() < 0.7}
    counts = rng.choice((1.0, 0.9))
    dollars = (balance.equity or 0.0) - sum(counted(figure, counts) for figure in worth.values())
    held = [Collateral(coin=coin, price=7.0, amount=figure / 7) for coin, figure in worth.items()]
    return replace(snapshot, collateral=(Collateral(coin="USDT", price=1.0, amount=dollars), *held))


def counted(worth: float, counts: float) -> float:
    return worth * counts if worth > 0 else worth


def surplus_of_coins(snapshot: AccountSnapshot, markets: Markets, size: float) -> float:
    """Coin by coin: what it holds and its inverse contracts gain, at the price it then has; the least that any of its
    rates leaves."""
    dollars, *held = snapshot.collateral
    coins = sorted({*(one.coin for one in held), *(position.instrument.base for position in snapshot.positions)})
    return (dollars.amount or 0.0) + sum(
        min(left_of_coin(snapshot, markets, coin, factor_of(rate * size)) for rate in btc_rates()(coin))
        for coin in coins
    )


def left_of_coin(
    snapshot: AccountSnapshot, markets: Markets, coin: str, factor: float, symbol: str | None = None
) -> float:
    """Dollars, at that factor of its price; of contracts those alone move that are of `symbol`, where one is given."""
    (balance,), (dollars, *held) = snapshot.margins, snapshot.collateral
    worth = {one.coin: (one.amount or 0.0) * one.price for one in held}
    above = sum(figure for figure in worth.values() if figure > 0)
    below = sum(figure for figure in worth.values() if figure < 0)
    share = 1.0
    if worth.get(coin, 0.0) > 0:
        share = ((balance.equity or 0.0) - (dollars.amount or 0.0) - below) / above
    left = share * worth.get(coin, 0.0) * factor
    for position in (p for p in snapshot.positions if p.instrument.base == coin):
        moved = factor if symbol in (None, position.instrument.symbol) else 1.0
        mark, coins = position.mark_price, moved if position.instrument.inverse else 1.0
        gain = position.instrument.pnl(position.side, position.contracts, mark, mark * moved)
        owed = maintenance_at(position, position.contracts, mark * moved, tiers_of(markets, position))
        assert owed is not None
        left += (gain * (share if position.instrument.inverse else 1.0) - owed) * coins * position.pool_rate
    return left


@given(st.integers(0, 2**32), st.booleans())
@settings(deadline=None)
def test_no_size_that_liquidates_lies_before_the_one_that_is_found(seed: int, has_coins: bool) -> None:
    rng = Random(seed)
    snapshot, markets = a_mixed_pool(rng)
    snapshot = with_coins(rng, snapshot) if has_coins else snapshot
    path, gross = path_of(snapshot, markets), gross_of(snapshot.positions)
    by_hand = surplus_of_coins if has_coins else surplus_by_repricing
    for end in (LARGEST_FALL, LARGEST_RISE):
        sizes = [0.0, end, *(rng.uniform(0.0, end) for _ in range(3))]
        for size in sizes:
            assert path.surplus(size) == pytest.approx(by_hand(snapshot, markets, size), abs=1e-9 * gross)
            pool = path.at(size)
            assert (pool.equity or 0) - (pool.maintenance_margin or 0) == pytest.approx(
                path.surplus(size), abs=1e-9 * gross
            )
        found = path.first(end)
        last = end if found is None else found
        steps = 400
        survived = [path.surplus(last * step / steps) for step in range(steps)]
        assert min(survived) > 0
        if found is None:
            assert path.surplus(end) > 0
        else:
            ahead = [path.surplus(found + math.copysign(PRECISION * step, end)) for step in range(1, 21)]
            assert min(ahead) <= 0


@given(st.integers(0, 2**32))
@settings(deadline=None)
def test_our_own_liquidation_price_moves_what_is_held_of_the_coin_as_well(seed: int) -> None:
    """Where the venue tells none. Beyond the coin of the contract nothing else moves."""
    rng = Random(seed)
    told, markets = a_mixed_pool(rng)
    untold = [replace(p, liquidation_price=None, liquidation_price_origin=PriceOrigin.UNKNOWN) for p in told.positions]
    snapshot = with_coins(rng, replace(told, positions=tuple(untold)))
    position = rng.choice(snapshot.positions)
    coin, symbol = position.instrument.base, position.instrument.symbol
    (balance,), gross = snapshot.margins, gross_of(snapshot.positions)
    rest = (balance.equity or 0.0) - (balance.maintenance_margin or 0.0)
    rest -= left_of_coin(snapshot, markets, coin, 1.0)

    def surplus(mark: float) -> float:
        return rest + left_of_coin(snapshot, markets, coin, mark / position.mark_price, symbol)

    prices = liquidation_prices(snapshot, position, markets)
    assert prices is not None
    assert not prices.already
    for root, end in ((prices.below, 1e-6), (prices.above, 1e6)):
        last = position.mark_price * end if root is None else root
        path = [position.mark_price * (last / position.mark_price) ** (step / 200) for step in range(200)]
        assert min(map(surplus, path)) > -1e-6 * gross
        if root is not None:
            beyond = root * (1 + math.copysign(1e-9, root - position.mark_price))
            assert surplus(beyond) <= 1e-6 * gross
