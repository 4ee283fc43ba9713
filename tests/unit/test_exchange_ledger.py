"""When bookings are read beside an account, what is remembered of them, and what is said where they are not told."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.account import AccountSnapshot, FailureKind
from monitor.domain.ledger import Entry, EntryKind, Ledger, bounded, continued, ledger_of
from monitor.exchange.client import ClockOffset
from monitor.exchange.failures import ReadError
from monitor.exchange.ledger import ASK_UNTOLD_EVERY, EVERY_S, KEPT, LOOK_BACK, MOST, OVERLAP, PAUSE_S, Bookings
from monitor.exchange.venues.venue import AccountSettings, Venue
from tests.builders import a_booking, a_ledger, a_position, a_snapshot, at
from tests.unit.store_kit import ManualClock


@dataclass
class Records:
    """A venue of which nothing is asked but what it booked."""

    clock: ManualClock
    booked: list[Entry] = field(default_factory=list)
    failure: ReadError | None = None
    hangs: bool = False
    since: list[datetime] = field(default_factory=list)
    late_s: float = 0.0
    # Of how much time one read tells.
    reach: timedelta = KEPT
    ours_is_ahead: timedelta = timedelta(0)
    untold: frozenset[EntryKind] = frozenset()

    async def read_ledger(self, _client: object, _instruments: object, _settings: object, since: datetime) -> Ledger:
        self.since.append(since)
        if self.hangs:
            await asyncio.sleep(3600)
        if self.failure is not None:
            raise self.failure
        now = self.clock.now() - self.ours_is_ahead
        booked = [e for e in self.booked if (now - e.at).total_seconds() >= self.late_s]
        told = ledger_of(booked, since, min(now, since + self.reach), self.untold)
        assert told is not None
        return told


class Desk:
    def __init__(self, every_s: float | None = EVERY_S) -> None:
        self.clock = ManualClock()
        self.records = Records(self.clock)
        self.offset = ClockOffset()
        self.settings = AccountSettings()
        client = SimpleNamespace(shared=SimpleNamespace(offset=self.offset))
        self.bookings = Bookings("main", cast(Venue, self.records), client, self.clock, every_s=every_s)

    async def read(self, after_s: float = 10.0, equity: float = 1_000.0) -> AccountSnapshot:
        self.clock.elapsed_s += after_s
        snapshot = a_snapshot(equity=equity, observed_at=self.clock.now())
        return await self.bookings.beside(snapshot, {}, self.settings)

    async def reads(self, count: int, after_s: float = 10.0) -> AccountSnapshot:
        for _ in range(count):
            snapshot = await self.read(after_s)
        return snapshot

    def book(self, name: str, before_s: float = 1.0) -> None:
        self.records.booked.append(a_booking(name, self.clock.now() - timedelta(seconds=before_s)))

    def fail(self, kind: FailureKind = FailureKind.OVERLOADED, detail: str = "busy") -> None:
        self.records.failure = ReadError(kind, detail)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def ids(snapshot: AccountSnapshot) -> list[str]:
    assert snapshot.ledger is not None
    return [entry.id for entry in snapshot.ledger.entries]


async def test_a_week_is_read_first_and_then_what_is_new_every_five_minutes(desk: Desk) -> None:
    desk.book("old", before_s=6.9 * 86400)
    begun = desk.clock.now()
    await desk.reads(120)
    assert desk.records.since == [
        begun + timedelta(seconds=10) - LOOK_BACK,
        *(begun + timedelta(seconds=10 + EVERY_S * number) - OVERLAP for number in range(3)),
    ]
    assert ids(await desk.read()) == ["old"]


async def test_a_week_of_more_than_one_read_can_tell_is_read_on_within_minutes(desk: Desk) -> None:
    desk.book("old", before_s=6.9 * 86400)
    desk.book("new")
    desk.records.reach = timedelta(days=1)
    assert ids(await desk.read()) == ["old"]
    assert ids(await desk.reads(24)) == ["old", "new"]
    assert len(desk.records.since) == 8
    await desk.reads(26)
    assert len(desk.records.since) == 8


@pytest.mark.parametrize("ahead_s", [-900.0, -120.0, 120.0, 900.0])
async def test_a_booking_is_of_our_time_where_the_venue_has_another(desk: Desk, ahead_s: float) -> None:
    """A transfer is looked for beside the reads that show it."""
    desk.records.ours_is_ahead = timedelta(seconds=ahead_s)
    desk.offset.milliseconds = round(1000 * ahead_s)
    await desk.read()
    booked_at = desk.clock.now()
    desk.book("here", before_s=ahead_s)
    snapshot = await desk.read(after_s=EVERY_S)
    assert snapshot.ledger is not None
    assert [(entry.id, entry.at) for entry in snapshot.ledger.entries] == [("here", booked_at)]
    assert snapshot.ledger.until == desk.clock.now()


async def test_what_one_mode_of_an_account_does_not_tell_another_may(desk: Desk) -> None:
    desk.records.untold = frozenset([EntryKind.TRANSFER])
    await desk.read()
    desk.book("a transfer, long ago", before_s=86_400)
    desk.records.untold, desk.settings = frozenset(), AccountSettings(mode="classic")
    snapshot = await desk.read(EVERY_S)
    assert ids(snapshot) == ["a transfer, long ago"]
    assert snapshot.ledger is not None
    assert snapshot.ledger.untold == frozenset()


@pytest.mark.parametrize("moved_s", [-2, 2])
async def test_a_booking_is_told_once_where_it_is_learnt_anew_how_far_the_venues_clock_is(
    desk: Desk, moved_s: int
) -> None:
    """It lies where the second read begins: before that by one of the clocks, behind it by the other."""
    desk.offset.milliseconds = 5_000
    desk.records.ours_is_ahead = timedelta(seconds=5)
    booked = desk.clock.now() + timedelta(seconds=10) - OVERLAP - timedelta(seconds=5 + moved_s / 2)
    desk.records.booked.append(a_booking("funding", booked))
    assert ids(await desk.read()) == ["funding"]
    desk.offset.milliseconds += 1_000 * moved_s
    desk.records.ours_is_ahead += timedelta(seconds=moved_s)
    assert ids(await desk.read(EVERY_S)) == ["funding"]


async def test_a_booking_that_appears_minutes_after_its_moment_is_told(desk: Desk) -> None:
    await desk.read()
    desk.records.late_s = 400.0
    desk.book("late")
    assert ids(await desk.reads(30)) == []
    assert ids(await desk.reads(30)) == ["late"]


async def test_money_that_moved_is_looked_up_by_the_read_that_saw_it_and_some_more_times(desk: Desk) -> None:
    await desk.reads(3)
    asked = len(desk.records.since)
    await desk.read(equity=1_500.0)
    assert len(desk.records.since) == asked + 1
    for _ in range(60):
        await desk.read(equity=1_500.0)
    # In a minute and a half behind it each 30 s; then every five minutes.
    assert len(desk.records.since) == asked + 1 + 3 + 1


async def test_profit_of_a_position_is_no_money_that_moved(desk: Desk) -> None:
    await desk.reads(3)
    position = a_position(mark_price=150.0, entry_price=100.0)
    desk.clock.elapsed_s += 10
    await desk.bookings.beside(
        a_snapshot(position, equity=1_050.0, observed_at=desk.clock.now()), {}, AccountSettings()
    )
    assert len(desk.records.since) == 1


async def test_nothing_is_asked_where_no_rule_needs_it() -> None:
    desk = Desk(every_s=None)
    snapshot = await desk.reads(20)
    assert (snapshot.ledger, snapshot.ledger_failure, desk.records.since) == (None, None, [])


async def test_a_failure_leaves_the_last_ledger_and_says_why_there_is_no_younger_one(desk: Desk) -> None:
    desk.book("one")
    good = await desk.read()
    desk.fail()
    later = await desk.reads(60)
    assert later.ledger == good.ledger
    assert later.ledger_failure == "bookings could not be read: overloaded: busy"
    desk.records.failure = None
    again = await desk.reads(int(PAUSE_S / 10) + 1)
    assert again.ledger_failure is None
    assert again.ledger is not None
    assert again.ledger.since == good.observed_at - LOOK_BACK


async def test_an_outage_of_bookings_is_logged_when_it_begins_and_when_it_ends(desk: Desk) -> None:
    with structlog.testing.capture_logs() as logs:
        await desk.read()
        desk.fail()
        await desk.reads(100)
        desk.fail(FailureKind.PERMISSION)
        await desk.reads(10)
        desk.records.failure = None
        await desk.reads(10)
    assert [(line["log_level"], line.get("kind")) for line in logs] == [
        ("warning", "overloaded"),
        ("warning", "permission"),
        ("info", None),
    ]


async def test_no_read_waits_for_a_venue_that_is_slow_to_tell(desk: Desk) -> None:
    desk.records.hangs = True
    snapshot = await desk.read()
    assert (snapshot.ledger, snapshot.ledger_failure) == (None, "bookings could not be read: no answer yet")
    await desk.bookings.close()


async def test_a_reply_nobody_thought_of_costs_the_ledger_and_not_the_account(desk: Desk) -> None:
    desk.records.booked = cast("list[Entry]", [None])
    assert "perpwatch" in str((await desk.read()).ledger_failure)


@pytest.mark.parametrize("kind", [FailureKind.UNSUPPORTED, FailureKind.PERMISSION])
async def test_a_venue_that_never_tells_is_asked_once_an_hour_and_said_so_as_a_caveat(
    desk: Desk, kind: FailureKind
) -> None:
    desk.fail(kind, "not for this key")
    told = {(await desk.read()).caveats for _ in range(12)}
    assert told == {("funding paid, realised profit and transfers are not known: not for this key",)}
    assert len(desk.records.since) == 1
    desk.records.failure = None
    snapshot = await desk.read(after_s=ASK_UNTOLD_EVERY.total_seconds())
    assert (snapshot.caveats, ids(snapshot)) == ((), [])


async def test_after_an_outage_longer_than_records_are_asked_for_the_ledger_begins_anew(desk: Desk) -> None:
    desk.book("before")
    await desk.read()
    snapshot = await desk.read(after_s=10 * 86400)
    assert ids(snapshot) == []
    assert snapshot.ledger is not None
    assert snapshot.ledger.since == desk.clock.now() - LOOK_BACK


# --- how ledgers follow on each other ---

MOMENTS = st.lists(st.integers(0, 1000), max_size=40)


@given(MOMENTS, st.lists(st.integers(1, 1000), min_size=1, max_size=6), st.integers(0, 50))
def test_read_bit_by_bit_it_is_the_ledger_that_one_read_would_tell(
    moments: list[int], ends: list[int], overlap: int
) -> None:
    booked = [a_booking(str(number), at(moment)) for number, moment in enumerate(moments)]

    def told(since: int, until: int) -> Ledger:
        ledger = ledger_of(booked, at(since), at(until))
        assert ledger is not None
        return ledger

    known: Ledger | None = None
    reached = -1
    for end in sorted(ends):
        known = continued(known, told(max(-1, reached - overlap), end))
        reached = end
    assert known == told(-1, reached)


def test_a_gap_between_two_reads_ends_the_one_before() -> None:
    before = a_ledger(a_booking("a", at(5)), since=at(0), until=at(10))
    told = a_ledger(a_booking("b", at(25)), since=at(20), until=at(30))
    assert continued(before, told) == told


def test_a_read_that_ended_early_takes_back_nothing() -> None:
    before = a_ledger(a_booking("a", at(5)), a_booking("b", at(9)), since=at(0), until=at(10))
    told = a_ledger(a_booking("a", at(5)), since=at(4), until=at(7))
    assert [entry.id for entry in continued(before, told).entries] == ["a", "b"]
    assert continued(before, told).until == at(10)


def test_what_is_too_much_is_added_up_by_the_hour_and_no_sum_changes() -> None:
    kinds = (EntryKind.FEE, EntryKind.REALISED, EntryKind.FUNDING)
    entries = [
        a_booking(str(n), at(n * 7.0), kind=kinds[n % 3], amount=n % 10 - 4.0, symbol="BTC/USDT:USDT")
        for n in range(MOST + 500)
    ]
    whole = a_ledger(*entries, since=at(-1), until=at(len(entries) * 7.0))
    less = bounded(whole, at(-1), MOST)
    assert len(less.entries) <= MOST
    assert less.since == whole.since
    assert [entry.at for entry in less.entries] == sorted(entry.at for entry in less.entries)
    for kind in kinds:
        assert sum(e.amount for e in less.of(kind)) == pytest.approx(sum(e.amount for e in whole.of(kind)))
    assert less.of(EntryKind.FUNDING) == whole.of(EntryKind.FUNDING)
    assert bounded(less, at(-1), len(less.entries)) == less


def test_what_no_sum_makes_small_begins_later_and_says_so() -> None:
    entries = [a_booking(str(n), at(n), kind=EntryKind.TRANSFER) for n in range(20)]
    less = bounded(a_ledger(*entries, since=at(-1), until=at(30)), at(-1), 5)
    assert less.since == at(14)
    assert [entry.id for entry in less.entries] == ["15", "16", "17", "18", "19"]


def test_what_is_older_than_it_is_kept_is_let_go() -> None:
    ledger = a_ledger(a_booking("a", at(5)), a_booking("b", at(50)), since=at(0), until=at(60))
    assert [entry.id for entry in bounded(ledger, at(10), MOST).entries] == ["b"]
    assert KEPT > LOOK_BACK
