"""Public market data, shared by every account of a venue; each figure carries the time it was received."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from monitor.domain.account import Instrument
from monitor.domain.study import NoStudy, Study

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Observed(Generic[T]):
    value: T
    observed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingRate:
    """The rate of the next payment (a long pays where it is above 0), a fraction of notional per `interval`.

    `origin` names the reply it was read from; `interval` is None where the venue does not tell it.
    """

    instrument: Instrument
    rate: float
    interval: timedelta | None
    next_at: datetime | None
    origin: str


@dataclass(frozen=True, slots=True)
class Tier:
    """One maintenance bracket over notional in settle units."""

    floor: float
    cap: float
    rate: float
    amount: float

    def maintenance(self, notional: float) -> float:
        """In settle units; of a notional that this bracket holds."""
        return notional * self.rate - self.amount


Tiers = tuple[Tier, ...]


def continuous_amount(before: Sequence[Tier], floor: float, rate: float) -> float:
    """The amount with which a bracket that begins there goes on where those before it end."""
    return before[-1].amount + floor * (rate - before[-1].rate) if before else 0.0


# Venues round the amounts that they tell.
ROUNDING = 1e-6


def are_sound(tiers: Tiers) -> bool:
    """Whether brackets can be: they begin at 0, do not lap over each other, and never ask for less than nothing."""
    starts = [0.0, *(tier.cap for tier in tiers)]
    return (not tiers or tiers[0].floor == 0) and all(
        start <= tier.floor < tier.cap
        and 0 <= tier.rate <= 1
        # Between two brackets that do not meet counts the upper one.
        and -ROUNDING <= tier.amount <= start * tier.rate * (1 + ROUNDING) + ROUNDING
        for start, tier in zip(starts, tiers, strict=False)
    )


@dataclass(frozen=True, slots=True)
class Resting:
    """What rests in an order book at one price; `size` in base units (of inverse contracts as well)."""

    price: float
    size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """An order book from the best price outwards: `bids` fall, `asks` rise. It may end before the venue's own does."""

    bids: tuple[Resting, ...]
    asks: tuple[Resting, ...]


@dataclass(frozen=True, slots=True)
class NoBook:
    """Why no order book of an instrument is known. `is_untold`: its venue tells none. `is_pending`: it was asked for,
    and has not had its turn yet."""

    why: str
    is_untold: bool = False
    is_pending: bool = False

    @property
    def inputs(self) -> Mapping[str, str | bool]:
        """Of a reading that is unknown for want of it."""
        return {"why": self.why} | ({"is_pending": True} if self.is_pending else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketState:
    """What is publicly known of one instrument; None where it was not (yet) read, and where no rule needs it.

    `no_study` says why candles that were read made no study.
    `no_book` says why no order book of it is known.
    """

    instrument: Instrument
    mark_price: Observed[float] | None = None
    funding: Observed[FundingRate] | None = None
    tiers: Observed[Tiers] | None = None
    study: Observed[Study] | None = None
    no_study: NoStudy | None = None
    book: Observed[Book] | None = None
    no_book: NoBook | None = None


# Market states of one venue by symbol.
Markets = Mapping[str, MarketState]
