"""What is gathered of single instruments: nobody waits for it, a failure lets it age, and everything has an end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from monitor.domain.account import FailureKind, Instrument
from monitor.exchange.failures import ReadError
from monitor.exchange.gathered import KEPT_FOR, PATIENCE, PAUSE, Gathered
from tests.builders import an_instrument
from tests.unit.store_kit import ManualClock

MAX_AGE_S = 60.0
BTC, ETH = an_instrument(), an_instrument("ETH/USDT:USDT")


def of(*instruments: Instrument) -> dict[str, Instrument]:
    return {instrument.symbol: instrument for instrument in instruments}


@dataclass
class Venue:
    """Tells the number of the read."""

    asked: list[str] = field(default_factory=list)
    failure: Exception | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def read(self, about: Instrument) -> int:
        self.asked.append(about.symbol)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return len(self.asked)


@dataclass
class Desk:
    clock: ManualClock = field(default_factory=ManualClock)
    venue: Venue = field(default_factory=Venue)
    deadline_s: float = 10.0

    def __post_init__(self) -> None:
        self.gathered = Gathered(
            "figures", self.clock, self.venue.read, max_age_s=MAX_AGE_S, deadline_s=self.deadline_s
        )  # fmt: skip

    async def want(self, *instruments: Instrument, after_s: float = 0.0) -> None:
        self.clock.elapsed_s += after_s
        self.gathered.want(of(*instruments))
        await self.gathered.settled()

    def told(self) -> dict[str, int]:
        return {symbol: one.value for symbol, one in self.gathered.latest.items()}


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    yield made
    await made.gathered.close()


async def test_wanting_returns_at_once_and_what_comes_is_another_mapping(desk: Desk) -> None:
    before = desk.gathered.latest
    desk.gathered.want(of(BTC, ETH))
    assert (desk.venue.asked, desk.gathered.latest) == ([], before)
    await desk.gathered.settled()
    assert desk.told() == {BTC.symbol: 1, ETH.symbol: 2}
    assert desk.gathered.latest is not before


async def test_what_is_young_enough_is_not_asked_for_again(desk: Desk) -> None:
    await desk.want(BTC)
    await desk.want(BTC, after_s=MAX_AGE_S - 1)
    assert desk.told() == {BTC.symbol: 1}
    await desk.want(BTC, after_s=1)
    assert desk.told() == {BTC.symbol: 2}


@pytest.mark.parametrize("failure", [ReadError(FailureKind.OVERLOADED, "busy"), KeyError("nobody thought of it")])
async def test_a_failure_leaves_the_value_to_age_and_is_not_repeated_at_once(desk: Desk, failure: Exception) -> None:
    await desk.want(BTC)
    read_at = desk.gathered.latest[BTC.symbol].observed_at
    desk.venue.failure = failure
    await desk.want(BTC, ETH, after_s=MAX_AGE_S)
    await desk.want(BTC, ETH, after_s=PAUSE.total_seconds() - 1)
    assert desk.told() == {BTC.symbol: 1}
    assert desk.gathered.latest[BTC.symbol].observed_at == read_at
    assert desk.venue.asked == [BTC.symbol, BTC.symbol, ETH.symbol], "each once, whatever became of the other"
    desk.venue.failure = None
    await desk.want(BTC, ETH, after_s=1)
    assert desk.told().keys() == {BTC.symbol, ETH.symbol}


async def test_a_read_that_hangs_ends_and_the_next_instrument_has_its_turn() -> None:
    desk = Desk(deadline_s=0.01)
    desk.venue.gate.clear()
    await desk.want(BTC, ETH)
    assert (desk.told(), desk.venue.asked) == ({}, [BTC.symbol, ETH.symbol])
    assert desk.gathered.missing == dict.fromkeys((BTC.symbol, ETH.symbol), "no answer in time")


async def test_what_others_want_while_one_is_read_is_read_behind_it(desk: Desk) -> None:
    desk.venue.gate.clear()
    desk.gathered.want(of(BTC))
    await asyncio.sleep(0)
    for _ in range(5):
        desk.gathered.want(of(BTC, ETH))
    desk.venue.gate.set()
    await desk.gathered.settled()
    assert desk.venue.asked == [BTC.symbol, ETH.symbol]


async def test_what_never_had_its_turn_is_waited_for_as_long_as_it_would_count_and_then_missed_with_why(
    desk: Desk,
) -> None:
    desk.venue.gate.clear()
    desk.gathered.want(of(BTC, ETH))
    assert desk.gathered.missing == {BTC.symbol: None, ETH.symbol: None}
    await asyncio.sleep(0)
    desk.clock.elapsed_s += PATIENCE * MAX_AGE_S
    desk.gathered.want(of(BTC, ETH))
    assert set(desk.gathered.missing.values()) == {None}
    desk.clock.elapsed_s += 1
    desk.gathered.want(of(BTC, ETH))
    assert set(desk.gathered.missing.values()) == {"no answer yet"}
    desk.venue.gate.set()
    await desk.gathered.settled()
    assert desk.gathered.missing == {}


async def test_a_budget_that_is_spent_is_no_failure_before_its_turn_is_overdue(desk: Desk) -> None:
    desk.venue.failure = ReadError(FailureKind.RATE_LIMIT, "what alerts wait for is asked first")
    await desk.want(BTC)
    assert desk.gathered.missing == {BTC.symbol: None}
    await desk.want(BTC, after_s=PATIENCE * MAX_AGE_S)
    assert desk.gathered.missing == {BTC.symbol: None}
    await desk.want(BTC, after_s=PAUSE.total_seconds())
    assert desk.gathered.missing == {BTC.symbol: "rate_limit: what alerts wait for is asked first"}


async def test_what_failed_is_missing_until_it_comes_and_not_while_an_older_value_ages(desk: Desk) -> None:
    desk.venue.failure = ReadError(FailureKind.OVERLOADED, "busy")
    await desk.want(BTC)
    assert desk.gathered.missing == {BTC.symbol: "overloaded: busy"}
    desk.venue.failure = None
    await desk.want(BTC, after_s=PAUSE.total_seconds())
    assert desk.gathered.missing == {}
    desk.venue.failure = ReadError(FailureKind.OVERLOADED, "busy")
    await desk.want(BTC, after_s=MAX_AGE_S)
    assert desk.gathered.missing == {}


async def test_what_nobody_wants_any_more_is_forgotten(desk: Desk) -> None:
    await desk.want(BTC, ETH)
    for _ in range(3):
        await desk.want(ETH, after_s=KEPT_FOR.total_seconds() / 2)
    assert desk.told().keys() == {ETH.symbol}
    assert desk.gathered._wanted_at.keys() == desk.gathered._asked_at.keys() == {ETH.symbol}
    assert (desk.gathered.missing, desk.gathered._missing_since) == ({}, {})


async def test_closing_ends_a_read_that_hangs(desk: Desk) -> None:
    desk.venue.gate.clear()
    desk.gathered.want(of(BTC))
    await asyncio.sleep(0)
    await desk.gathered.close()
    assert (desk.told(), desk.gathered._task) == ({}, None)


async def test_closing_with_nothing_to_do_is_nothing(desk: Desk) -> None:
    await desk.want(BTC)
    await desk.gathered.close()
    await desk.gathered.close()
    assert desk.told() == {BTC.symbol: 1}


async def test_what_is_wanted_while_it_closes_and_afterwards_is_not_begun(desk: Desk) -> None:
    desk.venue.gate.clear()
    desk.gathered.want(of(BTC))
    await asyncio.sleep(0)
    closing = asyncio.create_task(desk.gathered.close())
    await asyncio.sleep(0)
    desk.gathered.want(of(ETH))
    await closing
    desk.gathered.want(of(ETH))
    assert (desk.gathered._task, desk.venue.asked) == (None, [BTC.symbol])
