"""What a seed decides before anything runs: prices, what owners do, and all that goes wrong, each at its time.

Every part has dice of its own, so that one of them can change without the others. Times are seconds from the start.
"""

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from monitor.paper.faults import FaultKind

ACCOUNTS = ("anna", "bert", "cleo", "dora")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
CHANNELS = ("phone", "desk", "spare")
# Prices stand still between two of these moments.
STEP_S = 10.0
# The first minutes and the last hour are calm, so that all that is owed can arrive.
CALM_START_S, CALM_END_S = 300.0, 3600.0
LONGEST_LAG_S = 200.0

# What a venue does on a bad day, with how often it is drawn.
VENUE_FAULTS: dict[FaultKind, int] = {
    FaultKind.LATENCY: 6,
    FaultKind.HANG: 3,
    FaultKind.CLOCK_SKEW: 2,
    FaultKind.RATE_LIMITED: 4,
    FaultKind.BANNED: 1,
    FaultKind.SERVER_ERROR: 3,
    FaultKind.OVERLOADED: 2,
    FaultKind.FORBIDDEN: 1,
    FaultKind.REGION: 1,
    FaultKind.HTML: 2,
    FaultKind.TRUNCATED: 2,
    FaultKind.EMPTY_BODY: 2,
    FaultKind.EMPTY_OBJECT: 2,
    FaultKind.EMPTY_LIST: 3,
    FaultKind.NULL: 2,
    FaultKind.NO_POSITIONS: 3,
    FaultKind.NOT_A_NUMBER: 3,
    FaultKind.STALE: 4,
}


class Outage(StrEnum):
    """What a channel does instead of taking a message. LOST takes it, and its answer never arrives."""

    HANG = "hang"
    LOST = "lost"
    RATE_LIMITED = "rate limited"
    SERVER_ERROR = "server error"
    UNAUTHORIZED = "unauthorized"
    REJECTED = "rejected"
    REFUSED = "connection refused"


class Deed(StrEnum):
    """What owners and the venue do to positions and terms."""

    TIDY = "tidy"
    CLOSE = "close"
    ADL = "adl"
    FUNDING = "funding"
    BRACKETS = "brackets"


class Blow(StrEnum):
    """What happens to the process."""

    KILL = "kill"
    STOP = "stop"
    EDIT = "edit"
    BAD_EDIT = "bad edit"
    JUMP = "jump of the wall clock"


@dataclass(frozen=True, slots=True)
class Window:
    """Something that lasts. `who` is an account or channel, None for all; `amount` as the kind wants it."""

    start: float
    end: float
    kind: FaultKind | Outage | None
    who: str | None = None
    amount: float = 0.0


class Windows:
    """Windows that may overlap: of those open at a time, the first that concerns somebody speaks."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._windows = sorted(windows, key=lambda window: window.start)
        self._longest = max((w.end - w.start for w in self._windows), default=0.0)
        self._starts = [window.start for window in self._windows]

    def at(self, time: float, who: str | None = None) -> Window | None:
        last = bisect_right(self._starts, time)
        first = bisect_right(self._starts, time - self._longest)
        for window in self._windows[first:last]:
            if time < window.end and (window.who is None or window.who == who):
                return window
        return None

    def between(self, start: float, end: float, who: str) -> list[Window]:
        """All that concern somebody and are open at some time between those."""
        return [w for w in self._windows if w.start <= end and w.end > start and w.who in (None, who)]

    def __len__(self) -> int:
        return len(self._windows)


@dataclass(frozen=True, slots=True)
class Swing:
    """A price leaves its base by `depth` (a logarithm) within `down_s`, stays `stay_s`, comes back within `back_s`."""

    start: float
    down_s: float
    stay_s: float
    back_s: float
    depth: float

    def at(self, time: float) -> float:
        passed = time - self.start
        if passed < 0 or passed > self.down_s + self.stay_s + self.back_s:
            return 0.0
        if passed < self.down_s:
            return self.depth * passed / self.down_s
        left = self.down_s + self.stay_s + self.back_s - passed
        return self.depth * min(1.0, left / self.back_s)


@dataclass(frozen=True, slots=True)
class Plan:
    """One world's fate. Deeds and blows come with dice of their own."""

    seed: int
    length_s: float
    swings: dict[str, tuple[Swing, ...]]
    faults: Windows
    outages: Windows
    disk: Windows
    deeds: tuple[tuple[float, Deed, int], ...]
    blows: tuple[tuple[float, Blow, int], ...]
    # Some venues have no records of what they took.
    has_records: bool

    def lag_s(self, account: str, at: float) -> float:
        """How long the venue's records of what it did to the account at that time are not shown yet."""
        dice = random.Random(f"{self.seed}:{account}:{at}:record")
        return dice.uniform(0, LONGEST_LAG_S) if dice.random() < 0.6 else 0.0

    def is_stale(self, account: str, start: float, end: float) -> bool:
        """Whether the venue tells the account old things at any time between those."""
        return any(window.kind is FaultKind.STALE for window in self.faults.between(start, end, account))

    @classmethod
    def of(cls, seed: int, length_s: float) -> "Plan":
        def dice(part: str) -> random.Random:
            return random.Random(f"{seed}:{part}")

        return cls(
            seed=seed,
            length_s=length_s,
            swings={symbol: tuple(_swings(dice(symbol), length_s)) for symbol in SYMBOLS},
            faults=Windows(list(_faults(dice("faults"), length_s))),
            outages=Windows(list(_outages(dice("outages"), length_s))),
            disk=Windows(list(_full_disks(dice("disk"), length_s))),
            deeds=tuple(
                (t, d.choice(list(Deed)), d.randrange(10**6)) for d, t in _times(dice("deeds"), length_s, 2700)
            ),
            blows=tuple(_blows(dice("blows"), length_s)),
            has_records=dice("records").random() < 0.9,
        )


