"""When the venue's own records are asked what became of a position, and for how long."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from monitor.domain.account import AccountSnapshot, End, EndKind, FailureKind, Side
from monitor.domain.holdings import CLOCKS_DIFFER
from monitor.exchange.ends import ASK_EVERY_S, ASK_WITHIN, LOOK_BACK, Ends
from monitor.exchange.failures import ReadError
from monitor.exchange.venues.venue import AccountSettings, Venue
from tests.builders import a_position, a_snapshot, an_instrument
from tests.unit.store_kit import T0, ManualClock


def an_end(at: datetime = T0, **changes: Any) -> End:
    given: dict[str, Any] = {"instrument": an_instrument(), "side": Side.LONG, "kind": EndKind.LIQUIDATED}
    return End(**{**given, "at": at, **changes})


@dataclass
class Records:
    """A venue of which nothing is asked but its records. `too_old` is from when on they can be read."""

    told: list[End] = field(default_factory=list)
    too_old: datetime | None = None
    failure: Exception | None = None
    asked: list[datetime] = field(default_factory=list)
    hangs: bool = False

    async def read_ends(
        self, _client: object, _instruments: object, _settings: object, since: datetime
    ) -> Sequence[End]:
        self.asked.append(since)
        if self.hangs:
            await asyncio.sleep(3600)
        if self.failure is not None:
            raise self.failure
        if self.too_old is not None and since < self.too_old:
            raise ReadError(FailureKind.IMPLAUSIBLE, "more fills than any account makes")
        return [end for end in self.told if end.at >= since]


@dataclass
class Desk:
    records: Records = field(default_factory=Records)
    clock: ManualClock = field(default_factory=ManualClock)
    ends: Ends = field(init=False)

    def __post_init__(self) -> None:
        self.ends = Ends("main", cast(Venue, self.records), None, self.clock, deadline_s=30.0)

    async def read(self, contracts: float, after_s: float = 10.0) -> tuple[End, ...]:
        self.clock.elapsed_s += after_s
        positions = [a_position(contracts=contracts)] if contracts else []
        return await self.ends.known(self.snapshot(*positions), {}, AccountSettings())

    def snapshot(self, *positions: Any) -> AccountSnapshot:
        return a_snapshot(*positions, observed_at=self.clock.now())

    async def reads(self, contracts: float, count: int) -> list[End]:
        return [end for _ in range(count) for end in await self.read(contracts)]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(("after", "asked"), [(2.0, 0), (3.0, 0), (1.0, 1), (0.0, 1)])
async def test_the_records_are_asked_where_a_position_is_gone_or_smaller(desk: Desk, after: float, asked: int) -> None:
    await desk.read(2.0)
    await desk.read(after)
    assert len(desk.records.asked) == asked


async def test_an_end_comes_with_the_read_that_shows_it_and_with_those_behind_it(desk: Desk) -> None:
    """A read that could not be judged, or not be written down, has told nobody."""
    await desk.read(2.0)
    desk.records.told.append(an_end(desk.clock.now() + timedelta(seconds=5)))
    assert [len(await desk.read(0.0)) for _ in range(30)] == [1] * 30


async def test_records_that_lag_are_asked_for_again_and_not_for_ever(desk: Desk) -> None:
    await desk.read(2.0)
    at = desk.clock.now() + timedelta(seconds=5)
    assert await desk.reads(0.0, 10) == []
    desk.records.told.append(an_end(at))
    assert set(await desk.reads(0.0, 30)) == {an_end(at)}
    asked = len(desk.records.asked)
    await desk.reads(0.0, 100)
    assert len(desk.records.asked) == asked <= 6


async def test_the_moment_before_the_last_sight_counts_since_clocks_differ(desk: Desk) -> None:
    await desk.read(2.0)
    seen_at = desk.clock.now()
    await desk.read(0.0)
    assert desk.records.asked == [seen_at - CLOCKS_DIFFER]


async def test_a_position_that_changes_all_the_time_is_asked_about_twice_a_minute_at_most(desk: Desk) -> None:
    for number in range(120):
        await desk.read(100.0 - number / 2, after_s=1.0)
    assert len(desk.records.asked) <= 1 + 120 / ASK_EVERY_S


@pytest.mark.parametrize("kind", [FailureKind.UNSUPPORTED, FailureKind.PERMISSION])
async def test_a_venue_that_refuses_its_records_is_asked_once_a_change(desk: Desk, kind: FailureKind) -> None:
    desk.records.failure = ReadError(kind, "not read")
    await desk.read(2.0)
    assert await desk.reads(0.0, 50) == []
    assert len(desk.records.asked) == 1


async def test_a_venue_that_does_not_answer_is_asked_until_it_does_and_not_for_ever(desk: Desk) -> None:
    await desk.read(2.0)
    at = desk.clock.now()
    desk.records.failure = ReadError(FailureKind.OVERLOADED, "busy")
    assert await desk.reads(0.0, 100) == []
    desk.records.failure, desk.records.told = None, [an_end(at)]
    assert set(await desk.reads(0.0, 10)) == {an_end(at)}
    await desk.read(2.0)
    desk.records.failure = ReadError(FailureKind.OVERLOADED, "busy")
    await desk.reads(0.0, round(ASK_WITHIN.total_seconds() / 10) + 100)
    asked = len(desk.records.asked)
    await desk.reads(0.0, 100)
    assert len(desk.records.asked) == asked


async def test_what_no_answer_came_to_is_owed_until_one_comes(desk: Desk) -> None:
    await desk.read(2.0)
    seen_at = desk.clock.now()
    desk.records.failure = ReadError(FailureKind.OVERLOADED, "busy")
    await desk.reads(0.0, 10)
    assert desk.ends.owed_since == seen_at - CLOCKS_DIFFER
    desk.records.failure = None
    await desk.reads(0.0, 10)
    assert desk.ends.owed_since is None


async def test_a_reply_nobody_thought_of_leaves_the_account_in_sight_and_is_asked_for_again(desk: Desk) -> None:
    await desk.read(2.0)
    at = desk.clock.now()
    desk.records.failure = KeyError("orders")
    assert await desk.reads(0.0, 10) == []
    desk.records.failure, desk.records.told = None, [an_end(at)]
    assert set(await desk.reads(0.0, 10)) == {an_end(at)}


async def test_a_slow_answer_holds_up_no_read_and_comes_with_a_later_one(desk: Desk) -> None:
    await desk.read(2.0)
    desk.records.hangs = True
    assert await desk.read(0.0) == ()
    await desk.ends.close()


async def test_what_happened_while_nobody_looked_is_asked_for_with_the_first_read(desk: Desk) -> None:
    desk.ends.look_back(T0 - timedelta(hours=3))
    desk.records.told.append(an_end(T0 - timedelta(hours=2)))
    assert await desk.read(0.0) == (an_end(T0 - timedelta(hours=2)),)
    assert desk.records.asked == [T0 - timedelta(hours=3) - CLOCKS_DIFFER]


async def test_a_long_time_down_is_looked_back_on_for_a_week(desk: Desk) -> None:
    desk.ends.look_back(T0 - timedelta(days=60))
    await desk.read(0.0, after_s=0.0)
    assert desk.records.asked == [T0 - LOOK_BACK]


async def test_a_first_good_read_that_comes_late_still_gives_the_records_their_hour(desk: Desk) -> None:
    desk.ends.look_back(T0 - timedelta(hours=1))
    desk.records.failure = ReadError(FailureKind.OVERLOADED, "busy")
    await desk.read(0.0, after_s=3 * 3600)
    desk.records.failure = None
    desk.records.told.append(an_end(T0))
    assert set(await desk.reads(0.0, 10)) == {an_end(T0)}


async def test_where_a_week_cannot_be_read_the_latest_of_it_is(desk: Desk) -> None:
    """And goes on being read, however often the position changes."""
    desk.ends.look_back(T0 - timedelta(days=7))
    desk.records.too_old = T0 - timedelta(hours=3)
    desk.records.told.append(an_end(T0 - timedelta(minutes=20)))
    found = {end for number in range(60) for end in await desk.read(100.0 - number)}
    assert found == {an_end(T0 - timedelta(minutes=20))}


async def test_a_passing_failure_narrows_nothing(desk: Desk) -> None:
    desk.ends.look_back(T0 - timedelta(days=6))
    desk.records.failure = ReadError(FailureKind.MALFORMED, "a page of HTML")
    await desk.reads(1.0, 7)
    desk.records.failure = None
    await desk.reads(1.0, 5)
    assert desk.records.asked[-1] == T0 - timedelta(days=6) - CLOCKS_DIFFER
