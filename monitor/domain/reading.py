"""What a rule says of one subject in one evaluation: a verdict per severity, and the figures behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """Ordered, so that the worse of two is `max`."""

    INFO = 0
    WARNING = 1
    CRITICAL = 2

    def __str__(self) -> str:
        return self.name.lower()


class Scope(StrEnum):
    POSITION = "position"
    POOL = "pool"
    ACCOUNT = "account"
    PORTFOLIO = "portfolio"


class Need(StrEnum):
    """What a rule judges by that is read for such rules alone."""

    ORDERS = "orders"
    CANDLES = "candles"
    BOOKS = "books"
    LEDGER = "ledger"


class Verdict(StrEnum):
    """BREACH is past the threshold, HOLD inside the hysteresis band, CLEAR past the clear threshold."""

    BREACH = "breach"
    HOLD = "hold"
    CLEAR = "clear"
    UNKNOWN = "unknown"


class Unit(StrEnum):
    """How a value is written for people; values themselves are plain numbers (a ratio of 0.5 is 50 %)."""

    RATIO = "ratio"
    RATIO_PER_DAY = "ratio_per_day"
    SECONDS = "seconds"
    COUNT = "count"
    LEVERAGE = "leverage"
    RANK = "rank"


# In the place of an account, for what is judged over all of them.
PORTFOLIO = "*"


@dataclass(frozen=True, slots=True, order=True)
class AlertKey:
    """The identity of an alert. Editing a rule's thresholds or text keeps it. `account` may be PORTFOLIO."""

    rule: str
    account: str
    scope: Scope
    subject: str

    def is_about(self, subject: str) -> bool:
        """Whether it is that subject's, or of a part of it that is named after it: `BTC/USDT:USDT long +10%`."""
        return self.subject == subject or self.subject.startswith(f"{subject} ")


@dataclass(frozen=True, slots=True)
class Level:
    """The verdict at one severity. `threshold` is None for a rule that has none (a failed login, say)."""

    severity: Severity
    verdict: Verdict
    threshold: float | None


def _decisive(levels: tuple[Level, ...]) -> Level:
    """The level that speaks for a reading: the worst breached, else the worst held, else the lowest."""
    decisive = last = levels[0]
    for level in levels[1:]:
        assert level.severity > last.severity, "levels ascend"
        last = level
        if level.verdict is Verdict.BREACH or (
            level.verdict is Verdict.HOLD and decisive.verdict is not Verdict.BREACH
        ):
            decisive = level
    return decisive


# What the rendering needs to explain a reading: plain JSON values, units last in the names.
Inputs = Mapping[str, str | float | int | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One rule's judgement of one subject. `levels` ascend by severity and are never empty.

    `value` is None where it is unknown, or where no number describes the breach (equity gone). `higher_is_worse`
    tells which of two values is the worst.
    """

    key: AlertKey
    levels: tuple[Level, ...]
    value: float | None
    unit: Unit
    higher_is_worse: bool = True
    inputs: Inputs = field(default_factory=dict)
    _decisive: Level = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        assert self.levels, "a reading without a level judges nothing"
        object.__setattr__(self, "_decisive", _decisive(self.levels))

    @property
    def verdict(self) -> Verdict:
        return self._decisive.verdict

    @property
    def severity(self) -> Severity | None:
        """The severity breached or held; None when all is clear or unknown."""
        decisive = self._decisive
        return decisive.severity if decisive.verdict in (Verdict.BREACH, Verdict.HOLD) else None

    @property
    def threshold(self) -> float | None:
        return self._decisive.threshold

    @property
    def is_unknown(self) -> bool:
        return self.verdict is Verdict.UNKNOWN
