"""Studies of instruments from the candles that their venue tells: hours each time, days once an hour."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from itertools import pairwise

from monitor.clock import Clock
from monitor.domain.account import FailureKind, Instrument
from monitor.domain.market import Observed
from monitor.domain.study import Candle, Frame, NoStudy, Study
from monitor.exchange.failures import ReadError, clean
from monitor.risk.volatility import LENGTHS, study_of, whole

# A rule counts a study as unknown after three times as long.
EVERY_S = 300.0
DAYS_EVERY = timedelta(hours=1)
COUNT = 100
# What ended longer ago than so many candles says nothing of today.
LATEST_WITHIN = 3

ReadCandles = Callable[[Instrument, Frame, int], Awaitable[Sequence[Candle]]]


class Studies:
    """One venue's. `read_candles` raises ReadError."""

    def __init__(self, clock: Clock, read_candles: ReadCandles) -> None:
        self._clock = clock
        self._read_candles = read_candles
        self._days: dict[str, Observed[tuple[Candle, ...]]] = {}

    async def read(self, about: Instrument) -> Study | NoStudy:
        """Raises ReadError, but where the venue never tells candles."""
        try:
            days = await self._whole_days(about)
            hours = await self._read(about, Frame.HOUR)
        except ReadError as failed:
            if failed.kind is not FailureKind.UNSUPPORTED:
                raise
            return NoStudy(clean(failed.detail), is_untold=True)
        return study_of(days, hours)

    async def _whole_days(self, about: Instrument) -> tuple[Candle, ...]:
        now = self._clock.now()
        self._days = {symbol: days for symbol, days in self._days.items() if now - days.observed_at < DAYS_EVERY}
        if about.symbol not in self._days:
            days = whole(await self._read(about, Frame.DAY), Frame.DAY, now)
            self._days[about.symbol] = Observed(days, now)
        return self._days[about.symbol].value

    async def _read(self, about: Instrument, frame: Frame) -> Sequence[Candle]:
        candles, now = await self._read_candles(about, frame, COUNT), self._clock.now()
        begins = [candle.at for candle in candles]
        in_order = all(before < after for before, after in pairwise(begins))
        recent = not begins or abs(now - begins[-1]) <= LATEST_WITHIN * LENGTHS[frame]
        if not (in_order and recent and all(map(_can_be, candles))):
            raise ReadError(FailureKind.IMPLAUSIBLE, f"candles of {about.symbol} that cannot be, or end long ago")
        return candles


def _can_be(candle: Candle) -> bool:
    return 0 < candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high
