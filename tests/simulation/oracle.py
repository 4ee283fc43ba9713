"""What must have been told of one alert, worked out from the contract alone; nothing here is the monitor's.

No state is named: all follows from since when what was breached, or clear. Times are whole microseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

INFO, WARNING, CRITICAL = 0, 1, 2
BREACH, HOLD, CLEAR, MINUTE = "breach", "hold", "clear", 60 * 1_000_000


@dataclass(frozen=True)
class Waits:
    for_s: Mapping[int, float]  # seconds per severity; a repeat of None is never
    keep_firing_for_s: Mapping[int, float]
    repeat_s: Mapping[int, float | None]


class Told(NamedTuple):
    kind: str  # first, worse, repeat, resolved or what the venue did
    episode: int
    severity: int


@dataclass
class _Episode:
    severity: int
    flaps: bool
    told: bool = False
    muted_until: int = 0
    clear_from: int | None = None  # these two without the time in which nothing was seen
    fallen_from: int | None = None


class Oracle:
    """The life of one alert key. `now` is in seconds; `muted` says that a silence is on."""

    def __init__(self, waits: Waits, episode: int = 0) -> None:
        self.waits, self.episode = waits, episode
        self._breached: dict[int, int] = {}
        self._open: _Episode | None = None
        self._absences = self._ahead = self._unseen = 0
        self._unseen_from: int | None = None
        self._openings: list[int] = []
        self._told_at: int | None = None
        # What they believe who had the last message, or the lowest of an episode they know nothing of: more is a rise.
        self._known = CRITICAL

    def copy(self) -> "Oracle":
        twin = Oracle.__new__(Oracle)  # as copy.copy, but quick; its collections are never changed in place
        twin.__dict__ |= self.__dict__ | {"_open": self._open and replace(self._open)}
        return twin

    @property
    def firing(self) -> bool:
        return self._open is not None

    @property
    def is_active(self) -> bool:
        return self._open is not None or bool(self._breached)

    def see(self, now: float, verdicts: Mapping[int, str], muted: bool = False) -> Told | None:
        """A good read that judges the subject: a verdict for each severity that the rule has."""
        at, episode, self._absences = self._at(now), self._open, 0
        standing = {s for s in verdicts if verdicts[s] != CLEAR}
        starting = {s for s in standing if verdicts[s] == BREACH}
        self._breached = {s: self._breached.get(s, at) for s in standing if s in starting or s in self._breached}
        served = {s for s in starting if at - self._breached[s] >= 1e6 * self.waits.for_s[s]}
        if self._unseen_from is not None:
            self._unseen, self._unseen_from = self._unseen + at - self._unseen_from, None
        if episode is None:
            if not served:
                return None
            self._openings = [opening for opening in self._openings if at - opening < 30 * MINUTE] + [at]
            episode = self._open = _Episode(max(served), flaps=len(self._openings) >= 3)
            self.episode, self._known = self.episode + 1, min(self._known, episode.severity)
        elif standing:
            self._burn(episode, max({s for s in standing if s <= episode.severity} | served, default=episode.severity))
        elif self._clear_long_enough(episode, at - self._unseen):
            return self.removed(now)
        self._fall(episode, at - self._unseen)
        return self._news(episode, at, muted)

    def see_nothing(self, now: float, muted: bool = False) -> Told | None:
        self._unseen_from = self._at(now) if self._unseen_from is None else self._unseen_from
        return self._news(self._open, self._at(now), muted)

    def absent(self, now: float, muted: bool = False) -> Told | None:
        """A good read in which the subject is not there: the second in a row, whatever failed between, is the end."""
        self._absences += self.is_active
        return self.removed(now) if self._absences == 2 else self._news(self._open, self._at(now), muted)

    def concerns(self, at: float) -> bool:
        """Whether the venue can have taken then what this alert is of; its clock is off by a minute at most."""
        return self._open is None or self._at(at) >= self._openings[-1] - MINUTE

    def removed(self, now: float, how: str = "resolved") -> Told | None:
        """The end: it was long enough clear, is gone, is no longer in the configuration, or the venue took it."""
        episode, self._open, self._breached, self._absences = self._open, None, {}, 0
        return self._tell(how, episode, self._at(now)) if episode and episode.told else None

    def restarted(self, last_alive: float, now: float) -> None:
        """What was not watched has neither held nor been clear; a short absence does not start a wait anew."""
        self._ahead += max(0, self._at(last_alive) - self._at(now))  # a clock set back takes all times with it
        if self._at(now) - self._at(last_alive) > 10 * MINUTE:
            self._breached, self._absences = {}, self._absences if self._open else 0
        self.see_nothing(min(last_alive, now), muted=True)

    def acknowledged(self, now: float) -> None:
        if self._open:
            self._open.muted_until = self._at(now) + 30 * MINUTE

    def _fall(self, episode: _Episode, seen: int) -> None:
        lasts = episode.told and episode.severity < self._known
        episode.fallen_from = (seen if episode.fallen_from is None else episode.fallen_from) if lasts else None
        if episode.fallen_from is not None and seen - episode.fallen_from >= 60 * MINUTE:
            episode.fallen_from, self._known = None, episode.severity  # nobody believes for an hour what is not so

    def _burn(self, episode: _Episode, severity: int) -> None:
        if severity > (self._known if episode.told else episode.severity):
            episode.muted_until = 0  # what was acknowledged was less than this
        episode.severity, episode.clear_from = severity, None
        self._known = self._known if episode.told else min(self._known, severity)

    def _clear_long_enough(self, episode: _Episode, seen: int) -> bool:
        episode.clear_from = seen if episode.clear_from is None else episode.clear_from
        return seen - episode.clear_from >= 1e6 * self.waits.keep_firing_for_s[episode.severity]

    def _news(self, episode: _Episode | None, at: int, muted: bool) -> Told | None:
        if episode is None or muted or episode.clear_from is not None:
            return None
        rise, since_told = episode.severity > self._known, None if self._told_at is None else at - self._told_at
        if episode.told and rise:
            return self._tell("worse", episode, at)
        if at < episode.muted_until:
            return None
        if not episode.told:
            digested = episode.flaps and since_told is not None and since_told < 15 * MINUTE and not rise
            return None if digested else self._tell("first", episode, at)
        after = self.waits.repeat_s[episode.severity]
        return self._tell("repeat", episode, at) if after and since_told and since_told >= 1e6 * after else None

    def _tell(self, kind: str, episode: _Episode, at: int) -> Told:
        episode.told, self._told_at, self._known = True, at, episode.severity
        return Told(kind, self.episode, episode.severity)

    def _at(self, now: float) -> int:
        return round(now * 1_000_000) + self._ahead
