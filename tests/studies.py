"""Candles and studies of a test's making."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate

from monitor.domain.study import Candle, Frame, Study
from monitor.risk.volatility import LENGTHS, study_of

# The end of the last candle.
MIDNIGHT = datetime(2025, 10, 10, tzinfo=UTC)


def candles(
    frame: Frame, moves: Sequence[float], wick: float = 0.0, price: float = 100.0, end: datetime = MIDNIGHT
) -> list[Candle]:
    """One at that price, and one for each move (logarithmic) behind it; `wick` is a share above and below the body."""
    closes = [price * math.exp(sum_) for sum_ in accumulate(moves, initial=0.0)]
    made = []
    for index, close in enumerate(closes):
        opened = closes[max(index - 1, 0)]
        made.append(
            Candle(
                at=end - (len(closes) - index) * LENGTHS[frame],
                open=opened,
                high=max(opened, close) * (1 + wick),
                low=min(opened, close) * (1 - wick),
                close=close,
            )
        )
    return made


def a_study(moves: Sequence[float], wick: float = 0.0, price: float = 100.0) -> Study:
    """Of days with those moves, and of hours that moved as far a day."""
    hourly = [move / math.sqrt(24) for move in moves]
    hours = (hourly * 30)[:100]
    study = study_of(candles(Frame.DAY, moves, wick, price), candles(Frame.HOUR, hours, wick, price))
    assert isinstance(study, Study), study
    return study
