"""Candles as every reader makes them of its venue's rows; what is not sound in itself is a malformed reply."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from monitor.domain.account import FailureKind
from monitor.domain.study import Candle, Frame
from monitor.exchange.failures import ReadError
from monitor.exchange.values import Row, malformed, number, positive, time_of
from monitor.risk.volatility import LENGTHS

# What ended longer ago is a feed that stands still, or a list read from its wrong end. Some venues leave out the hours
# in which nothing was traded.
MAX_AGE = timedelta(days=2)
# How far a venue's clock may be ahead of what we take for it.
AHEAD = timedelta(minutes=1)


class CandleNames(NamedTuple):
    """Under which a venue's rows tell a candle."""

    at: str = "time"
    open: str = "open"
    high: str = "high"
    low: str = "low"
    close: str = "close"


CANDLE = CandleNames()


def first_ms(client: Any, frame: Frame, count: int) -> int:
    """When the last `count` candles of now begin."""
    length_ms = round(LENGTHS[frame].total_seconds() * 1000)
    return (int(client.milliseconds()) // length_ms + 1 - count) * length_ms


def candles_of(
    client: Any, told: Sequence[Row], frame: Frame, count: int, *, names: CandleNames = CANDLE, unit_ms: int = 1
) -> list[Candle]:
    """The last `count` of rows in any order, ascending. `unit_ms` is what a venue's times count.

    Raises ReadError: malformed where prices contradict each other, and where a candle is told twice or begins in the
    midst of another; implausible where they end long ago, or in the future; unsupported where the venue's days are not
    those of UTC, which no other venue's could be set beside.
    """
    candles = sorted((_candle(row, names, unit_ms) for row in told), key=lambda candle: candle.at)
    if not candles:
        raise malformed("no candles are told")
    length = LENGTHS[frame]
    begins = {candle.at.timestamp() % length.total_seconds() for candle in candles}
    if len(begins) > 1:
        raise malformed("candles that begin within each other")
    if begins != {0}:
        first = f"{candles[-1].at:%H:%M:%S} UTC"
        raise ReadError(FailureKind.UNSUPPORTED, f"candles of {frame} begin at {first}, not with those of UTC")
    if any(before.at == after.at for before, after in pairwise(candles)):
        raise malformed("a candle is told twice")
    now, newest = time_of(client.milliseconds()), candles[-1].at
    if not now - length - MAX_AGE <= newest <= now + AHEAD:
        raise ReadError(FailureKind.IMPLAUSIBLE, f"the newest candle of {frame} began at {newest:%Y-%m-%d %H:%M} UTC")
    return candles[-count:]


def _candle(row: Row, names: CandleNames, unit_ms: int) -> Candle:
    candle = Candle(
        at=time_of(number(row, names.at) * unit_ms),
        open=positive(row, names.open),
        high=positive(row, names.high),
        low=positive(row, names.low),
        close=positive(row, names.close),
    )
    if candle.high < max(candle.open, candle.close) or candle.low > min(candle.open, candle.close):
        raise malformed(f"a candle from {candle.low:g} to {candle.high:g} opens or closes beyond that")
    return candle
