"""Which rows of one target go now, and what becomes of them after a send. Pure: rows and times in, rows out."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from monitor.domain.alert import Alert
from monitor.domain.notification import DeliveryState, NoticeFacts, Notification
from monitor.domain.reading import AlertKey, Severity
from monitor.notify.message import stories
from monitor.notify.results import SendKind, SendResult

# After a message to a target, what comes within this time becomes one digest.
WINDOW = timedelta(seconds=5)
BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
JITTER = 0.2
# A target that refused our credentials is tried again this often, so that it heals by itself.
DISABLED_RETRY = timedelta(minutes=10)
GIVEN_UP_AFTER = timedelta(hours=24)


def due_at(row: Notification) -> datetime:
    """When the row may go: after its group wait, or after its last failure."""
    return row.send_after if row.next_attempt_at is None else row.next_attempt_at


def due(rows: Iterable[Notification], now: datetime) -> tuple[Notification, ...]:
    """The rows to send now; with one row of an episode go all that wait, since the latest speaks for them.

    And what waits of earlier episodes of the alert: told later it would be taken for news of this one.
    """
    told, latest = stories(rows), dict[AlertKey, int]()
    for story in told:
        if any(due_at(row) <= now for row in story.rows):
            latest[story.speaker.key] = max(story.speaker.episode, latest.get(story.speaker.key, 0))
    return tuple(
        row for story in told if story.speaker.episode <= latest.get(story.speaker.key, -1) for row in story.rows
    )


def next_due_at(rows: Iterable[Notification]) -> datetime | None:
    return min((due_at(row) for row in rows), default=None)


def is_critical(rows: Iterable[Notification]) -> bool:
    return any(row.severity is Severity.CRITICAL for row in rows)


def still_firing(row: Notification, alerts: Mapping[AlertKey, Alert]) -> bool:
    alert = alerts.get(row.key)
    return alert is not None and alert.is_firing and alert.episode == row.episode


def closed(rows: Iterable[Notification], alerts: Mapping[AlertKey, Alert], now: datetime) -> tuple[Notification, ...]:
    """The rows nobody needs any more: given up after a day, unless critical and still true; info that is over."""
    changed = []
    for row in rows:
        firing = still_firing(row, alerts)
        if now - row.created_at >= GIVEN_UP_AFTER and not (firing and row.severity is Severity.CRITICAL):
            error = f"given up after 24 h; last: {row.last_error or 'never tried'}"
            changed.append(dead(row, error, now))
        elif row.severity is Severity.INFO and not firing and not isinstance(row.facts, NoticeFacts):
            changed.append(replace(row, state=DeliveryState.SUPERSEDED))
    return tuple(changed)


def dead(row: Notification, error: str, now: datetime) -> Notification:
    return replace(row, state=DeliveryState.DEAD, dead_at=now, last_error=error)


def sending(rows: Iterable[Notification]) -> tuple[Notification, ...]:
    """As they are written down before the send: if the process dies in it, the next one knows."""
    return tuple(replace(row, state=DeliveryState.SENDING, attempts=row.attempts + 1) for row in rows)


def interrupted(rows: Iterable[Notification], now: datetime) -> tuple[Notification, ...]:
    """Rows whose send was broken off, and may have arrived."""
    return tuple(
        replace(row, state=DeliveryState.RETRY, possible_repeat=True, next_attempt_at=now)
        for row in rows
        if row.state is DeliveryState.SENDING
    )


def settled(
    rows: Iterable[Notification], result: SendResult, now: datetime, rng: random.Random
) -> tuple[Notification, ...]:
    """The rows of one message after its send."""
    rows = tuple(rows)
    if result.kind is SendKind.ACCEPTED:
        return tuple(_delivered(row, row is story.speaker, now) for story in stories(rows) for row in story.rows)
    wait = _wait(result, min(row.attempts for row in rows), rng)
    uncounted = 1 if result.kind is SendKind.RATE_LIMITED else 0
    return tuple(
        replace(
            row,
            state=DeliveryState.RETRY,
            attempts=row.attempts - uncounted,
            next_attempt_at=now + wait,
            possible_repeat=row.possible_repeat or result.kind is SendKind.AMBIGUOUS,
            last_error=f"{result.kind}: {result.detail}",
        )
        for row in rows
    )


def _delivered(row: Notification, spoke: bool, now: datetime) -> Notification:
    state = DeliveryState.SENT if spoke else DeliveryState.SUPERSEDED
    return replace(row, state=state, delivered_at=now if spoke else None, next_attempt_at=None, last_error=None)


def _wait(result: SendResult, attempts: int, rng: random.Random) -> timedelta:
    """The newest row of a message sets the pace: an old failure must not hold back news."""
    if result.kind is SendKind.RATE_LIMITED:
        assert result.retry_after_s is not None, "a rate limit without a wait"
        return timedelta(seconds=result.retry_after_s)
    if result.kind is SendKind.UNAUTHORIZED:
        return DISABLED_RETRY
    base_s = BACKOFF_S[min(max(attempts, 1), len(BACKOFF_S)) - 1]
    return timedelta(seconds=base_s * rng.uniform(1 - JITTER, 1 + JITTER))
