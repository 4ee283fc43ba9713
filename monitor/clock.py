"""Time, and the only place that reads it: everything else is handed a Clock.

A scaled clock runs the production code faster than life (the demo); tests bring their own that never sleeps.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

# Less is a clock being steered rather than set.
SET_BACK = timedelta(seconds=1)


class Clock(Protocol):
    """What the house knows of time; all durations are seconds on this clock."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go backwards, for measuring durations."""

    async def sleep(self, seconds: float) -> None:
        """Wait that long on this clock."""

    def deadline(self, seconds: float) -> asyncio.Timeout:
        """`async with clock.deadline(5): ...` raises TimeoutError when the block takes longer."""


def _wall() -> datetime:
    return datetime.now(UTC)


class SystemClock:
    """Real time. Where the machine's clock is set back ours runs on: every age and every wait would stand still."""

    def __init__(self, wall: Callable[[], datetime] = _wall, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`wall` and `monotonic` are the machine's two clocks; the simulation has a machine of its own."""
        self._wall = wall
        self._monotonic = monotonic
        # What the machine's clock said when its monotonic one was at zero.
        self._origin = wall() - timedelta(seconds=monotonic())

    def now(self) -> datetime:
        # In this order: a pause between the two looks like a clock set back for a moment, and not like one set ahead.
        wall, running = self._wall(), timedelta(seconds=self._monotonic())
        origin = wall - running
        if origin > self._origin - SET_BACK:
            self._origin = origin
        return self._origin + running

    def monotonic(self) -> float:
        return self._monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def deadline(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds)


class ScaledClock:
    """Time that starts at `start` and passes `speed` times as fast as real time."""

    def __init__(self, start: datetime, speed: float) -> None:
        if speed <= 0:
            raise ValueError("speed must be above 0")
        self._start = start
        self._speed = speed
        self._origin = time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (time.monotonic() - self._origin) * self._speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)

    def deadline(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds / self._speed)
