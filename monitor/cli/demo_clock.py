"""The demo's clock: so many times as fast as life, and never faster than the computer keeps up with.

At a hundredfold speed a computer that pauses for a quarter of a second would have looked away for half a minute: the
monitor would rightly call itself blind. So this clock moves in small steps made by the event loop itself, none longer
than `LONGEST_STEP_S` of real time: while the loop is kept from running, time stands still.
"""

import asyncio
import heapq
import itertools
from datetime import datetime, timedelta

from monitor.clock import SystemClock

STEP_S = 0.004
LONGEST_STEP_S = 0.010
_REAL = SystemClock()


class PatientClock:
    """A Clock that stands at `start` until `run` is running."""

    def __init__(self, start: datetime, speed: float) -> None:
        self._start = start
        self._speed = speed
        self._passed_s = 0.0
        self._order = itertools.count()
        self._deadlines: list[tuple[float, int, asyncio.Timeout]] = []

    async def run(self) -> None:
        """Let time pass, until cancelled."""
        before = _REAL.monotonic()
        while True:
            await _REAL.sleep(STEP_S)
            now = _REAL.monotonic()
            self._passed_s += min(now - before, LONGEST_STEP_S) * self._speed
            before = now
            self._expire()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        return self._passed_s

    async def sleep(self, seconds: float) -> None:
        until = self._passed_s + seconds
        await _REAL.sleep(seconds / self._speed)
        while (left_s := until - self._passed_s) > 0:
            await _REAL.sleep(max(left_s / self._speed, STEP_S))

    def deadline(self, seconds: float) -> asyncio.Timeout:
        timeout = asyncio.timeout(None)
        heapq.heappush(self._deadlines, (self._passed_s + seconds, next(self._order), timeout))
        return timeout

    def _expire(self) -> None:
        """End the blocks whose time is up; those that ended by themselves refuse to be rescheduled."""
        while self._deadlines and self._deadlines[0][0] <= self._passed_s:
            _, _, timeout = heapq.heappop(self._deadlines)
            try:
                timeout.reschedule(asyncio.get_running_loop().time())
            except RuntimeError:
                continue
