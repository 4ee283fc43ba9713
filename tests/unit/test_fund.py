"""Transfers that the venue's records tell, early or late: peaks that a jump made unknown are known again by them."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.account import AccountSnapshot
from monitor.domain.fund import MOST_PENDING, NEAR, PENDING_FOR, SETTLED_AFTER, Fund, Window
from monitor.domain.ledger import Entry, EntryKind, Ledger
from monitor.domain.track import Track
from monitor.risk.track import track_after
from monitor.store.records import TRACK
from tests.builders import a_booking, a_ledger, a_position, a_snapshot, at

SETTLED_S = SETTLED_AFTER.total_seconds()
TRANSFER, OTHER = EntryKind.TRANSFER, EntryKind.OTHER


def read(second: float, wallet: float = 1000.0, mark: float = 100.0, ledger: Ledger | None = None) -> AccountSnapshot:
    """One contract entered at 100, on that wallet."""
    position = a_position(mark_price=mark, entry_price=100.0)
    return a_snapshot(position, equity=wallet + (position.unrealized_pnl or 0.0), observed_at=at(second), ledger=ledger)


def records(*entries: Entry, until_s: float) -> Ledger:
    return a_ledger(*entries, since=at(-86_400), until=at(until_s))


def deposit(second: float, amount: float = 5_000.0, kind: EntryKind = TRANSFER) -> Entry:
    return a_booking(f"{kind} at {second}", at(second), kind=kind, amount=amount)


def after(*reads: AccountSnapshot) -> Track:
    track: Track | None = None
    for observation in reads:
        track = track_after(track, observation, {})
    assert track is not None
    return track


def fund(track: Track) -> Fund:
    assert track.fund is not None
    return track.fund


def lost(track: Track, window: Window = Window.DAY) -> float | str:
    """Or why that is not known."""
    peak = fund(track).peaks[window]
    return peak.why or 1 - fund(track).price / peak.price


EMPTY = records(until_s=0)
JUMP = (read(0, ledger=EMPTY), read(10, 6000, 99, ledger=EMPTY))


def test_a_deposit_that_records_tell_at_once_is_no_profit_and_no_loss() -> None:
    told = records(deposit(6), until_s=10)
    track = after(read(0, ledger=EMPTY), read(10, 6000, ledger=told), read(20, 6000, 40, ledger=told))
    assert lost(track) == pytest.approx(60 / 6000)
    assert fund(track).units == pytest.approx(6000)


def test_a_jump_is_unknown_until_records_of_later_explain_it_and_then_known_again() -> None:
    reads = [*JUMP, read(20, 6000, 90, ledger=EMPTY), read(30, 6000, 95, ledger=EMPTY)]
    assert "probably a transfer" in str(lost(after(*reads)))
    told = records(deposit(6), until_s=60)
    track = after(*reads, read(60, 6000, 94, ledger=told))
    # From 1,000 to 999 before the deposit's read, then a hundredth of 5,999 each ten dollars.
    assert lost(track) == pytest.approx(1 - 0.999 * 5994 / 5999)
    assert lost(track, Window.ALL) == lost(track)


def test_the_peak_reached_while_it_was_unknown_counts() -> None:
    reads = [*JUMP, read(20, 6000, 300, ledger=EMPTY), read(30, 6000, 100, ledger=EMPTY)]
    track = after(*reads, read(40, 6000, 100, ledger=records(deposit(6), until_s=40)))
    assert lost(track) == pytest.approx(200 / 6200)


@pytest.mark.parametrize("booked_s", [-NEAR.total_seconds() + 1, -5.0, 0.0, 5.0, 12.0, 10 + NEAR.total_seconds()])
def test_a_record_may_name_a_moment_beside_the_reads_that_show_it(booked_s: float) -> None:
    told = records(deposit(booked_s), until_s=400)
    track = after(*JUMP, read(400, 6000, 99, ledger=told), read(410, 6000, 99, ledger=told))
    assert lost(track) == pytest.approx(1 / 1000)


def test_a_record_explains_one_jump_and_not_the_next() -> None:
    told = records(deposit(6), until_s=21)
    track = after(*JUMP, read(20, 6000, ledger=told), read(21, 11_000, ledger=told))
    assert "between 10 Oct 12:00:20 and 12:00:21" in str(lost(track))
    # Nor once the first is settled.
    late = records(deposit(6), until_s=SETTLED_S + 12)
    track = after(*JUMP, read(SETTLED_S + 11, 6000, ledger=late), read(SETTLED_S + 12, 11_000, ledger=late))
    assert "probably a transfer" in str(lost(track))


def test_a_record_that_explained_a_jump_explains_none_after_a_start_that_has_read_no_records_yet() -> None:
    told = records(deposit(35), until_s=SETTLED_S + 25)
    reads = [*JUMP, read(20, 6000, 99, ledger=told), read(SETTLED_S + 25, 3000, 99, ledger=told)]
    unread = replace(read(SETTLED_S + 26, 3000, 99), ledger_failure="bookings could not be read: no answer yet")
    later = read(SETTLED_S + 630, 3000, 99, ledger=records(deposit(35), until_s=SETTLED_S + 630))
    for behind in ([], [unread]):
        assert lost(after(*reads, *behind, later)) == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize("told", [9_990.0, 9_999.9, 10_000.0, 10_010.0])
def test_what_comes_into_next_to_nothing_changes_no_price_by_what_is_not_exact_of_it(told: float) -> None:
    """Coins are valued a moment later than equity was."""
    ledger = records(deposit(6, told), until_s=10)
    track = after(a_snapshot(equity=0.5, ledger=EMPTY), a_snapshot(equity=10_000.5, observed_at=at(10), ledger=ledger))
    assert lost(track) == pytest.approx(0, abs=0.001)
    assert fund(track).units == pytest.approx(10_000.5, rel=0.002)


@pytest.mark.parametrize("left", [1.0, 500.0, 4_000.0])
def test_who_loses_what_was_paid_in_has_lost_it(left: float) -> None:
    """All of it between two reads: of 6,000 that were there in all."""
    told = records(deposit(3_000), until_s=7_300 + SETTLED_S)
    track = after(read(0, ledger=EMPTY), read(7_200, left, ledger=told), read(7_210, left, ledger=told))
    assert lost(track) == pytest.approx(1 - left / 6_000)


def test_several_transfers_between_two_reads_are_added_up_and_conversions_make_up_for_each_other() -> None:
    told = records(deposit(3, 5_300.0), deposit(6, -300.0), deposit(7, 70.0), deposit(8, -70.0), until_s=10)
    assert lost(after(JUMP[0], read(10, 6000, ledger=told))) == 0


def test_a_transfer_smaller_than_any_bound_changes_no_drawdown() -> None:
    told = records(deposit(6, 2.0), until_s=10)
    track = after(read(0, ledger=EMPTY), read(10, 1002, ledger=told))
    assert fund(track).price == pytest.approx(1.0)
    assert fund(track).units == pytest.approx(1002)


def test_what_equity_does_not_show_is_no_transfer_of_margin() -> None:
    """A coin that counts for nothing."""
    told = records(deposit(6), until_s=400)
    track = after(read(0, ledger=EMPTY), read(10, ledger=EMPTY), read(400, mark=90, ledger=told))
    assert lost(track) == pytest.approx(0.01)


def test_a_fall_that_no_record_explains_is_a_loss_once_records_are_complete() -> None:
    fell = [read(0, ledger=EMPTY), read(10, 700, ledger=EMPTY)]
    for until_s, known in ((SETTLED_S + 9, False), (SETTLED_S + 10, True)):
        value = lost(after(*fell, read(SETTLED_S + 20, 700, ledger=records(until_s=until_s))))
        assert (value == pytest.approx(0.3)) if known else isinstance(value, str)


def test_what_the_transfers_that_were_told_leave_is_profit() -> None:
    """A monitor that was down for hours: a deposit, and trades that it never saw."""
    told = records(deposit(3_000), until_s=7_300 + SETTLED_S)
    track = after(read(0, ledger=EMPTY), read(7_200, 6_400, ledger=told), read(7_210, 6_100, ledger=told))
    assert lost(track) == pytest.approx(300 / 6400)
    assert fund(track).price == pytest.approx(1.4 * 6100 / 6400)


@pytest.mark.parametrize("loss", [200.0, 600.0, 900.0, 1_300.0, 4_000.0])
def test_a_deposit_hides_no_loss_that_nobody_saw(loss: float) -> None:
    """A monitor that was down for hours, in which a loss was made good, more or less."""
    told = records(deposit(3_000, 1_000.0), until_s=7_200 + SETTLED_S)
    before, now = read(0, 10_000, ledger=EMPTY), read(7_200, 11_000 - loss, ledger=told)
    track = after(before, now, read(7_210, 11_000 - loss, ledger=told))
    assert lost(track) == pytest.approx(loss / 10_000)


def test_a_deposit_that_a_later_read_shows_makes_up_for_no_loss_of_before() -> None:
    told = records(deposit(9), until_s=500)
    reads = (read(0, 10_000, ledger=EMPTY), read(10, 9_000, ledger=EMPTY), read(20, 14_000, ledger=EMPTY))
    track = after(*reads, read(500, 14_000, ledger=told))
    assert lost(track) == pytest.approx(0.1)
    assert fund(track).units == pytest.approx(14_000 / 0.9)


def test_a_booking_of_a_kind_that_is_not_known_may_have_been_a_transfer() -> None:
    told = records(deposit(6, kind=OTHER), until_s=SETTLED_S + 10)
    value = lost(after(*JUMP, read(SETTLED_S + 10, 6000, ledger=told)))
    assert "booked what may have been a transfer" in str(value)
    # It is no reason to doubt what profit explains.
    told = records(deposit(6, kind=OTHER), until_s=400)
    assert lost(after(read(0, ledger=EMPTY), read(10, ledger=told), read(400, ledger=told))) == 0


def test_a_venue_that_tells_no_transfers_is_not_waited_for() -> None:
    untold = a_ledger(since=at(-86_400), until=at(900), untold=[TRANSFER])
    track = after(read(0, ledger=untold), read(10, 6000, ledger=untold), read(900, 6000, ledger=untold))
    assert "probably a transfer" in str(lost(track))
    assert track.pending.steps == ()


def test_records_that_begin_later_than_a_jump_say_nothing_of_it() -> None:
    late = a_ledger(since=at(60), until=at(2 * SETTLED_S))
    value = lost(after(*JUMP, read(2 * SETTLED_S, 6000, ledger=late)))
    assert "probably a transfer" in str(value)


def test_records_that_fail_are_waited_for_within_bounds() -> None:
    failing = replace(read(10, 6000), ledger_failure="busy")
    reads = [replace(read(0), ledger_failure="busy"), failing]
    for number in range(2, MOST_PENDING + 20):
        reads.append(replace(read(10.0 * number, 6000), ledger_failure="busy"))
    track = after(*reads)
    assert len(track.pending.steps) <= MOST_PENDING
    assert track.pending.steps[0].equity.at > track.at - PENDING_FOR - timedelta(seconds=1)
    assert "probably a transfer" in str(lost(track))


@pytest.mark.parametrize(
    ("modes", "known"), [(("single", "multi"), False), (("multi", "multi"), True), (("", "multi"), True)]
)
def test_what_another_mode_of_the_account_counts_or_does_not_is_no_loss(modes: tuple[str, str], known: bool) -> None:
    """Nor is it said to be none: both may have happened while nobody looked."""
    complete = records(until_s=SETTLED_S + 20)
    before, then = (
        replace(read(second, wallet, ledger=complete), mode=mode)
        for second, wallet, mode in zip((0, 10), (1000, 900), modes, strict=True)
    )
    value = lost(after(before, then, replace(read(SETTLED_S + 20, 900, ledger=complete), mode=modes[1])))
    assert value == pytest.approx(0.1) if known else "the account's mode changed" in str(value)


def test_an_account_without_records_keeps_nothing_pending() -> None:
    assert after(read(0), read(10), read(20)).pending.steps == ()


def test_a_deposit_of_a_coin_with_a_haircut_is_seen_in_a_pool_over_several_coins() -> None:
    def pooled(second: float, equity: float, ledger: Ledger) -> AccountSnapshot:
        snapshot = a_snapshot(equity=equity, observed_at=at(second), ledger=ledger)
        return replace(snapshot, margins=(replace(snapshot.margins[0], pool="cross:USD", currency="USD"),))

    told = records(deposit(6), until_s=400)
    track = after(pooled(0, 10_000, EMPTY), pooled(10, 14_700, told), pooled(400, 14_700, told))
    assert lost(track) == 0
    assert fund(track).units == pytest.approx(14_700)


# --- against the truth ---

STEPS = st.lists(
    st.tuples(st.floats(0.97, 1.03), st.sampled_from([0.0, 0.0, 0.0, 5_000.0, -2_000.0, 700.0, 3.0])),
    min_size=2,
    max_size=25,
)


def truth(steps: list[tuple[float, float]], first: float) -> tuple[float, float]:
    """Price of a unit and its highest, by what came in with each step."""
    wallet, mark, price, highest, equity = first, 100.0, 1.0, 1.0, first
    for factor, come in steps:
        moved = mark * factor
        own = equity + 10 * (moved - mark)
        mark, wallet = moved, wallet + come
        price *= own / equity
        highest = max(highest, price)
        equity = own + come
    return price, highest


@given(STEPS, st.integers(0, 12), st.integers(0, 25))
def test_however_late_records_come_the_drawdown_is_that_of_the_whole_truth(
    steps: list[tuple[float, float]], late: int, restart: int
) -> None:
    """Records are told so many reads late; and the monitor restarts once."""
    first, moments = 20_000.0, [10.0 * number for number in range(len(steps) + 1)]
    booked = [deposit(moments[n] + 4, come) for n, (_, come) in enumerate(steps) if come]
    wallet, mark, track = first, 100.0, None
    ends = [*moments, *(moments[-1] + 10.0 * n for n in range(1, late + 2))]
    for number, second in enumerate(ends):
        if 0 < number <= len(steps):
            factor, come = steps[number - 1]
            mark, wallet = mark * factor, wallet + come
        until = ends[max(0, number - late)]
        ledger = records(*(entry for entry in booked if entry.at <= at(until)), until_s=until)
        position = a_position(mark_price=mark, entry_price=100.0, contracts=10.0)
        equity = wallet + (position.unrealized_pnl or 0.0)
        track = track_after(track, a_snapshot(position, equity=equity, observed_at=at(second), ledger=ledger), {})
        if number == restart and track is not None:
            track = TRACK.validate_json(TRACK.dump_json(track))
    assert track is not None
    price, highest = truth(steps, first)
    assert lost(track) == pytest.approx(1 - price / highest, abs=1e-6)


def test_a_day_begins_anew_over_a_pending_jump() -> None:
    midnight = (datetime(2025, 10, 11, tzinfo=at(0).tzinfo) - at(0)).total_seconds()
    start = [read(midnight - 20, ledger=EMPTY), read(midnight - 10, 6000, ledger=EMPTY)]
    track = after(*start, read(midnight, 6000, 90, ledger=EMPTY))
    assert lost(track) == 0
    assert isinstance(lost(track, Window.WEEK), str)
    told = records(deposit(midnight - 15), until_s=midnight + 10)
    track = after(*start, read(midnight, 6000, 90, ledger=EMPTY), read(midnight + 10, 6000, 80, ledger=told))
    assert lost(track) == pytest.approx(10 / 5990)
    assert lost(track, Window.WEEK) == pytest.approx(20 / 6000)
