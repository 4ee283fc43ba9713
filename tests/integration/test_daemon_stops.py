"""The running monitor and the stops of a position: one that is cancelled is missed, one that is placed ends it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.domain.account import Side
from monitor.paper.faults import Fault, FaultKind
from tests.daemon_kit import CALM, House, a_house
from tests.integration.test_once import ALGO_ORDERS, STOP

RULE = "{critical: any, for: 20s}"
WHOLE = {**STOP, "quantity": "1.0"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        opened.yaml.rules["stop_missing"] = RULE
        yield opened


def rest(house: House, *rows: dict[str, object]) -> None:
    house.server.set_profile("main", listed={ALGO_ORDERS: rows})


async def test_a_stop_that_is_cancelled_is_missed_and_one_that_is_placed_ends_the_alert(house: House) -> None:
    rest(house, WHOLE)
    async with house.running():
        await house.reads(10)
        assert not house.fires("stop_missing")
        rest(house)
        await house.until(lambda: house.sink.about("^CRITICAL main: BTC/USDT:USDT long has no stop$"), "the alert")
        assert house.sink.about("^Do: place a reduce-only stop for 1 BTC above ")
        rest(house, WHOLE)
        await house.until(lambda: house.sink.about("^resolved main: BTC/USDT:USDT long stop after"), "its end")
    assert not house.sink.about("cannot be judged")


async def test_a_stop_that_is_placed_soon_after_the_position_was_opened_is_never_missed(house: House) -> None:
    """The account is read every two seconds of its clock, its orders each quarter of a minute behind the opening."""
    house.engine.close("main", "BTCUSDT", Side.LONG, 1.0, CALM)
    async with house.running():
        await house.reads(3)
        house.engine.open("main", "BTCUSDT", Side.LONG, 1.0, CALM, 10)
        await house.until(lambda: house.alert("stop_missing"), "a look at the new position")
        rest(house, WHOLE)
        await house.reads(40)
    assert not house.sink.about("has no stop")


async def test_orders_that_cannot_be_read_are_told_as_that_and_not_as_a_missing_stop(house: House) -> None:
    rest(house, WHOLE)
    async with house.running():
        await house.reads(3)
        house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, status=503, path=ALGO_ORDERS))
        await house.until(lambda: house.sink.about("^WARNING main: 1 figure cannot be judged"), "the warning")
        assert house.sink.about("^stop orders could not be read: overloaded")
        house.server.clear_faults()
        await house.until(lambda: house.sink.about("^resolved main: judged in full again"), "its end")
    assert not house.sink.about("has no stop")
