"""Which rows go when, what a send makes of them, who hears of it when nobody confirms, and the room a service has."""

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.alert import Alert, Reason, Resolution
from monitor.domain.notification import DeliveryState, Notification
from monitor.domain.reading import AlertKey, Severity
from monitor.notify import schedule
from monitor.notify.budget import DISCORD_WEBHOOK, TELEGRAM_CHAT, TELEGRAM_GROUP, Budget, Limit
from monitor.notify.escalation import Handed, escalations, handed
from monitor.notify.results import SendKind, SendResult
from tests.outbox import NOON, a_notice, a_row, after, everybody, facts, firing, key, resolved_row
from tests.unit.store_kit import ManualClock

ACCEPTED = SendResult(kind=SendKind.ACCEPTED)


def settle(*rows: Notification, result: SendResult, seed: int = 1) -> tuple[Notification, ...]:
    return schedule.settled(schedule.sending(rows), result, NOON, random.Random(seed))


def test_a_row_waits_for_its_group_and_for_its_next_attempt() -> None:
    waiting, retried = a_row(send_after=after(30)), a_row(next_attempt_at=after(5), key=key("b"))
    assert schedule.due([waiting, retried], NOON) == ()
    assert schedule.due([waiting, retried], after(5)) == (retried,)
    assert schedule.next_due_at([waiting, retried]) == after(5)


def test_with_one_row_of_an_episode_go_all_that_wait() -> None:
    first = a_row(next_attempt_at=after(60))
    end = resolved_row(send_after=NOON)
    assert schedule.due([first, end, a_row(key=key("other"), send_after=after(9))], NOON) == (first, end)


def test_the_end_of_an_episode_goes_with_the_news_of_the_next_and_not_behind_it() -> None:
    end = resolved_row(next_attempt_at=after(600))
    again = a_row(episode=2, created_at=after(300), send_after=after(300))
    assert schedule.due([end, again], after(300)) == (end, again)
    later = a_row(episode=3, send_after=after(900))
    assert schedule.due([later, end, again], after(300)) == (end, again), "what comes after it waits for its own time"


@given(st.integers(1, 40), st.integers(0, 1000))
def test_retries_wait_1_2_5_10_20_30_and_then_every_60_seconds_give_or_take_a_fifth(attempts: int, seed: int) -> None:
    (row,) = settle(a_row(attempts=attempts - 1), result=SendResult(kind=SendKind.TRANSIENT), seed=seed)
    expected = [1, 2, 5, 10, 20, 30, 60][min(attempts, 7) - 1]
    assert row.next_attempt_at is not None
    assert 0.8 * expected <= (row.next_attempt_at - NOON).total_seconds() <= 1.2 * expected
    assert row.attempts == attempts
    assert row.state is DeliveryState.RETRY


def test_old_failures_do_not_hold_back_news_in_the_same_message() -> None:
    rows = settle(a_row(attempts=20), a_row(key=key("new")), result=SendResult(kind=SendKind.TRANSIENT))
    assert all(row.next_attempt_at is not None and row.next_attempt_at <= after(1.2) for row in rows)


def test_a_rate_limit_is_waited_out_to_the_second_and_counts_no_attempt() -> None:
    (row,) = settle(a_row(attempts=3), result=SendResult(kind=SendKind.RATE_LIMITED, retry_after_s=7.25))
    assert (row.next_attempt_at, row.attempts) == (after(7.25), 3)


@pytest.mark.parametrize("kind", [SendKind.TRANSIENT, SendKind.AMBIGUOUS])
def test_only_a_send_whose_outcome_is_unknown_may_be_a_repeat(kind: SendKind) -> None:
    (row,) = settle(a_row(), result=SendResult(kind=kind, detail="x"))
    assert row.possible_repeat is (kind is SendKind.AMBIGUOUS)
    assert row.last_error == f"{kind}: x"


