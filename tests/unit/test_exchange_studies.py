"""From candles to the studies that rules judge by: when they are read, and what is said where they are not."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from monitor.domain.account import FailureKind, Instrument
from monitor.domain.reading import Need
from monitor.domain.study import Candle, Frame, NoStudy, Study
from monitor.exchange.failures import ReadError
from monitor.exchange.market_data import MarketData
from monitor.exchange.studies import COUNT, DAYS_EVERY, EVERY_S
from monitor.exchange.venues.venue import Venue
from monitor.rules.base import Context
from tests.builders import a_position, a_snapshot, an_instrument
from tests.studies import candles
from tests.unit.store_kit import ManualClock

BTC, ETH, DOGE = (an_instrument(f"{coin}/USDT:USDT") for coin in ("BTC", "ETH", "DOGE"))
INVERSE = an_instrument("BTC/USD:BTC")
CANDLES = frozenset({Need.CANDLES})
MOVES = [0.02, -0.03, 0.01] * 40


@dataclass
class FakeVenue:
    """Lists instruments and tells candles; every other question fails."""

    clock: ManualClock
    listed: tuple[Instrument, ...] = (BTC, ETH, DOGE)
    failure: ReadError | None = None
    young: frozenset[str] = frozenset()
    asked: list[tuple[str, Frame]] = field(default_factory=list)
    id: str = "fake"
    marks_origin: str = "fake"

    async def read_instruments(self, _client: object) -> dict[str, Instrument]:
        return {instrument.symbol.replace("/", ""): instrument for instrument in self.listed}

    async def read_candles(
        self, _client: object, raw: str, about: Instrument, frame: Frame, count: int
    ) -> Sequence[Candle]:
        assert raw == about.symbol.replace("/", "")
        self.asked.append((about.symbol, frame))
        if self.failure is not None:
            raise self.failure
        step = timedelta(days=1) if frame is Frame.DAY else timedelta(hours=1)
        now = self.clock.now()
        begun = now - (now - now.replace(hour=0, minute=0, second=0, microsecond=0)) % step
        return candles(frame, MOVES[: 5 if about.symbol in self.young else count - 1], end=begun + step)


@dataclass
class Desk:
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.venue = FakeVenue(self.clock)
        self.market = MarketData(cast(Venue, self.venue), None, self.clock, deadline_s=10.0)

    async def hold(self, *held: Instrument, after_s: float = 0.0, **changes: Any) -> None:
        self.clock.elapsed_s += after_s
        await self.market.instruments()
        self.market.hold("main", held, changes.get("needs", CANDLES))
        await self.market.gathered()

    def context(self) -> Context:
        return Context(snapshot=a_snapshot(a_position()), markets=self.market.markets(), now=self.clock.now())


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    yield made
    await made.market.close()


async def test_what_is_held_and_bitcoin_are_studied_by_days_and_hours(desk: Desk) -> None:
    await desk.hold(ETH)
    assert desk.venue.asked == [
        (symbol, frame) for symbol in (BTC.symbol, ETH.symbol) for frame in (Frame.DAY, Frame.HOUR)
    ]
    context = desk.context()
    study = context.study_of(ETH)
    assert isinstance(study, Study)
    assert study is desk.market.markets()[ETH.symbol].study.value  # type: ignore[union-attr]
    # The day that has not ended is not among them.
    assert len(study.returns) == COUNT - 2
    assert max(study.returns) < desk.clock.now().date()
    assert context.bitcoin is not None
    assert isinstance(context.study_of(DOGE), NoStudy)


async def test_bitcoin_is_found_where_it_is_inverse_alone(desk: Desk) -> None:
    desk.venue.listed = (INVERSE, ETH)
    await desk.hold(ETH)
    assert {symbol for symbol, _ in desk.venue.asked} == {INVERSE.symbol, ETH.symbol}
    assert desk.context().bitcoin is not None


@pytest.mark.parametrize(("held", "needs"), [((), CANDLES), ((ETH,), frozenset({Need.ORDERS, Need.BOOKS}))])
async def test_candles_are_asked_for_where_something_is_held_and_a_rule_needs_them(
    desk: Desk, held: tuple[Instrument, ...], needs: frozenset[Need]
) -> None:
    desk.venue.listed = (BTC, ETH)
    await desk.hold(*held, needs=needs - {Need.BOOKS})
    assert desk.venue.asked == []


async def test_hours_are_read_every_five_minutes_and_days_once_an_hour(desk: Desk) -> None:
    for _ in range(6 * 60 * 2):
        await desk.hold(BTC, after_s=10.0)
    frames = [frame for _, frame in desk.venue.asked]
    assert frames.count(Frame.HOUR) == 2 * 3600 / EVERY_S
    assert frames.count(Frame.DAY) == timedelta(hours=2) / DAYS_EVERY


async def test_a_study_is_told_until_three_refreshes_have_failed_and_then_unknown(desk: Desk) -> None:
    await desk.hold(BTC)
    desk.venue.failure = ReadError(FailureKind.OVERLOADED, "busy")
    await desk.hold(BTC, after_s=3 * EVERY_S)
    assert isinstance(desk.context().study_of(BTC), Study)
    await desk.hold(BTC, after_s=1.0)
    assert desk.context().study_of(BTC) == NoStudy(f"{BTC.symbol}: its candles are not read any more")
    assert desk.context().bitcoin is None
    assert desk.market.caveats("main", CANDLES) == ()
    desk.venue.failure = None
    await desk.hold(BTC, after_s=30.0)
    assert isinstance(desk.context().study_of(BTC), Study)


async def test_a_venue_that_tells_no_candles_is_a_caveat(desk: Desk) -> None:
    desk.venue.failure = ReadError(FailureKind.UNSUPPORTED, "candles of this venue are not read")
    await desk.hold(BTC)
    told = desk.context().study_of(BTC)
    assert isinstance(told, NoStudy)
    assert told.is_untold
    why = "volatility is not watched: candles of this venue are not read"
    assert desk.market.caveats("main", CANDLES) == (why,)
    assert desk.market.caveats("main", frozenset()) == ()
    assert desk.market.caveats("another", CANDLES) == ()


async def test_a_young_listing_is_a_caveat_with_its_name_and_no_alert_of_a_week(desk: Desk) -> None:
    desk.venue.young = frozenset({DOGE.symbol})
    await desk.hold(ETH, DOGE)
    told = desk.context().study_of(DOGE)
    assert isinstance(told, NoStudy)
    assert told.is_untold
    why = "volatility is not watched: DOGE/USDT:USDT is too young, or too rarely traded, to tell"
    assert desk.market.caveats("main", CANDLES) == (why,)


async def test_candles_that_are_on_their_way_are_pending_and_those_nobody_asked_for_are_not(desk: Desk) -> None:
    await desk.market.instruments()
    desk.market.hold("main", (ETH,), CANDLES)
    pending = desk.context().study_of(ETH)
    assert pending == NoStudy("ETH/USDT:USDT: its candles are being read", is_pending=True)
    assert desk.context().study_of(DOGE) == NoStudy("DOGE/USDT:USDT: its candles were not asked for")
    await desk.market.gathered()
    assert isinstance(desk.context().study_of(ETH), Study)
