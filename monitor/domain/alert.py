"""The life of one alert: a frozen record and its pure transitions. Who is told, and how, stands elsewhere.

Two questions are kept apart: `advance` says what is the case, `reason_to_notify` says whether that is news.
Acknowledgements and silences mute news; they never touch what is the case.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.domain.reading import AlertKey, Inputs, Reading, Severity, Unit, Verdict

# Firings within FLAP_WINDOW that make an alert a flapping one; it is then told of once per FLAP_DIGEST.
FLAP_FIRINGS = 3
FLAP_WINDOW = timedelta(minutes=30)
FLAP_DIGEST = timedelta(minutes=15)
# A fall is silent. One that lasts so long was one: the next rise is news, however seldom the alert repeats.
FALLEN_FOR = timedelta(hours=1)
ACKNOWLEDGED_FOR = timedelta(minutes=30)
# A position is believed gone after this many good reads in a row without it.
ABSENT_READS = 2
# A monitor that was down longer than this cannot say that a condition held all the while.
MAX_DOWNTIME_KEPT = timedelta(minutes=10)


class AlertState(StrEnum):
    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"


class Resolution(StrEnum):
    """Why an episode ended."""

    RECOVERED = "recovered"
    POSITION_GONE = "position gone"
    LIQUIDATED = "liquidated"
    AUTO_DELEVERAGED = "auto-deleveraged"
    REMOVED = "removed from the configuration"
    UNTOLD = "its figure is not told any more"


class Reason(StrEnum):
    """Why somebody is told: an episode's messages read FIRST (REPEAT | WORSE)* RESOLVED; a NOTICE belongs to none."""

    FIRST = "first"
    WORSE = "worse"
    REPEAT = "repeat"
    RESOLVED = "resolved"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelPolicy:
    """The waits of one severity in seconds; `repeat_s` None: told once."""

    for_s: float
    keep_firing_for_s: float
    group_wait_s: float
    repeat_s: float | None


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    levels: Mapping[Severity, LevelPolicy]

    def of(self, severity: Severity) -> LevelPolicy:
        return self.levels[severity]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert as of the last evaluation.

    `breached_since` holds, per severity, since when it has been breached without a clear read between. `paused_at` is
    the first unknown read since the last known one. `announced` is the severity last told of in this episode, None
    before the first message: a fall, which nobody is told of, leaves it until it has lasted for FALLEN_FOR, from
    `fallen_at` on. `last_told` is the same across episodes, but the next episode lowers it as far as it falls before it
    is told of. `sequence` counts the episode's messages. `inputs` are those of the last known reading.
    """

    key: AlertKey
    state: AlertState = AlertState.INACTIVE
    episode: int = 0
    severity: Severity | None = None
    breached_since: Mapping[Severity, datetime] = field(default_factory=dict)
    fired_at: datetime | None = None
    clear_at: datetime | None = None
    resolved_at: datetime | None = None
    resolution: Resolution | None = None
    notified_at: datetime | None = None
    announced: Severity | None = None
    last_told: Severity | None = None
    fallen_at: datetime | None = None
    sequence: int = 0
    worst_value: float | None = None
    last_value: float | None = None
    threshold: float | None = None
    unit: Unit = Unit.RATIO
    inputs: Inputs = field(default_factory=dict)
    paused_at: datetime | None = None
    absent_reads: int = 0
    flaps: int = 0
    firings: tuple[datetime, ...] = ()
    acked_until: datetime | None = None

    @property
    def active_at(self) -> datetime | None:
        """Since when the condition has held at any severity."""
        return min(self.breached_since.values(), default=None)

    @property
    def is_active(self) -> bool:
        return self.state is not AlertState.INACTIVE

    @property
    def is_firing(self) -> bool:
        """An episode is open: told of, or about to be."""
        return self.state in (AlertState.FIRING, AlertState.RECOVERING)

    @property
    def is_flapping(self) -> bool:
        return len(self.firings) >= FLAP_FIRINGS

    @property
    def just_resolved(self) -> bool:
        return self.state is AlertState.INACTIVE and self.resolved_at is not None


def advance(alert: Alert, reading: Reading, policy: AlertPolicy, now: datetime) -> Alert:
    """The alert after one evaluation. Equal to `alert` where nothing changed."""
    assert reading.key == alert.key
    if reading.is_unknown:
        return advance_unknown(alert, now)
    alert = _resumed(_opened(alert), now)
    alert = replace(alert, breached_since=_breached_since(alert, reading, now), absent_reads=0)
    if alert.is_active or reading.verdict is Verdict.BREACH:
        alert = _observed(alert, reading)
    match alert.state:
        case AlertState.INACTIVE | AlertState.PENDING:
            return _before_firing(alert, reading, policy, now)
        case AlertState.FIRING | AlertState.RECOVERING:
            return _while_firing(alert, reading, policy, now)


def advance_unknown(alert: Alert, now: datetime) -> Alert:
    """The alert after a read that tells nothing: it neither starts, clears nor resolves anything."""
    alert = _opened(alert)
    return replace(alert, paused_at=now) if alert.is_active and alert.paused_at is None else alert


def advance_absent(alert: Alert, now: datetime, resolution: Resolution = Resolution.POSITION_GONE) -> Alert:
    """The alert after a good read in which its subject did not exist."""
    if not alert.is_active:
        return _opened(alert)
    absent_reads = alert.absent_reads + 1
    if absent_reads < ABSENT_READS:
        return replace(alert, absent_reads=absent_reads)
    return end(alert, resolution, now)


def end(alert: Alert, resolution: Resolution, now: datetime) -> Alert:
    """Close an alert for a reason other than its own reading; silently where nothing had fired."""
    if alert.is_firing:
        return _resolved(alert, resolution, now)
    return _cleared(alert)


def after_downtime(alert: Alert, last_alive_at: datetime, now: datetime) -> Alert:
    """The alert as a restarted monitor takes it up: what it did not see, it does not count as held or as clear."""
    if now - last_alive_at > MAX_DOWNTIME_KEPT:
        if alert.state is AlertState.PENDING:
            return _cleared(alert)
        alert = replace(alert, breached_since=_served(alert))
    waits = alert.state is AlertState.RECOVERING or alert.fallen_at is not None
    if waits and alert.paused_at is None:
        return replace(alert, paused_at=last_alive_at)
    return alert


def reason_to_notify(alert: Alert, policy: AlertPolicy, now: datetime) -> Reason | None:
    """What is news about the alert now, if anything; muting by a silence is the caller's question."""
    if alert.just_resolved:
        return Reason.RESOLVED if alert.announced is not None else None
    if alert.state is not AlertState.FIRING or alert.severity is None:
        return None
    if alert.announced is not None and alert.severity > alert.announced:
        return Reason.WORSE
    if alert.acked_until is not None and now < alert.acked_until:
        return None
    if alert.announced is None:
        return None if _muted_as_flapping(alert, now) else Reason.FIRST
    repeat_s = policy.of(alert.severity).repeat_s
    if repeat_s is not None and alert.notified_at is not None:
        return Reason.REPEAT if now - alert.notified_at >= timedelta(seconds=repeat_s) else None
    return None