def _times(dice: random.Random, length_s: float, every_s: float) -> Iterator[tuple[random.Random, float]]:
    """Moments about so far apart, none of them in the calm at both ends."""
    time = CALM_START_S
    while (time := time + dice.expovariate(1 / every_s)) < length_s - CALM_END_S:
        yield dice, time


def _swings(dice: random.Random, length_s: float) -> Iterator[Swing]:
    """Most stay short of a warning, some end in liquidation; a few last only for a read or two."""
    for _, time in _times(dice, length_s, 4 * 3600):
        quick = dice.random() < 0.3
        down_s = dice.uniform(10, 60) if quick else dice.uniform(60, 900)
        stay_s = dice.uniform(0, 60) if quick else dice.uniform(0, 900)
        back_s = dice.uniform(10, 60) if quick else dice.uniform(60, 900)
        depth = dice.choice((-1, 1)) * dice.choice((0.04, 0.07, 0.1, 0.12, 0.14, 0.16, 0.3)) * dice.uniform(0.9, 1.1)
        yield Swing(time, down_s, stay_s, back_s, depth)


def _faults(dice: random.Random, length_s: float) -> Iterator[Window]:
    kinds, weights = list(VENUE_FAULTS), list(VENUE_FAULTS.values())
    for _, time in _times(dice, length_s, 1800):
        kind = dice.choices(kinds, weights)[0]
        lasts_s = dice.choice((5, 15, 40, 120, 600)) * dice.uniform(0.5, 2)
        who = None if dice.random() < 0.4 else dice.choice(ACCOUNTS)
        amount = {
            FaultKind.LATENCY: dice.uniform(0.2, 14),
            FaultKind.CLOCK_SKEW: dice.choice((-1, 1)) * dice.uniform(2, 600),
            FaultKind.RATE_LIMITED: dice.choice((0, 1, 5, 30, 61)),
            FaultKind.BANNED: dice.uniform(60, 400),
            FaultKind.SERVER_ERROR: dice.choice((500, 502, 503, 504)),
        }.get(kind, dice.randrange(3))
        yield _window(time, lasts_s, length_s, kind, who, amount)


def _outages(dice: random.Random, length_s: float) -> Iterator[Window]:
    for _, time in _times(dice, length_s, 3600):
        lasts_s = dice.choice((30, 120, 900, 3600)) * dice.uniform(0.5, 1.5)
        who = None if dice.random() < 0.2 else dice.choice(CHANNELS)
        yield _window(
            time,
            lasts_s,
            length_s,
            dice.choices(list(Outage), (2, 4, 1, 1, 1, 1, 1))[0],
            who,
            dice.choice((1, 5, 30, 200)),
        )


def _full_disks(dice: random.Random, length_s: float) -> Iterator[Window]:
    for _, time in _times(dice, length_s, 8 * 3600):
        yield _window(time, dice.uniform(5, 900), length_s)


def _window(
    time: float,
    lasts_s: float,
    length_s: float,
    kind: FaultKind | Outage | None = None,
    who: str | None = None,
    amount: float = 0.0,
) -> Window:
    return Window(time, min(time + lasts_s, length_s - CALM_END_S), kind, who, amount)


def _blows(dice: random.Random, length_s: float) -> Iterator[tuple[float, Blow, int]]:
    for _, time in _times(dice, length_s, 2 * 3600):
        yield time, dice.choices(list(Blow), (6, 1, 3, 1, 2))[0], dice.randrange(10**6)
