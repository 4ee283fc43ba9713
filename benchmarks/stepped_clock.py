"""A clock that moves when told to: what waits on it wakes in the step that reaches its time, however long that takes.

Requests over real sockets take no time on it, so that a replay gives the same times on every machine.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

# Sums of seconds in floating point may miss the step they were meant for by this much.
TOLERANCE_S = 1e-6


class SteppedClock:
    """A monitor.clock.Clock that stands still between calls of `advance_to`."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self._waits: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._at(seconds, lambda: None if woken.done() else woken.set_result(None))
        await woken

    def deadline(self, seconds: float) -> asyncio.Timeout:
        if seconds <= 0:
            return asyncio.timeout(0)
        timeout = asyncio.timeout(None)
        self._at(seconds, lambda: _expire(timeout))
        return timeout

    def advance_to(self, now: datetime) -> None:
        """Move on, never back, and wake what is due; it runs when the caller next awaits."""
        self._elapsed_s = max(self._elapsed_s, (now - self._start).total_seconds())
        while self._waits and self._waits[0][0] <= self._elapsed_s + TOLERANCE_S:
            heapq.heappop(self._waits)[2]()

    def _at(self, seconds: float, wake: Callable[[], None]) -> None:
        heapq.heappush(self._waits, (self._elapsed_s + seconds, next(self._numbers), wake))


def _expire(timeout: asyncio.Timeout) -> None:
    try:
        timeout.reschedule(asyncio.get_running_loop().time())
    except RuntimeError:
        return  # its block ended in time
