"""What a venue tells of one instrument at a time and no read of an account waits for: candles, order books.

Whoever reads an account says which instruments it is about; what is too old of those is asked for behind it, one
instrument at a time and out of what the budget leaves to leisure. A failure leaves the value as it was, to age.
Who holds many instruments waits for minutes until each has had its turn: that is no failure, and told of as none.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from monitor.clock import Clock
from monitor.domain.account import FailureKind, Instrument
from monitor.domain.market import Observed
from monitor.exchange.budget import at_leisure
from monitor.exchange.failures import ReadError, a_bug, clean
from monitor.log import get_logger

T = TypeVar("T")

# What nobody holds is kept for so long: who closes and opens again is judged at once.
KEPT_FOR = timedelta(hours=1)
# How soon after a failed read the same instrument is asked for again.
PAUSE = timedelta(seconds=30)
# What is wanted, and has not had its turn after so many times the age at which it is asked for anew, counts as missing:
# what came once counts for as long.
PATIENCE = 3

_log = get_logger(__name__)


class Gathered(Generic[T]):
    """Values by symbol, and of those that are wanted and never came why: None while the first answer is waited for.

    `latest` and `missing` are other mappings whenever they change.
    """

    def __init__(
        self,
        what: str,
        clock: Clock,
        read: Callable[[Instrument], Awaitable[T]],
        *,
        max_age_s: float,
        deadline_s: float,
    ) -> None:
        self.latest: Mapping[str, Observed[T]] = {}
        self.missing: Mapping[str, str | None] = {}
        self._what = what
        self._clock = clock
        self._read = read
        self._max_age = timedelta(seconds=max_age_s)
        self._patience = PATIENCE * self._max_age
        self._deadline_s = deadline_s
        self._wanted_at: dict[str, datetime] = {}
        self._missing_since: dict[str, datetime] = {}
        self._asked_at: dict[str, datetime] = {}
        self._due: dict[str, Instrument] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def want(self, instruments: Mapping[str, Instrument]) -> None:
        """Bring those up to date; without waiting. Once closed nothing: nobody would end what began."""
        if self._is_closed:
            return
        now = self._clock.now()
        self._wanted_at |= dict.fromkeys(instruments, now)
        for symbol in [symbol for symbol, at in self._wanted_at.items() if now - at > KEPT_FOR]:
            del self._wanted_at[symbol]
            self._asked_at.pop(symbol, None)
            self.latest = {other: value for other, value in self.latest.items() if other != symbol}
            self._found(symbol)
        for symbol in instruments.keys() - self.latest.keys():
            self._missing_since.setdefault(symbol, now)
            self._misses(symbol, self.missing.get(symbol) or ("no answer yet" if self._is_late(symbol) else None))
        self._due |= {symbol: instrument for symbol, instrument in instruments.items() if self._is_due(symbol, now)}
        if self._due and self._task is None:
            self._task = asyncio.create_task(self._gather())

    async def settled(self) -> None:
        """Until all that is asked for has come, or failed; for who looks once."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _is_due(self, symbol: str, now: datetime) -> bool:
        value, asked_at = self.latest.get(symbol), self._asked_at.get(symbol)
        is_old = value is None or now - value.observed_at >= self._max_age
        return is_old and (asked_at is None or now - asked_at >= PAUSE)

    def _is_late(self, symbol: str) -> bool:
        now = self._clock.now()
        return now - self._missing_since.get(symbol, now) > self._patience

    async def _gather(self) -> None:
        try:
            while self._due:
                instrument = self._due.pop(next(iter(self._due)))
                self._asked_at[instrument.symbol] = self._clock.now()
                await self._bring(instrument)
        finally:
            self._task = None

    async def _bring(self, instrument: Instrument) -> None:
        symbol = instrument.symbol
        try:
            with at_leisure():
                async with self._clock.deadline(self._deadline_s):
                    value = await self._checked(instrument)
        except TimeoutError:
            self._misses(symbol, "no answer in time")
        except ReadError as failed:
            # Before that it has not had its turn.
            if failed.kind is not FailureKind.RATE_LIMIT or self._is_late(symbol):
                self._misses(symbol, clean(f"{failed.kind}: {failed.detail}"))
        else:
            self.latest = {**self.latest, symbol: Observed(value, self._clock.now())}
            self._found(symbol)

    def _misses(self, symbol: str, why: str | None) -> None:
        """What came before is left to age."""
        if symbol not in self.latest and (symbol not in self.missing or self.missing[symbol] != why):
            self.missing = {**self.missing, symbol: why}

    def _found(self, symbol: str) -> None:
        self._missing_since.pop(symbol, None)
        if symbol in self.missing:
            self.missing = {other: why for other, why in self.missing.items() if other != symbol}

    async def _checked(self, instrument: Instrument) -> T:
        try:
            return await self._read(instrument)
        except ReadError:
            raise
        except Exception as error:
            # A reply nobody thought of, of one instrument: the others are gathered all the same.
            _log.exception("a reply could not be read", what=self._what, symbol=instrument.symbol)
            raise a_bug(error) from error
