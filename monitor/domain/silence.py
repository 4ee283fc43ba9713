"""Silences: a person's word that some news is not wanted for a while. They mute messages, never state."""

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from monitor.domain.alert import Reason
from monitor.domain.reading import AlertKey, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """Globs over an alert's identity; None matches anything."""

    rule: str | None = None
    account: str | None = None
    subject: str | None = None
    severity: Severity | None = None

    def matches(self, key: AlertKey, severity: Severity) -> bool:
        globs = ((self.rule, key.rule), (self.account, key.account), (self.subject, key.subject))
        return all(glob is None or fnmatchcase(name, glob) for glob, name in globs) and (
            self.severity is None or self.severity is severity
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Mutes what any of its matchers matches, from `starts_at` until `ends_at`."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    author: str
    comment: str

    def mutes(self, key: AlertKey, severity: Severity, reason: Reason, now: datetime) -> bool:
        """A RESOLVED is never muted: who was told of the fire is told that it is out."""
        if reason is Reason.RESOLVED or not self.starts_at <= now < self.ends_at:
            return False
        return any(matcher.matches(key, severity) for matcher in self.matchers)


def muted(silences: tuple[Silence, ...], key: AlertKey, severity: Severity, reason: Reason, now: datetime) -> bool:
    return any(silence.mutes(key, severity, reason, now) for silence in silences)
