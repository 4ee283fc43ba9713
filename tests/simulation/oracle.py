"""What must be said of one alert, told from the contract alone: it imports nothing of what it judges.

The life of a key is kept as a few dates: since when each severity is breached, since when an open episode is clear,
since when nothing is known, what was last said. Nothing is mutated in place, so `copy.copy` is an independent copy.
Severities are integers, times seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

INFO, WARNING, CRITICAL = 0, 1, 2
BREACH, HOLD, CLEAR = "breach", "hold", "clear"

FLAPS, FLAP_WINDOW_S, FLAP_DIGEST_S = 3, 30 * 60.0, 15 * 60.0
ACKNOWLEDGED_S = 30 * 60.0
FORGOTTEN_AFTER_S = 10 * 60.0
GONE_READS = 2


@dataclass(frozen=True)
class Waits:
    """By severity; a repeat of None is none."""

    for_s: Mapping[int, float]
    keep_firing_for_s: Mapping[int, float]
    repeat_s: Mapping[int, float | None]


class Told(NamedTuple):
    kind: str
    episode: int
    severity: int


class Oracle:
    def __init__(self, waits: Waits, episode: int = 0) -> None:
        self.waits = waits
        self.episode = episode
        self.fired_at: tuple[float, ...] = ()
        self.last_said_at: float | None = None
        self.last_said_severity: int | None = None
        self._rest()

    def _rest(self) -> None:
        """No episode, nothing pending."""
        self.firing = False
        self.severity = INFO
        self.since: dict[int, float] = {}
        self.clear_since: float | None = None
        self.unknown_since: float | None = None
        self.said_severity: int | None = None
        self.muted_until: float | None = None
        self.gone_reads = 0

    @property
    def is_active(self) -> bool:
        return self.firing or bool(self.since)

    def see(self, now: float, verdicts: Mapping[int, str], muted: bool = False) -> Told | None:
        """A known reading: the verdict of each severity that the rule has."""
        if self.clear_since is not None and self.unknown_since is not None:
            self.clear_since += now - self.unknown_since  # time in the dark is no time spent clear
        self.unknown_since, self.gone_reads = None, 0
        begun = {severity: self.since.get(severity, now) for severity, said in verdicts.items() if said == BREACH}
        kept = {s: self.since[s] for s, said in verdicts.items() if said == HOLD and s in self.since}
        self.since = begun | kept
        due = [severity for severity, since in begun.items() if now - since >= self.waits.for_s[severity]]
        if self.firing:
            held = [severity for severity, said in verdicts.items() if said != CLEAR]
            return self._go_on(now, held, due, muted)
        if due:
            self._begin(now, max(due))
        elif not self.since:
            self._rest()
        return self._news(now, muted)

    def see_nothing(self, now: float, muted: bool = False) -> Told | None:
        """A read that failed, or a figure that is unknown."""
        if self.is_active and self.unknown_since is None:
            self.unknown_since = now
        return self._news(now, muted)

    def absent(self, now: float, muted: bool = False) -> Told | None:
        """A good read in which the subject is not there."""
        self.gone_reads += self.is_active
        return self._end(now) if self.gone_reads >= GONE_READS else self._news(now, muted)

    def removed(self, now: float) -> Told | None:
        """Its rule or account is not configured any more."""
        return self._end(now)

    def restarted(self, last_alive: float, now: float) -> None:
        """A new process takes over: what nobody saw did not hold, and was not clear."""
        if not self.firing and now - last_alive > FORGOTTEN_AFTER_S:
            self._rest()
        if self.clear_since is not None and self.unknown_since is None:
            self.unknown_since = last_alive

    def acknowledged(self, now: float) -> None:
        if self.firing:
            self.muted_until = now + ACKNOWLEDGED_S

    def _begin(self, now: float, severity: int) -> None:
        self.firing, self.severity = True, severity
        self.episode += 1
        self.fired_at = (*(at for at in self.fired_at if now - at < FLAP_WINDOW_S), now)[-FLAPS:]

    def _go_on(self, now: float, held: list[int], due: list[int], muted: bool) -> Told | None:
        if not held:
            self.clear_since = now if self.clear_since is None else self.clear_since
            is_over = now - self.clear_since >= self.waits.keep_firing_for_s[self.severity]
            return self._end(now) if is_over else None
        self.clear_since = None
        fallen_to = max([severity for severity in held if severity <= self.severity], default=min(held))
        severity = max([fallen_to, *due])
        if severity > self.severity:
            self.last_said_severity = None  # a rise is never muted as flapping
        self.severity = severity
        if self.said_severity is not None:
            self.said_severity = min(self.said_severity, severity)
        return self._news(now, muted)

    def _news(self, now: float, muted: bool) -> Told | None:
        if not self.firing or self.clear_since is not None or muted:
            return None
        if self.said_severity is not None and self.severity > self.said_severity:
            return self._say("worse", now)
        if self.muted_until is not None and now < self.muted_until:
            return None
        if self.said_severity is None:
            return None if self._flaps(now) else self._say("first", now)
        repeat_s = self.waits.repeat_s[self.severity]
        is_due = repeat_s is not None and self.last_said_at is not None and now - self.last_said_at >= repeat_s
        return self._say("repeat", now) if is_due else None

    def _flaps(self, now: float) -> bool:
        if len(self.fired_at) < FLAPS or self.last_said_at is None or self.last_said_severity is None:
            return False
        return self.severity <= self.last_said_severity and now - self.last_said_at < FLAP_DIGEST_S

    def _say(self, kind: str, now: float) -> Told:
        self.said_severity = self.last_said_severity = self.severity
        self.last_said_at = now
        return Told(kind, self.episode, self.severity)

    def _end(self, now: float) -> Told | None:
        told = self._say("resolved", now) if self.firing and self.said_severity is not None else None
        self._rest()
        return told
