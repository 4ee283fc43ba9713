"""Coins behind the pools of unified accounts: what a move of the market leaves, as the venue tells it then."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from monitor.domain.account import AccountSnapshot, MarginBalance
from monitor.risk.shock import PoolPath
from monitor.risk.worth import stands_still
from tests.fuzz.reading import Reader
from tests.fuzz.worlds import World, worlds

TOLD = ("binanceusdm", "bybit", "okx", "bitget")
# What no venue tells: whether the margin of isolated positions is in the coins that it lists.
BESIDE_ISOLATED = 0.003


UNIFIED = [w for w in worlds() if w.venue in TOLD and not w.recorded and w.account is not w.case.crowd]


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with asyncio.Runner() as runner:
        yield Reader(runner)


def pool_of(snapshot: AccountSnapshot) -> MarginBalance | None:
    return next((balance for balance in snapshot.margins if balance.currency == "USD"), None)


@pytest.mark.parametrize("factor", [0.9, 1.05])
@pytest.mark.parametrize("world", UNIFIED, ids=lambda world: world.name)
def test_what_a_move_leaves_of_a_unified_account_is_what_the_venue_tells_after_it(
    reader: Reader, world: World, factor: float
) -> None:
    before = reader.read(world, {})
    assert isinstance(before.observation, AccountSnapshot), before.observation
    balance = pool_of(before.observation)
    if (
        balance is None
        or not before.observation.collateral
        or None in {c.amount for c in before.observation.collateral}
    ):
        return
    moved = replace(world, name=f"{world.name} at {factor}")
    marks = {contract.symbol: moved.engine.mark(contract.symbol) for contract in moved.engine.contracts}
    moved.engine.set_marks({symbol: mark * factor for symbol, mark in marks.items() if mark is not None})
    after = reader.read(moved, {}).observation
    assert isinstance(after, AccountSnapshot), after
    told = pool_of(after)
    assert told is not None
    path = PoolPath.of(
        before.observation, balance, before.markets, lambda coin: (0.0 if stands_still(coin) else factor - 1,)
    )
    assert path is not None
    expected = path.at(1.0)
    assert None not in (told.equity, expected.equity)
    isolated = any(other.pool.startswith("isolated:") for other in before.observation.margins)
    assert expected.equity == pytest.approx(told.equity, rel=BESIDE_ISOLATED if isolated else 1e-6)
    assert not isolated or (expected.equity or 0.0) <= (told.equity or 0.0) + 0.01, "more than the venue counts"
