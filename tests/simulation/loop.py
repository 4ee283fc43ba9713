"""An event loop whose time is a number: nothing waits, every run of a seed is the same, and it can be killed anywhere.

What a real loop does in other threads (`run_in_executor`) happens here in a callback of its own, so that a process can
die before it, and between it and whoever awaits it.
"""

import asyncio
import gc
import heapq
import inspect
from asyncio import events
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

# So many callbacks without time moving on are a loop that never ends.
MAX_STEPS_AT_ONE_TIME = 200_000


class KilledError(BaseException):
    """What a killed process still tries to do, while its remains are cleared away, does not happen."""


class VirtualLoop(asyncio.BaseEventLoop):
    """`run_until` runs what is due up to a time. `steps` counts callbacks: between any two of them `kill` may come."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.problems: list[str] = []
        self._now = 0.0
        self._steps_before = 0
        self._is_dead = False
        self._handles: list[Any] = self._scheduled  # type: ignore[attr-defined]
        self.set_exception_handler(self._note)

    def time(self) -> float:
        return self._now

    def run_until(self, until: float, *, max_steps: int | None = None) -> bool:
        """Run what is due up to that time, which it then is; False where `max_steps` ended it before."""
        last = None if max_steps is None else self.steps + max_steps
        events._set_running_loop(self)
        try:
            while self._advance(until):
                for _ in range(len(self._ready)):  # type: ignore[attr-defined]
                    if self.steps == last:
                        return False
                    handle = self._ready.popleft()  # type: ignore[attr-defined]
                    if not handle._cancelled:
                        self.steps += 1
                        handle._run()
        finally:
            events._set_running_loop(None)
        return True

    def _advance(self, until: float) -> bool:
        """Move what is due by now, or time itself where nothing is; False where nothing is left up to `until`."""
        ready, handles = self._ready, self._handles  # type: ignore[attr-defined]
        while handles and handles[0]._cancelled:
            heapq.heappop(handles)._scheduled = False
        if not ready:
            if not handles or handles[0]._when > until:
                self._now = max(self._now, until)
                return False
            if handles[0]._when > self._now:
                self._now, self._steps_before = handles[0]._when, self.steps
        while handles and handles[0]._when <= self._now:
            handle = heapq.heappop(handles)
            handle._scheduled = False
            if not handle._cancelled:
                ready.append(handle)
        assert self.steps - self._steps_before < MAX_STEPS_AT_ONE_TIME, f"time stands still at {self._now}"
        return True

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":  # type: ignore[override]
        """At once, but in a callback of its own; the executor is never used."""
        if self._is_dead:
            raise KilledError
        future: asyncio.Future[T] = self.create_future()
        self.call_soon(_run_into, future, func, args)
        return future

    def kill(self) -> None:
        """End every task where it stands, as the kernel would: nothing runs any more, no `finally` has any effect."""
        self._is_dead = True
        tasks = asyncio.all_tasks(self)  # before the callbacks go, which may be all that holds one
        self._clear()
        for task in tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            _finish(task.get_coro())
        self._clear()
        # A failure that nobody came to hear of in time would be told later, as if it were of the next process.
        gc.collect()
        self._is_dead = False

    def _clear(self) -> None:
        self._ready.clear()  # type: ignore[attr-defined]
        self._handles.clear()

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not self._is_dead:
            self.problems.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def _process_events(self, event_list: Any) -> None:
        raise AssertionError("there is nothing to select")


def _finish(coroutine: Any) -> None:
    """Close it, however many of its `finally` blocks want to wait for something."""
    while inspect.getcoroutinestate(coroutine) != inspect.CORO_CLOSED:
        with suppress(BaseException):
            coroutine.close()


def _run_into(future: "asyncio.Future[T]", func: Callable[..., T], args: tuple[Any, ...]) -> None:
    try:
        result = func(*args)
    except Exception as error:  # noqa: BLE001  # handed to whoever waits, as every executor does
        if not future.cancelled():
            future.set_exception(error)
    else:
        if not future.cancelled():
            future.set_result(result)
