"""What the venue did to a position is told from its own records: liquidated, auto-deleveraged, or the owner's doing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from monitor.domain.account import End, Side
from monitor.exchange.venues.binance import BinanceVenue
from monitor.paper.engine import Engine
from tests.daemon_kit import CALM, CRITICAL_MARK, WARNING_MARK, House, a_house

LIQUIDATED_MARK = 87_000.0


def at_the_time_of(house: House) -> Engine:
    """The engine stamps its records with its own time, which stands still until it is told."""
    house.engine.advance(house.clock.now())
    return house.engine


def liquidate(house: House) -> None:
    at_the_time_of(house).set_mark("BTCUSDT", LIQUIDATED_MARK)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


async def test_a_liquidation_is_told_as_one_and_once(house: House) -> None:
    async with house.running():
        house.mark(CRITICAL_MARK)
        await house.until(lambda: house.sink.about("^CRITICAL main: BTC"))
        liquidate(house)
        await house.until(lambda: house.sink.about("^LIQUIDATED main"))
        await house.reads(3)
    assert len(house.sink.about("LIQUIDATED main")) == 1
    assert house.sink.about(r"^LIQUIDATED main: BTC/USDT:USDT long, 1 contract at [\d,.]+ by the venue's records")
    assert not house.sink.about("position gone")


async def test_a_liquidation_that_no_alert_announced_is_told_with_its_price(house: House) -> None:
    async with house.running():
        await house.reads(1)
        liquidate(house)
        await house.until(lambda: house.sink.about("^LIQUIDATED main: BTC/USDT:USDT long$"))
    text = next(text for text in house.sink.texts() if "LIQUIDATED" in text)
    assert "1 contract at " in text
    assert "by the venue's records" in text
    assert "nothing of it is open now" in text
    assert text.splitlines()[-1].startswith("Do: look at this account")


async def test_an_auto_deleveraging_in_calm_is_told_as_critical(house: House) -> None:
    async with house.running():
        await house.reads(1)
        at_the_time_of(house).adl("main", "BTCUSDT", Side.LONG, 0.4)
        await house.until(lambda: house.sink.about("^AUTO-DELEVERAGED main: BTC/USDT:USDT long$"))
    assert house.sink.about(r"^0\.4 contracts at 100,000 by the venue's records")
    assert house.sink.about(r"^open now: 0\.6 contracts")


async def test_what_the_owner_closes_is_no_liquidation(house: House) -> None:
    async with house.running():
        await house.reads(1)
        house.engine.close("main", "BTCUSDT", Side.LONG, 0.5, CALM)
        await house.reads(4)
    assert not house.sink.about("LIQUIDATED|DELEVERAGED")


async def test_a_liquidation_while_the_monitor_was_down_is_told_at_its_start_and_not_again(house: House) -> None:
    async with house.running():
        house.mark(WARNING_MARK)
        await house.until(lambda: house.sink.about("^WARNING main: BTC"))
        await house.until(lambda: not house.store.undelivered)
    liquidate(house)
    for _ in range(2):
        async with house.running():
            await house.until(lambda: house.sink.about("LIQUIDATED main"))
            await house.reads(4)
    assert len(house.sink.about("LIQUIDATED main")) == 1


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Until it is set the records know of nothing."""
    event, read = asyncio.Event(), BinanceVenue.read_ends

    async def late(venue: BinanceVenue, *arguments: Any) -> Sequence[End]:
        return await read(venue, *arguments) if event.is_set() else []

    monkeypatch.setattr(BinanceVenue, "read_ends", late)
    return event


async def test_records_that_come_late_are_told_all_the_same(house: House, answered: asyncio.Event) -> None:
    """The alert has ended as "position gone" by then: its owner must hear what that was."""
    async with house.running():
        house.mark(WARNING_MARK)
        await house.until(lambda: house.sink.about("^WARNING main: BTC"))
        liquidate(house)
        await house.until(lambda: house.sink.about("^resolved main: .*position gone"))
        answered.set()
        await house.until(lambda: house.sink.about("^LIQUIDATED main: BTC/USDT:USDT long$"))


async def test_records_that_come_only_after_a_restart_are_told_by_it(house: House, answered: asyncio.Event) -> None:
    """The account was seen to hold nothing before the monitor ended."""
    async with house.running():
        await house.reads(1)
        liquidate(house)
        await house.until(lambda: house.store.accounts["main"].last_flat)
    answered.set()
    async with house.running():
        await house.until(lambda: house.sink.about("^LIQUIDATED main: BTC/USDT:USDT long$"))
