"""Apprise's blocking sends, one daemon thread per channel, and what came over the wire while they ran.

Apprise tells whether a service took a message, not what it answered. Its plugins all post through `requests`, whose
`requests.post` opens a fresh session for each call: a session of ours in its place notes status, headers, body and
error for the thread that sends. It takes no more of an answer than anybody needs, so that one without end fills no
memory, and follows no redirect that would turn the message into a look at some page.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import requests
import requests.adapters
import requests.sessions
from urllib3.exceptions import HTTPError

from monitor.clock import SystemClock

T = TypeVar("T")

# What is read of an answer; Telegram's repeats the message, each character as up to twelve.
MAX_BODY_BYTES = 262_144
# An answer is judged by its status: its body is not waited for longer.
BODY_DEADLINE_S = 2.0
# A call can be ended while it reads from a connection, not while a resolver or a proxy hangs; beyond these, sends fail
# at once.
MAX_STUCK_THREADS = 4

# Sockets and threads know no other time than the machine's.
_clock = SystemClock()


@dataclass(slots=True)
class Exchanged:
    """The last HTTP exchange of one send; `status` None where no answer came.

    `reached` once a connection stood: what failed after that may have arrived.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: Exception | None = None
    reached: bool = False


class Line:
    """The connection of one thread, by which a call that nobody waits for any more is ended from outside."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._is_cut = False

    def connected(self, connection: socket.socket) -> None:
        self._socket = connection
        if self._is_cut:
            raise ConnectionAbortedError("nobody waits for this send any more")

    def cut(self) -> None:
        """Whatever reads from the connection now finds its end."""
        self._is_cut = True
        if isinstance(self._socket, socket.socket):
            with suppress(OSError):  # closed already
                # The socket's own: an SSLSocket's would take the session from under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_current = threading.local()


@cache
def _noting(connection_class: Any) -> Any:
    """The class of connections, noting for their thread that one stands."""

    class Noting(connection_class):  # type: ignore[misc]  # HTTP's or HTTPS's, or a proxy's
        def connect(self) -> None:
            super().connect()
            exchanged, line = getattr(_current, "exchanged", None), getattr(_current, "line", None)
            if line is not None:
                line.connected(self.sock)
            if exchanged is not None:
                exchanged.reached = True

    return Noting


class _Adapter(requests.adapters.HTTPAdapter):
    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _noting(type(pool).ConnectionCls)
        return pool

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        response = super().send(*args, **kwargs)
        raw = response.raw
        response.raw = BytesIO(_beginning(raw))
        raw.close()
        return response


def _beginning(raw: Any) -> bytes:
    """What comes of a body within its bounds; less where the connection breaks, for the status stands already."""
    body, ends_at = bytearray(), _clock.monotonic() + BODY_DEADLINE_S
    with suppress(HTTPError, OSError):
        while len(body) < MAX_BODY_BYTES and _clock.monotonic() < ends_at:
            if not (chunk := raw.read1(MAX_BODY_BYTES - len(body), decode_content=True)):
                break
            body += chunk
    return bytes(body)


class _ObservingSession(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter())

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Only these two carry the message along; after any other, a GET would look like success."""
        return super().get_redirect_target(resp) if resp.status_code in (307, 308) else None

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
        seen.body = response.content
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


class BusyError(Exception):
    """All threads of this channel wait for what does not end."""


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
    minute. A caller that stops waiting has the thread's connection cut, and the next call gets a new thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[_Abandonable[Any] | None] | None = None
        self._stuck: list[threading.Thread] = []
        self._thread: threading.Thread | None = None
        self._line = Line()

    async def run(self, function: Callable[[], T]) -> T:
        """The call's result or its exception. Cancelled callers leave the thread behind; raises BusyError if too many
        are left."""
        call = _Abandonable(function, asyncio.get_running_loop())
        self._queue().put(call)
        line = self._line
        try:
            return await call.future
        except asyncio.CancelledError:
            line.cut()
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
        self._calls, self._line = SimpleQueue(), Line()
        work = (self._calls, self._line)
        self._thread = threading.Thread(target=_work, args=work, name=f"notify-{self._name}", daemon=True)
        self._thread.start()
        return self._calls

    def _abandon(self) -> None:
        if self._thread is not None:
            self._stuck.append(self._thread)
        self.close()


def _work(calls: "SimpleQueue[_Abandonable[Any] | None]", line: Line) -> None:
    _current.line = line
    while (call := calls.get()) is not None:
        call.run()
        del call  # keeps no message alive while waiting for the next