def test_the_speaker_of_an_episode_is_sent_and_the_rows_it_stands_for_are_superseded() -> None:
    told = settle(a_row(), resolved_row(sequence=2), a_row(Reason.REPEAT, sequence=1), result=ACCEPTED)
    states = {row.sequence: row.state for row in told}
    assert states == {0: DeliveryState.SUPERSEDED, 1: DeliveryState.SUPERSEDED, 2: DeliveryState.SENT}


def test_after_a_day_all_but_what_is_critical_and_still_true_is_given_up() -> None:
    critical, warning = a_row(), a_row(key=key("w"), severity=Severity.WARNING)
    gone, notice = a_row(key=key("gone")), a_notice()
    alerts = {row.key: firing(row) for row in (critical, warning)}
    rows = [critical, warning, gone, notice]
    assert schedule.closed(rows, alerts, after(86_399)) == ()
    dead = schedule.closed(rows, alerts, after(86_400))
    assert {row.key for row in dead} == {warning.key, gone.key, notice.key}
    assert all(row.state is DeliveryState.DEAD and row.dead_at == after(86_400) for row in dead)


def test_an_alert_of_a_later_episode_does_not_keep_an_old_row_alive() -> None:
    row = a_row()
    later = replace(firing(row), episode=2)
    assert schedule.closed([row], {row.key: later}, after(90_000))[0].state is DeliveryState.DEAD


def test_info_that_is_over_is_no_news() -> None:
    row = a_row(severity=Severity.INFO)
    assert schedule.closed([row], {row.key: firing(row)}, NOON) == ()
    assert schedule.closed([row], {row.key: Alert(key=row.key)}, NOON)[0].state is DeliveryState.SUPERSEDED
    assert schedule.closed([a_notice()], {}, NOON) == ()


def test_a_broken_off_send_is_tried_at_once_as_a_possible_repeat() -> None:
    (row,) = schedule.interrupted([a_row(state=DeliveryState.SENDING), a_row(key=key("b"))], NOON)
    assert (row.state, row.possible_repeat, row.next_attempt_at) == (DeliveryState.RETRY, True, NOON)


# Escalation


def escalated(
    rows: Iterable[Notification],
    now: datetime,
    *,
    told: frozenset[str] = frozenset(),
    seen: frozenset[Handed] = frozenset(),
    unavailable_s: float = 0,
) -> list[Notification]:
    audience = everybody("phone", "desk", "backup", fallbacks=("backup",))
    rows = tuple(rows)
    known = seen | {handed(row) for row in rows}

    def heard(_key: AlertKey, _episode: int) -> frozenset[str]:
        return told

    return list(
        escalations(
            rows, audience, lambda message: message not in known, heard, lambda _: timedelta(seconds=unavailable_s), now
        )
    )


@pytest.mark.parametrize(
    ("age_s", "targets"), [(14.9, []), (15, ["backup"]), (59.9, ["backup"]), (60, ["desk", "backup"])]
)
def test_an_unconfirmed_critical_goes_to_the_fallback_and_then_to_everyone(age_s: float, targets: list[str]) -> None:
    assert [row.target for row in escalated([a_row()], after(age_s))] == targets


def test_several_messages_of_one_episode_escalated_at_once_read_as_its_beginning_and_what_followed() -> None:
    rows = (a_row(id=1), a_row(Reason.REPEAT, id=2, sequence=1), a_row(Reason.REPEAT, id=3, sequence=2))
    reasons = [row.reason for row in escalated(rows, after(15)) if row.target == "backup"]
    assert reasons == [Reason.FIRST, Reason.REPEAT, Reason.REPEAT]


def test_an_escalated_row_is_new_and_due_at_once() -> None:
    row = a_row(id=7, state=DeliveryState.RETRY, attempts=3, next_attempt_at=after(99), last_error="x")
    (copy,) = escalated([row], after(15))
    assert copy == a_row(target="backup", send_after=after(15))