def notified(alert: Alert, reason: Reason, now: datetime) -> Alert:
    """The alert once its message has been handed over for delivery."""
    announced = None if reason is Reason.RESOLVED else alert.severity
    return replace(alert, announced=announced, last_told=alert.severity, notified_at=now, sequence=alert.sequence + 1)


def has_only_fresher_figures(alert: Alert, before: Alert | None) -> bool:
    """Nothing that decides anything changed, nor the worst that was seen."""
    return before is not None and alert == replace(before, last_value=alert.last_value, inputs=alert.inputs)


def acknowledge(alert: Alert, now: datetime) -> Alert:
    """Mute repeats for a while; a rise in severity passes and ends it."""
    return replace(alert, acked_until=now + ACKNOWLEDGED_FOR) if alert.is_firing else alert


def _opened(alert: Alert) -> Alert:
    """A resolved alert is inactive from its next evaluation on."""
    return _cleared(alert) if alert.just_resolved else alert


def _cleared(alert: Alert) -> Alert:
    """Inactive, with nothing left but what outlives an episode: its number, the firings, when it was last told of."""
    return replace(
        Alert(key=alert.key),
        episode=alert.episode,
        firings=alert.firings,
        last_told=alert.last_told,
        notified_at=alert.notified_at,
    )


def _resumed(alert: Alert, now: datetime) -> Alert:
    """Time spent not knowing does not count towards recovery, nor as fallen."""
    if alert.paused_at is None:
        return alert
    unknown = now - alert.paused_at
    return replace(
        alert,
        paused_at=None,
        clear_at=alert.clear_at and alert.clear_at + unknown,
        fallen_at=alert.fallen_at and alert.fallen_at + unknown,
    )


def _served(alert: Alert) -> dict[Severity, datetime]:
    """The starts of what fires already; a worse severity has yet to hold for its own wait."""
    fires = alert.severity
    return {level: since for level, since in alert.breached_since.items() if fires is not None and level <= fires}


def _breached_since(alert: Alert, reading: Reading, now: datetime) -> dict[Severity, datetime]:
    """A held level keeps its start, so that a value at the very threshold cannot put off its alert for ever."""
    since: dict[Severity, datetime] = {}
    for level in reading.levels:
        started = alert.breached_since.get(level.severity)
        if level.verdict is Verdict.BREACH:
            since[level.severity] = started or now
        elif level.verdict is Verdict.HOLD and started is not None:
            since[level.severity] = started
    return since


