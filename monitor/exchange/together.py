"""Waiting for several reads at once, many waiting for one, and parsing no more of a reply than somebody asks for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from monitor.clock import Clock
from monitor.domain.account import FailureKind
from monitor.domain.market import Observed
from monitor.exchange.failures import ReadError

T = TypeVar("T")
Raw = TypeVar("Raw")


async def together(*reads: Coroutine[Any, Any, Any]) -> list[Any]:
    """All results in order; where one fails the others are cancelled, and its failure is raised."""
    tasks = [asyncio.ensure_future(read) for read in reads]
    results = asyncio.gather(*tasks)
    # One that fails in the moment in which the caller gives up is nobody's failure.
    results.add_done_callback(_retrieved)
    try:
        return await results
    finally:
        for task in tasks:
            task.cancel()


async def in_slices(found: Iterable[T], length: int = 25) -> AsyncIterator[T]:
    """All of them, with a turn for others behind each slice: 600 rows parsed at once would hold the loop for 90 ms."""
    for count, one in enumerate(found, start=1):
        yield one
        if count % length == 0:
            await asyncio.sleep(0)


class SharedRead(Generic[T]):
    """A value that many ask for and one request fetches: it is read when older than asked for, by one task at a time.

    Whoever waits is shielded: a caller that gives up does not cancel the read of the others. A read ends after
    `deadline_s`; after a failed one, `pause_s` pass before the next, and askers get the failure meanwhile.
    """

    def __init__(self, clock: Clock, *, deadline_s: float, pause_s: float) -> None:
        self._clock = clock
        self._deadline_s = deadline_s
        self._pause = timedelta(seconds=pause_s)
        self._task: asyncio.Task[T] | None = None
        self._failed: ReadError | None = None
        self._failed_at: datetime | None = None
        self.latest: Observed[T] | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the last read that ended did."""
        return self._failed is not None

    async def get(self, max_age_s: float, read: Callable[[], Awaitable[T]]) -> T:
        """A value received at most `max_age_s` ago. Raises ReadError."""
        if self.latest is not None and self._clock.now() - self.latest.observed_at < timedelta(seconds=max_age_s):
            return self.latest.value
        if self._task is None:
            if self._failed is not None and self._failed_at and self._clock.now() - self._failed_at < self._pause:
                raise ReadError(self._failed.kind, self._failed.detail, self._failed.retry_at)
            self._task = asyncio.create_task(self._read(read))
            self._task.add_done_callback(_retrieved)
        return await asyncio.shield(self._task)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _read(self, read: Callable[[], Awaitable[T]]) -> T:
        try:
            async with self._clock.deadline(self._deadline_s):
                value = await read()
        except ReadError as failed:
            self._failed, self._failed_at = failed, self._clock.now()
            raise
        except TimeoutError:
            self._failed, self._failed_at = ReadError(FailureKind.TIMEOUT, "no answer in time"), self._clock.now()
            raise self._failed from None
        else:
            self._failed = None
            self.latest = Observed(value, self._clock.now())
            return value
        finally:
            self._task = None


class Lazy(Mapping[str, T], Generic[Raw, T]):
    """`make(raw[key])`, made when first asked for: a venue lists 600 contracts, an account holds a few of them."""

    def __init__(self, raw: Mapping[str, Raw], make: Callable[[Raw], T]) -> None:
        self._raw = raw
        self._make = make
        self._made: dict[str, T] = {}

    def __getitem__(self, key: str) -> T:
        if key not in self._made:
            self._made[key] = self._make(self._raw[key])
        return self._made[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def __contains__(self, key: object) -> bool:
        return key in self._raw


def _retrieved(task: "asyncio.Future[Any]") -> None:
    """Nobody may be waiting any more; the failure is kept for the next asker."""
    if not task.cancelled():
        task.exception()
