"""What the paper exchange tells of a contract's past and of its order book: set by a test, or made around its mark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sin
from typing import NamedTuple

from monitor.domain.study import Frame
from monitor.paper.contract import Contract

SIDES = ("bids", "asks")
DAY_MS = 86_400_000
LENGTH_MS = {Frame.HOUR: 3_600_000, Frame.DAY: DAY_MS}
# How far a made contract swings in a day, and how far beyond open and close a candle reaches, as shares of its mark.
SWING, REACH = 0.03, 0.002
# A made book: levels a side, the share of the price from one to the next, and what each is worth in quote units.
LEVELS, STEP, WORTH = 50, 0.0002, 400_000.0


class Bar(NamedTuple):
    """One candle."""

    at_ms: int
    open: float
    high: float
    low: float
    close: float


class Level(NamedTuple):
    price: float
    contracts: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """Of one contract: what is empty is made around its mark. `bars` ascend; `since_ms` is when trading began.

    Levels go from the best price outwards. `closed`: those of SIDES on which nothing rests.
    """

    bars: Mapping[Frame, Sequence[Bar]] = field(default_factory=dict)
    bids: Sequence[Level] = ()
    asks: Sequence[Level] = ()
    closed: frozenset[str] = frozenset()
    since_ms: int = 0

    def last_bars(self, frame: Frame, count: int, mark: float, now_ms: int) -> list[Bar]:
        """Ascending; the last one is of now."""
        if frame in self.bars:
            return list(self.bars[frame])[-count:]
        newest = now_ms // LENGTH_MS[frame]
        numbers = range(max(newest - count + 1, self.since_ms // LENGTH_MS[frame]), newest + 1)
        return [_bar(frame, number, mark) for number in numbers]

    def side(self, name: str, contract: Contract, mark: float, count: int) -> list[Level]:
        """The best `count` levels of that one of SIDES."""
        if name in self.closed:
            return []
        given, sign = (self.bids, -1) if name == "bids" else (self.asks, 1)
        made = (mark * (1 + sign * STEP * step) for step in range(1, LEVELS + 1))
        return list(given or (Level(price, _contracts(contract, price)) for price in made))[:count]


def _bar(frame: Frame, number: int, mark: float) -> Bar:
    """The same at any time: a wave, in which one candle opens where the one before closes."""
    share = SWING * (LENGTH_MS[frame] / DAY_MS) ** 0.5
    opens, closes = (mark * (1 + share * sin(at)) for at in (number - 1, number))
    return Bar(
        number * LENGTH_MS[frame],
        opens,
        max(opens, closes) * (1 + REACH),
        min(opens, closes) * (1 - REACH),
        closes,
    )


def _contracts(contract: Contract, price: float) -> float:
    """So many as are worth a level, whole steps of them."""
    quote_each = contract.contract_size if contract.inverse else contract.contract_size * price
    return max(round(WORTH / quote_each), 1)
