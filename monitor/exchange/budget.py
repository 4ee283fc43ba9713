"""The request budget of one venue from one egress address, shared by all accounts read through it.

Venues count by address, so accounts that know nothing of each other can get each other banned. asyncio-throttle caps
the plain rate of calls: at most so many per second of real time. It knows neither weights, nor a venue's own count,
nor a clock that runs faster than life; so beside it we keep the weights of the last minute on our Clock, take over the
venue's own count where it sends one (other programs behind the same address spend too), and stop everybody on the
address while the venue has told one of us to wait.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta

from asyncio_throttle import Throttler

from monitor.clock import Clock
from monitor.domain.account import FailureKind
from monitor.exchange.failures import ReadError

WINDOW_S = 60.0
# Other programs of the owner live behind the same address: the last tenth is left to them.
USABLE_SHARE = 0.9
CALLS_PER_SECOND = 250
# Of a minute's budget, what may go at once into what no alert waits for; so much comes free again within a minute.
LEISURE_SHARE = 0.25

_room: ContextVar[float | None] = ContextVar("room", default=None)


@contextmanager
def at_leisure(room: float = 1.0) -> Iterator[None]:
    """What is asked inside the block, also by the tasks it starts, gives way to what alerts wait for. Of what may go at
    once it takes the share `room` at most; the rest is left to what else is at leisure."""
    token = _room.set(room)
    try:
        yield
    finally:
        _room.reset(token)


class Budget:
    """`spend` before every request, `note_used` and `stop_until` after what the venue said.

    `usable` is the weight a minute that is spent at most; `paces` are calls a second by path, where a venue allows an
    address fewer of one path than of all together.
    """

    def __init__(
        self,
        *,
        weight_per_minute: int,
        calls_per_second: int = CALLS_PER_SECOND,
        paces: Mapping[str, int] | None = None,
        clock: Clock,
    ) -> None:
        self.usable = weight_per_minute * USABLE_SHARE
        self._clock = clock
        self._pace = _Pace(calls_per_second)
        self._paces = {path: _Pace(calls) for path, calls in (paces or {}).items()}
        self._turn = asyncio.Lock()
        self._spent: deque[tuple[float, int]] = deque()
        self._spent_sum = 0
        self._reported_used = 0
        self._reported_in: datetime | None = None
        self._stopped: ReadError | None = None
        # By when what was spent at leisure will have come free again.
        self._leisure_until_s = 0.0

    @property
    def used(self) -> int:
        """Weight counted in the current window: ours, or the venue's own count where that is higher."""
        self._forget_old()
        return max(self._spent_sum, self._reported_used)

    async def spend(self, weight: int, patience_s: float, path: str = "") -> None:
        """Wait until the request may leave. ReadError (rate_limit, banned) where that is beyond `patience_s`.

        The paces are waited for beside it: they are seconds at most, and a read has a deadline of its own.
        """
        self._raise_if_stopped()
        if path in self._paces:
            await self._paces[path].wait()
        room = _room.get()
        if room is not None:
            await self._wait_for_leisure(weight, patience_s, room)
            # Whoever waits for the budget holds up everybody behind.
            patience_s = 0.0
        async with self._turn:
            self._raise_if_stopped()
            wait_s = self._wait_s(weight)
            if wait_s > patience_s:
                raise ReadError(
                    FailureKind.RATE_LIMIT,
                    f"request budget of this address is spent: {self.used} of {self.usable:.0f} weight a minute",
                    self._clock.now() + timedelta(seconds=wait_s),
                )
            if wait_s > 0:
                await self._clock.sleep(wait_s)
                self._raise_if_stopped()
            await self._pace.wait()
            self._spent.append((self._clock.monotonic(), weight))
            self._spent_sum += weight
            self._reported_used += weight

    def note_used(self, weight: int) -> None:
        """The venue's own count of this clock minute; it starts anew with the next."""
        self._reported_used = weight
        self._reported_in = _minute(self._clock.now())

    def stop_until(self, failed: ReadError) -> None:
        """Nobody on this address asks again before `failed.retry_at`; a longer wait told before it stands."""
        before = self._stopped.retry_at if self._stopped is not None else None
        if before is None or (failed.retry_at is not None and failed.retry_at > before):
            self._stopped = failed

    def _raise_if_stopped(self) -> None:
        stopped = self._stopped
        if stopped is None or stopped.retry_at is None:
            return
        if self._clock.now() < stopped.retry_at:
            raise ReadError(stopped.kind, stopped.detail, stopped.retry_at)
        self._stopped = None

    async def _wait_for_leisure(self, weight: int, patience_s: float, room: float) -> None:
        now_s = self._clock.monotonic()
        until_s = max(now_s, self._leisure_until_s) + weight * WINDOW_S / (self.usable * LEISURE_SHARE)
        wait_s = until_s - now_s - WINDOW_S * room
        if wait_s > patience_s:
            raise ReadError(FailureKind.RATE_LIMIT, "what alerts wait for is asked first")
        self._leisure_until_s = until_s
        if wait_s > 0:
            await self._clock.sleep(wait_s)

    def _wait_s(self, weight: int) -> float:
        """Seconds until `weight` more fits; 0 where it fits now, or where it alone exceeds the whole budget."""
        if self.used + weight <= self.usable:
            return 0.0
        until_next_minute_s = WINDOW_S - (self._clock.now().timestamp() % WINDOW_S)
        waits_s = [until_next_minute_s] if self._reported_used + weight > self.usable else [0.0]
        surplus = self._spent_sum + weight - self.usable
        now_s = self._clock.monotonic()
        for spent_at_s, spent in self._spent:
            if surplus <= 0:
                break
            surplus -= spent
            waits_s.append(spent_at_s + WINDOW_S - now_s)
        return max(waits_s)

    def _forget_old(self) -> None:
        horizon_s = self._clock.monotonic() - WINDOW_S
        while self._spent and self._spent[0][0] <= horizon_s:
            self._spent_sum -= self._spent.popleft()[1]
        if self._reported_in != _minute(self._clock.now()):
            self._reported_used = 0
            self._reported_in = _minute(self._clock.now())


class _Pace:
    """So many calls a second of real time. One waits at a time: each who waits wakes a hundred times a second."""

    def __init__(self, calls_per_second: int) -> None:
        self._throttler = Throttler(rate_limit=calls_per_second, period=1.0)
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        async with self._turn:
            await self._throttler.acquire()


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
