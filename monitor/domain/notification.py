"""One row of the outbox: who is told what, and how far that has come. Rows hold facts; text is made at sending."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from monitor.domain.alert import Alert, Reason, Resolution
from monitor.domain.reading import AlertKey, Inputs, Scope, Severity, Unit


class DeliveryState(StrEnum):
    """PENDING -> SENDING -> SENT | RETRY | DEAD; SUPERSEDED where a later message stands for this one."""

    PENDING = "pending"
    SENDING = "sending"
    RETRY = "retry"
    SENT = "sent"
    DEAD = "dead"
    SUPERSEDED = "superseded"

    @property
    def is_open(self) -> bool:
        return self in (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.RETRY)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFacts:
    """What is known of an alert when its message is enqueued; enough to render it in any channel."""

    rule_kind: str
    venue: str
    threshold: float | None
    value: float | None
    worst_value: float | None
    unit: Unit
    active_at: datetime | None
    fired_at: datetime | None
    resolved_at: datetime | None
    resolution: Resolution | None
    is_flapping: bool
    inputs: Inputs

    @property
    def is_bad_end(self) -> bool:
        """The venue took the position."""
        return self.resolution in (Resolution.LIQUIDATED, Resolution.AUTO_DELEVERAGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFacts:
    """News that no rule judges: of the monitor's own life (started, a bad edit), of what a venue did."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """(key, episode, sequence, reason, target) is unique. `id` is the row's, None until stored.

    `send_after` is when its group wait is over; `next_attempt_at` when a retry is due. `possible_repeat` marks a row
    whose last attempt may have arrived without our knowing (crash, timeout, lost connection).
    """

    key: AlertKey
    episode: int
    sequence: int
    reason: Reason
    target: str
    severity: Severity
    facts: AlertFacts | NoticeFacts
    created_at: datetime
    send_after: datetime
    id: int | None = None
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    next_attempt_at: datetime | None = None
    possible_repeat: bool = False
    delivered_at: datetime | None = None
    dead_at: datetime | None = None
    last_error: str | None = None


def is_bad_end(row: Notification) -> bool:
    """The end of the episode is the worst of its news: the venue took the position."""
    return isinstance(row.facts, AlertFacts) and row.facts.is_bad_end


def notice_key(subject: str) -> AlertKey:
    """What a message of the monitor's own life is filed under."""
    return AlertKey("monitor", "*", Scope.PORTFOLIO, subject)


def notices(
    targets: Iterable[str],
    key: AlertKey,
    episode: int,
    title: str,
    lines: Iterable[str],
    severity: Severity,
    now: datetime,
) -> tuple[Notification, ...]:
    """A message that belongs to no alert, for each target; each needs an episode of its own."""
    facts = NoticeFacts(title=title, lines=tuple(lines))
    return tuple(
        Notification(
            key=key,
            episode=episode,
            sequence=0,
            reason=Reason.NOTICE,
            target=target,
            severity=severity,
            facts=facts,
            created_at=now,
            send_after=now,
        )
        for target in targets
    )


def facts_of(alert: Alert, rule_kind: str, venue: str) -> AlertFacts:
    return AlertFacts(
        rule_kind=rule_kind,
        venue=venue,
        threshold=alert.threshold,
        value=alert.last_value,
        worst_value=alert.worst_value,
        unit=alert.unit,
        active_at=alert.active_at,
        fired_at=alert.fired_at,
        resolved_at=alert.resolved_at,
        resolution=alert.resolution,
        is_flapping=alert.is_flapping,
        inputs=alert.inputs,
    )
