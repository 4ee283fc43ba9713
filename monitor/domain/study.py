"""What past prices say of one instrument: how far it moves in a day, and how far it moves with bitcoin."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Frame(StrEnum):
    """How long one candle is."""

    HOUR = "1h"
    DAY = "1d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """Prices of one stretch of time that began `at`, in quote units."""

    at: datetime
    open: float
    high: float
    low: float
    close: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """Estimates from one instrument's candles; formulas and sources stand in `risk.volatility`. Each is itself alone.

    Sigmas are standard deviations of a day's return, as fractions: `fast` follows hours, `slow` weeks. `atr` is the
    average true range of 14 days in quote units. `returns` are the logarithmic returns of whole days (UTC).
    """

    fast_sigma: float
    slow_sigma: float
    atr: float
    returns: Mapping[date, float]

    @property
    def sigma(self) -> float:
        """The larger one: turbulence counts at once, and calm only once it has lasted."""
        return max(self.fast_sigma, self.slow_sigma)


@dataclass(frozen=True, slots=True)
class NoStudy:
    """Why there is no study of an instrument. `is_untold`: its venue tells no candles, or for days too few of
    them, and nobody can do anything about it.

    `is_pending`: it was asked for, and has not had its turn yet.
    """

    why: str
    is_untold: bool = False
    is_pending: bool = False

    @property
    def inputs(self) -> Mapping[str, str | bool]:
        """Of a reading that is unknown for want of it."""
        return {"why": self.why} | ({"is_pending": True} if self.is_pending else {})