def _observed(alert: Alert, reading: Reading) -> Alert:
    worst = alert.worst_value
    if reading.value is not None:
        pick = max if reading.higher_is_worse else min
        worst = reading.value if worst is None else pick(worst, reading.value)
    return replace(
        alert,
        last_value=reading.value,
        worst_value=worst,
        threshold=reading.threshold,
        unit=reading.unit,
        inputs=reading.inputs,
    )


def _due(alert: Alert, reading: Reading, policy: AlertPolicy, now: datetime) -> Severity | None:
    """The worst severity that is breached now and has been for its own `for`."""
    due = [
        level.severity
        for level in reading.levels
        if level.verdict is Verdict.BREACH
        and now - alert.breached_since[level.severity] >= timedelta(seconds=policy.of(level.severity).for_s)
    ]
    return max(due, default=None)


def _before_firing(alert: Alert, reading: Reading, policy: AlertPolicy, now: datetime) -> Alert:
    if not alert.breached_since:
        return _cleared(alert)
    due = _due(alert, reading, policy, now)
    if due is None:
        return replace(alert, state=AlertState.PENDING, severity=max(alert.breached_since))
    recent = tuple(at for at in alert.firings if now - at < FLAP_WINDOW)
    return replace(
        alert,
        state=AlertState.FIRING,
        severity=due,
        episode=alert.episode + 1,
        fired_at=now,
        clear_at=None,
        announced=None,
        last_told=_lowered(alert.last_told, due),
        sequence=0,
        flaps=0,
        acked_until=None,
        firings=(*recent, now)[-FLAP_FIRINGS:],
    )


def _while_firing(alert: Alert, reading: Reading, policy: AlertPolicy, now: datetime) -> Alert:
    assert alert.severity is not None
    if reading.verdict is Verdict.CLEAR:
        return _while_clear(alert, policy, now)
    held = [level.severity for level in reading.levels if level.verdict in (Verdict.BREACH, Verdict.HOLD)]
    # A level above it that has not served its wait neither raises nor ends the alert.
    kept = max((severity for severity in held if severity <= alert.severity), default=alert.severity)
    severity = max(kept, _due(alert, reading, policy, now) or kept)
    back = alert.state is AlertState.RECOVERING and reading.verdict is Verdict.BREACH
    known = alert.severity if alert.announced is None else alert.announced
    return replace(
        _fallen(alert, severity, now),
        state=AlertState.FIRING,
        severity=severity,
        clear_at=None,
        last_told=alert.last_told if alert.announced is not None else _lowered(alert.last_told, severity),
        flaps=alert.flaps + int(back),
        # What was acknowledged was less than this.
        acked_until=None if severity > known else alert.acked_until,
    )


def _fallen(alert: Alert, severity: Severity, now: datetime) -> Alert:
    """With what counts as told lowered, where it has been less than that for long."""
    if alert.announced is None or severity >= alert.announced:
        return replace(alert, fallen_at=None)
    fallen_at = alert.fallen_at or now
    if now - fallen_at < FALLEN_FOR:
        return replace(alert, fallen_at=fallen_at)
    return replace(alert, fallen_at=None, announced=severity)


def _lowered(told: Severity | None, severity: Severity) -> Severity | None:
    """Of an episode that nobody knows of yet, the lowest severity counts as told, so that its first rise is news."""
    return None if told is None else min(told, severity)


def _while_clear(alert: Alert, policy: AlertPolicy, now: datetime) -> Alert:
    assert alert.severity is not None
    clear_at = alert.clear_at or now
    if now - clear_at >= timedelta(seconds=policy.of(alert.severity).keep_firing_for_s):
        return _resolved(alert, Resolution.RECOVERED, now)
    return replace(_fallen(alert, alert.severity, now), state=AlertState.RECOVERING, clear_at=clear_at)


def _resolved(alert: Alert, resolution: Resolution, now: datetime) -> Alert:
    """Severity, worst value and announcement stay for the message; the next evaluation opens a clean record."""
    return replace(
        alert,
        state=AlertState.INACTIVE,
        resolved_at=now,
        resolution=resolution,
        breached_since={},
        clear_at=None,
        paused_at=None,
        absent_reads=0,
        acked_until=None,
    )


def _muted_as_flapping(alert: Alert, now: datetime) -> bool:
    """Flapping alerts are told of once per FLAP_DIGEST; a new episode worse than the last told passes."""
    if not alert.is_flapping or alert.notified_at is None or alert.last_told is None or alert.severity is None:
        return False
    if alert.severity > alert.last_told:
        return False
    return now - alert.notified_at < FLAP_DIGEST
