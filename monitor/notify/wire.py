"""Apprise's blocking sends, one daemon thread per channel, and what came over the wire while they ran.

Apprise tells whether a service took a message, not what it answered. Its plugins all post through `requests`, whose
`requests.post` opens a fresh session for each call: an observing session in its place notes status, headers, the
start of the body and the error for the thread that sends, and changes nothing else.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import requests
import requests.sessions

T = TypeVar("T")

MAX_BODY_BYTES = 4_096
# A thread held by a service that drips its answer cannot be ended from outside; beyond these, sends fail at once.
MAX_STUCK_THREADS = 4


@dataclass(slots=True)
class Exchanged:
    """The last HTTP exchange of one send; `status` None where no answer came."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: Exception | None = None


_current = threading.local()


class _ObservingSession(requests.Session):
    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        seen: Exchanged | None = getattr(_current, "exchanged", None)
        if seen is None:
            return super().send(request, **kwargs)
        seen.status, seen.error = None, None
        try:
            response = super().send(request, **kwargs)
        except (requests.RequestException, OSError) as error:
            seen.error = error
            raise
        seen.status = response.status_code
        seen.headers = {name.lower(): value for name, value in response.headers.items()}
        seen.body = response.content[:MAX_BODY_BYTES]
        return response


@contextmanager
def observed() -> Iterator[Exchanged]:
    """What this thread exchanges over HTTP inside the block."""
    requests.sessions.Session = _ObservingSession  # type: ignore[misc]  # `requests.post` looks it up at each call
    _current.exchanged = Exchanged()
    try:
        yield _current.exchanged
    finally:
        _current.exchanged = None


def was_never_sent(error: Exception) -> bool:
    """The connection failed before the request left, so the message cannot have arrived."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError):
        return True
    causes = str(error)
    return isinstance(error, requests.ConnectionError) and (
        "NewConnectionError" in causes or "NameResolutionError" in causes or "Failed to establish" in causes
    )


class BusyError(Exception):
    """All threads of this channel wait for answers that do not end."""


class _Abandonable(Generic[T]):
    """One call on a thread, whose outcome may come when nobody waits for it any more."""

    def __init__(self, function: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self._function = function
        self._loop = loop
        self.future: asyncio.Future[T] = loop.create_future()

    def run(self) -> None:
        try:
            result = self._function()
        except Exception as error:  # noqa: BLE001  # handed to whoever waits, as every executor does
            self._settle(self._fail, error)
        else:
            self._settle(self._succeed, result)

    def _settle(self, settle: Callable[[Any], None], outcome: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(settle, outcome)

    def _succeed(self, result: T) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def _fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Sender:
    """Runs blocking calls one at a time on a daemon thread, which holds nobody's exit.

    ThreadPoolExecutor joins its threads when the interpreter ends: a service that drips its answer held that for a
    minute. A caller that stops waiting abandons the thread to its fate, and the next call gets a new one.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[_Abandonable[Any] | None] | None = None
        self._stuck: list[threading.Thread] = []
        self._thread: threading.Thread | None = None

    async def run(self, function: Callable[[], T]) -> T:
        """The call's result or its exception. Cancelled callers leave the thread behind; raises BusyError if too many
        are left."""
        call = _Abandonable(function, asyncio.get_running_loop())
        self._queue().put(call)
        try:
            return await call.future
        except asyncio.CancelledError:
            self._abandon()
            raise

    def close(self) -> None:
        """Let an idle thread end."""
        if self._calls is not None:
            self._calls.put(None)
        self._calls = self._thread = None

    def _queue(self) -> "SimpleQueue[_Abandonable[Any] | None]":
        if self._calls is not None:
            return self._calls
        self._stuck = [thread for thread in self._stuck if thread.is_alive()]
        if len(self._stuck) >= MAX_STUCK_THREADS:
            raise BusyError(f"{len(self._stuck)} earlier sends have not ended")
        self._calls = SimpleQueue()
        self._thread = threading.Thread(target=_work, args=(self._calls,), name=f"notify-{self._name}", daemon=True)
        self._thread.start()
        return self._calls

    def _abandon(self) -> None:
        if self._thread is not None:
            self._stuck.append(self._thread)
        self.close()


def _work(calls: "SimpleQueue[_Abandonable[Any] | None]") -> None:
    while (call := calls.get()) is not None:
        call.run()
        del call  # keeps no message alive while waiting for the next