BAD_END = resolved_row(severity=Severity.CRITICAL, facts=facts(resolution=Resolution.LIQUIDATED))


@pytest.mark.parametrize("row", [a_notice(severity=Severity.CRITICAL), BAD_END])
@pytest.mark.parametrize("told", [frozenset[str](), frozenset({"backup"})])
def test_what_the_venue_took_goes_to_the_fallback_as_what_it_is(row: Notification, told: frozenset[str]) -> None:
    found = escalated([row], row.created_at + timedelta(seconds=15), told=told)
    assert [(copy.target, copy.reason, copy.facts) for copy in found] == [("backup", row.reason, row.facts)]


@pytest.mark.parametrize("row", [a_row(severity=Severity.WARNING), resolved_row(), a_notice(severity=Severity.WARNING)])
def test_only_critical_news_is_escalated(row: Notification) -> None:
    assert escalated([row], row.created_at + timedelta(hours=1)) == []


def test_who_hears_of_an_episode_for_the_first_time_reads_first() -> None:
    worse = a_row(Reason.WORSE, sequence=1)
    assert [row.reason for row in escalated([worse], after(15))] == [Reason.FIRST]
    assert [row.reason for row in escalated([worse], after(15), told=frozenset({"backup"}))] == [Reason.WORSE]


def test_who_has_heard_of_an_episode_reads_its_beginning_at_another_channel_as_a_repetition() -> None:
    heard = escalated([a_row()], after(15), told=frozenset({"backup"}))
    assert [row.reason for row in heard] == [Reason.REPEAT]


def test_nothing_is_handed_to_a_target_twice_even_by_two_failing_channels() -> None:
    rows = [a_row(), a_row(target="desk")]
    found = escalated(rows, after(60))
    assert [row.target for row in found] == ["backup"]
    assert escalated(rows, after(61), seen=frozenset(map(handed, found))) == []


def test_a_disabled_target_is_not_waited_for() -> None:
    assert [row.target for row in escalated([a_row()], NOON, unavailable_s=15)] == ["backup"]


# Budgets


def sent_in(limits: tuple[Limit, ...], seconds: int, *, critical: bool) -> int:
    clock = ManualClock()
    budget, count = Budget(limits, clock), 0
    while True:
        clock.elapsed_s += budget.wait_s(critical=critical)
        if clock.elapsed_s >= seconds:
            return count
        budget.spend()
        count += 1


@pytest.mark.parametrize(
    ("limits", "critical", "within_a_minute"),
    [
        (TELEGRAM_CHAT, True, 60),
        (TELEGRAM_GROUP, True, 18),
        (TELEGRAM_GROUP, False, 13),
        (DISCORD_WEBHOOK, True, 25),
        (DISCORD_WEBHOOK, False, 20),
    ],
)
def test_a_budget_stays_below_the_services_limit_and_keeps_room_for_critical(
    limits: tuple[Limit, ...], critical: bool, within_a_minute: int
) -> None:
    assert sent_in(limits, 60, critical=critical) == within_a_minute


def test_a_critical_message_goes_where_a_warning_has_to_wait() -> None:
    clock = ManualClock()
    budget = Budget(DISCORD_WEBHOOK, clock)
    for _ in range(20):
        budget.spend()
    clock.elapsed_s = 10
    assert budget.wait_s(critical=True) == 0
    assert budget.wait_s(critical=False) == 50


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=80))
def test_no_window_ever_holds_more_than_the_limit(steps: list[tuple[float, bool]]) -> None:
    clock, times = ManualClock(), list[float]()
    budget = Budget((Limit(3, 10.0, 1),), clock)
    for pause_s, critical in steps:
        clock.elapsed_s += pause_s
        if budget.wait_s(critical=critical) == 0:
            budget.spend()
            times.append(clock.elapsed_s)
    for start in times:
        assert sum(start <= at < start + 10 for at in times) <= 3
