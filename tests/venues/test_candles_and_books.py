"""Candles and order books of every venue: what its reader tells is the engine's truth, in base units, or a failure."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from monitor.domain.account import FailureKind, Instrument
from monitor.domain.market import Book
from monitor.domain.study import Candle, Frame
from monitor.exchange.failures import ReadError
from monitor.exchange.market_data import MarketData
from monitor.paper.contract import Contract
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultKind
from monitor.paper.formats import milliseconds
from monitor.paper.tape import LENGTH_MS, Bar, Level
from tests.reading import ShiftedClock
from tests.venues.kit import House, a_house, book_of
from tests.venues.market import TOLD, Told

COUNT = 40
# What may be told of a contract that is younger than what is asked for.
YOUNG = 3
# Venues round what they tell to eight decimals.
ROUNDED = 1e-6
# So many of a side are told one by one.
LEVELS = 20


@dataclass(frozen=True)
class Asked:
    """One contract of a served venue, with what its reader is asked by."""

    told: Told
    house: House
    market: MarketData
    instrument: Instrument
    now_ms: int

    async def candles(self, frame: Frame = Frame.HOUR, count: int = COUNT) -> list[Candle]:
        market = self.market
        raw = await market._raw(self.instrument)
        return await market._venue.read_candles(market._client, raw, self.instrument, frame, count)

    async def book(self) -> Book:
        market = self.market
        return await market._venue.read_book(market._client, await market._raw(self.instrument), self.instrument)

    def bars(self, frame: Frame = Frame.HOUR, count: int = COUNT) -> list[Bar]:
        return self.house.engine.bars(self.told.symbol, frame, count, self.now_ms)

    def resting(self, side: str) -> list[Level]:
        return self.house.engine.resting(self.told.symbol, side, 10**6)

    def set_tape(self, **changes: Any) -> None:
        self.house.engine.set_tape(self.told.symbol, **changes)


@asynccontextmanager
async def asked(told: Told) -> AsyncIterator[Asked]:
    clock = ShiftedClock()
    engine = book_of(told.case, clock.now())
    async with a_house(told.case, clock, engine) as house:
        market = house.open(told.case.accounts[0])._market
        listed = (await market.instruments()).values()
        about = next(instrument for instrument in listed if _is(instrument, engine, told.symbol))
        yield Asked(told, house, market, about, milliseconds(clock.now()))


def _is(instrument: Instrument, engine: Engine, symbol: str) -> bool:
    due = engine.market(symbol).contract
    return (instrument.base, instrument.quote, instrument.settle, instrument.inverse) == (
        due.base,
        due.quote,
        due.settle,
        due.inverse,
    )


@pytest.mark.parametrize("frame", Frame)
@pytest.mark.parametrize("told", TOLD, ids=str)
async def test_candles_are_the_venues_ascending_to_the_one_of_now(told: Told, frame: Frame) -> None:
    async with asked(told) as venue:
        found = await venue.candles(frame)
        due = venue.bars(frame)
        assert [candle.at for candle in found] == [datetime.fromtimestamp(bar.at_ms / 1000, UTC) for bar in due]
        assert len(found) == COUNT
        assert found[-1].at <= datetime.fromtimestamp(venue.now_ms / 1000, UTC)
        for candle, bar in zip(found, due, strict=True):
            assert (candle.open, candle.high, candle.low, candle.close) == pytest.approx(bar[1:], rel=ROUNDED)


@pytest.mark.parametrize("told", TOLD, ids=str)
async def test_a_young_contract_has_fewer_candles(told: Told) -> None:
    async with asked(told) as venue:
        venue.set_tape(since_ms=venue.now_ms - (YOUNG - 1) * LENGTH_MS[Frame.DAY])
        assert len(await venue.candles(Frame.DAY)) == YOUNG


def in_base_units(contract: Contract, price: float, contracts: float) -> float:
    return contracts * contract.contract_size / (price if contract.inverse else 1)


def is_up_to(reached: float, side: str, price: float) -> bool:
    """Whether whoever takes all up to the price reached takes what rests at that one."""
    return price >= reached * (1 - ROUNDED) if side == "bids" else price <= reached * (1 + ROUNDED)


@pytest.mark.parametrize("told", TOLD, ids=str)
async def test_a_book_is_told_in_base_units_from_the_best_price_outwards(told: Told) -> None:
    """Further out a venue may tell coarser steps: to each of their prices rests what rests there and before."""
    async with asked(told) as venue:
        contract = venue.house.engine.market(told.symbol).contract
        found = await venue.book()
        for side, levels in (("bids", found.bids), ("asks", found.asks)):
            due = [(price, in_base_units(contract, price, contracts)) for price, contracts in venue.resting(side)]
            assert [level.price for level in levels[:LEVELS]] == pytest.approx(
                [price for price, _ in due[:LEVELS]], rel=ROUNDED
            )
            for place, level in enumerate(levels):
                reached = sum(size for price, size in due if is_up_to(level.price, side, price))
                assert sum(before.size for before in levels[: place + 1]) == pytest.approx(reached, rel=ROUNDED)
            assert len(levels) >= LEVELS


@pytest.mark.parametrize("told", TOLD, ids=str)
async def test_a_book_in_which_nobody_buys_is_told_as_it_is(told: Told) -> None:
    async with asked(told) as venue:
        venue.set_tape(closed=frozenset({"bids"}))
        found = await venue.book()
        assert found.bids == ()
        assert found.asks


# By what is wrong with them: the candles that a venue tells in place of the good ones.
UNSOUND_CANDLES: Mapping[str, Any] = {
    "none at all": lambda _: [],
    "a high below the close": lambda bars: _changed(bars, high=bars[3].close * 0.99),
    "a low above the open": lambda bars: _changed(bars, low=bars[3].open * 1.01),
    "a price of nought": lambda bars: _changed(bars, low=0.0),
    "a price below nought": lambda bars: _changed(bars, open=-1.0, low=-1.0),
    "one told twice": lambda bars: [*bars, bars[-1]],
    "half past the hour": lambda bars: _changed(bars, at_ms=bars[3].at_ms + LENGTH_MS[Frame.HOUR] // 2),
    "from the future": lambda bars: [bar._replace(at_ms=bar.at_ms + 5 * LENGTH_MS[Frame.HOUR]) for bar in bars],
    "of last week": lambda bars: [bar._replace(at_ms=bar.at_ms - 7 * LENGTH_MS[Frame.DAY]) for bar in bars],
}


def _changed(bars: list[Bar], **changes: Any) -> list[Bar]:
    return [*bars[:3], bars[3]._replace(**changes), *bars[4:]]


@pytest.mark.parametrize("told", TOLD, ids=str)
async def test_candles_that_are_not_sound_are_refused(told: Told) -> None:
    async with asked(told) as venue:
        good = venue.bars()
        for what, spoilt in UNSOUND_CANDLES.items():
            venue.set_tape(bars={Frame.HOUR: spoilt(good)})
            with pytest.raises(ReadError) as refused:
                await venue.candles()
            assert refused.value.kind in (FailureKind.MALFORMED, FailureKind.IMPLAUSIBLE), what
        venue.set_tape(bars={Frame.HOUR: good})
        assert len(await venue.candles()) == COUNT


@pytest.mark.parametrize("told", TOLD, ids=str)
async def test_days_that_are_not_those_of_utc_are_not_read(told: Told) -> None:
    async with asked(told) as venue:
        hongkong = [bar._replace(at_ms=bar.at_ms - 8 * LENGTH_MS[Frame.HOUR]) for bar in venue.bars(Frame.DAY)]
        venue.set_tape(bars={Frame.DAY: hongkong})
        with pytest.raises(ReadError) as refused:
            await venue.candles(Frame.DAY)
        assert refused.value.kind is FailureKind.UNSUPPORTED


# By what is wrong with it: the side whose order it is about, if any, and the (bids, asks) that a venue tells.
UNSOUND_BOOKS: Mapping[str, Any] = {
    "crossed": ("", lambda bids, asks: (asks[:1], bids[:1])),
    "bids that rise": ("bids", lambda bids, asks: (bids[::-1], asks)),
    "asks that fall": ("asks", lambda bids, asks: (bids, asks[::-1])),
    "a price told twice": ("", lambda bids, asks: ([bids[0], *bids], asks)),
    "a price of nought": ("", lambda bids, asks: ([*bids, Level(0.0, 1.0)], asks)),
    "a size below nought": ("", lambda bids, asks: (bids, [asks[0]._replace(contracts=-1.0), *asks[1:]])),
}


@pytest.mark.parametrize("told", TOLD, ids=str)
async def test_an_order_book_that_is_not_sound_is_refused(told: Told) -> None:
    async with asked(told) as venue:
        bids, asks = venue.resting("bids"), venue.resting("asks")
        for what, (side, spoilt) in UNSOUND_BOOKS.items():
            if side in told.sorted_by_reader:
                continue
            spoilt_bids, spoilt_asks = spoilt(bids, asks)
            venue.set_tape(bids=spoilt_bids, asks=spoilt_asks)
            with pytest.raises(ReadError) as refused:
                await venue.book()
            assert refused.value.kind is FailureKind.MALFORMED, what
        venue.set_tape(closed=frozenset({"bids", "asks"}))
        with pytest.raises(ReadError) as refused:
            await venue.book()
        assert refused.value.kind is FailureKind.MALFORMED


SPOILT_REPLIES = (
    FaultKind.EMPTY_BODY,
    FaultKind.HTML,
    FaultKind.EMPTY_OBJECT,
    FaultKind.EMPTY_LIST,
    FaultKind.NULL,
    FaultKind.TRUNCATED,
    FaultKind.NOT_A_NUMBER,
)


@pytest.mark.parametrize("told", TOLD, ids=str)
async def test_a_spoilt_reply_is_a_failure(told: Told) -> None:
    async with asked(told) as venue:
        for kind in SPOILT_REPLIES:
            for path in {told.candles, told.book}:
                venue.house.server.misbehave(Fault(kind=kind, path=path))
            for read in (venue.candles, venue.book):
                with pytest.raises(ReadError) as refused:
                    await read()
                assert refused.value.kind is FailureKind.MALFORMED, (kind, read)
            venue.house.server.clear_faults()
