"""Studies of instruments from the candles that their venue tells: hours each time, days once an hour."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from monitor.clock import Clock
from monitor.domain.account import FailureKind, Instrument
from monitor.domain.market import Observed
from monitor.domain.study import Candle, Frame, NoStudy, Study
from monitor.exchange.failures import ReadError, clean
from monitor.risk.volatility import study_of, whole

# A rule counts a study as unknown after three times as long.
EVERY_S = 300.0
DAYS_EVERY = timedelta(hours=1)
COUNT = 100

ReadCandles = Callable[[Instrument, Frame, int], Awaitable[Sequence[Candle]]]


class Studies:
    """One venue's. `read_candles` raises ReadError, also of what is not sound."""

    def __init__(self, clock: Clock, read_candles: ReadCandles) -> None:
        self._clock = clock
        self._read_candles = read_candles
        self._days: dict[str, Observed[tuple[Candle, ...]]] = {}

    async def read(self, about: Instrument) -> Study | NoStudy:
        """Raises ReadError, but where candles are never told, or for days too few of them."""
        try:
            days = await self._whole_days(about)
            hours = await self._read_candles(about, Frame.HOUR, COUNT)
        except ReadError as failed:
            if failed.kind is not FailureKind.UNSUPPORTED:
                raise
            return NoStudy(clean(failed.detail), is_untold=True)
        found = study_of(days, hours)
        return found or NoStudy(f"{about.symbol} is too young, or too rarely traded, to tell", is_untold=True)

    async def _whole_days(self, about: Instrument) -> tuple[Candle, ...]:
        now = self._clock.now()
        self._days = {symbol: days for symbol, days in self._days.items() if now - days.observed_at < DAYS_EVERY}
        if about.symbol not in self._days:
            days = whole(await self._read_candles(about, Frame.DAY, COUNT), Frame.DAY, now)
            self._days[about.symbol] = Observed(days, now)
        return self._days[about.symbol].value
