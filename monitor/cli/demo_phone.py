"""The demo's only channel: a phone made up on 127.0.0.1, which Apprise reaches as it reaches any web service."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from aiohttp import web

from monitor.clock import Clock

MESSAGES_KEPT = 1_000
SHUTDOWN_S = 1.0


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it arrived, its lines untouched; `number` counts from 0."""

    number: int
    at: datetime
    title: str
    body: str


class Phone:
    """`async with Phone(clock) as phone:` takes messages at `phone.url`, an Apprise URL, until the block ends."""

    def __init__(self, clock: Clock) -> None:
        self.messages: deque[Message] = deque(maxlen=MESSAGES_KEPT)
        self._received = 0
        self._clock = clock
        self._port = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/phone", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self._port}/phone"

    async def _take(self, request: web.Request) -> web.Response:
        sent = await request.json()
        message = Message(self._received, self._clock.now(), str(sent.get("title", "")), str(sent.get("message", "")))
        self.messages.append(message)
        self._received += 1
        return web.Response()
