"""Doubles of Telegram, Discord and a webhook on 127.0.0.1: they answer as the services do, and remember what they got.

`answers` is a queue of behaviours, taken one per request; when it is empty the message is accepted. What ails a service
below HTTP is a behaviour of its connections, see `Service.ailing`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from monitor.clock import Clock
from monitor.notify.channels import SEND_DEADLINE_S, Channel

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Ailment = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

TELEGRAM_TOKEN = "123456789:canary_TELEGRAM_token_4711abcdefg"
TELEGRAM_URL = f"tgram://{TELEGRAM_TOKEN}/4242"
DISCORD_TOKEN = "canary_DISCORD_token_4712-abcdefg"
DISCORD_URL = f"discord://987654321098765432/{DISCORD_TOKEN}"


@dataclass
class Service:
    """One double. `messages` are the JSON bodies received, `times` when on the loop's clock.

    New connections are left to `ailing` where that is set.
    """

    url: str = ""
    accepted: Answer = field(default=lambda _: _none())
    answers: deque[Answer] = field(default_factory=deque)
    always: Answer | None = None
    ailing: Ailment | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [
            str(message.get("text") or message.get("content") or f"{message.get('title')}\n{message.get('message')}")
            for message in self.messages
        ]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        self.messages.append(await request.json())
        self.times.append(asyncio.get_running_loop().time())
        answer = self.answers.popleft() if self.answers else self.always or self.accepted
        return await answer(request)


async def _none() -> web.StreamResponse:
    return web.Response(status=204)


def telegram_says(status: int, description: str = "", **parameters: Any) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = {"ok": status == 200}
        if status == 200:
            body["result"] = {"message_id": 1}
        else:
            body |= {"error_code": status, "description": description}
        if parameters:
            body["parameters"] = parameters
        return web.json_response(body, status=status)

    return answer


PARSE_ERROR = telegram_says(400, "Bad Request: can't parse entities: unexpected end tag")


def webhook_says(status: int, body: str = "", **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers=_named(headers), content_type="text/html")

    return answer


def discord_says(status: int, body: dict[str, Any] | None = None, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        if body is None:
            return web.Response(status=status, headers=_named(headers))
        return web.json_response(body, status=status, headers=_named(headers))

    return answer


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


async def hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError("nobody waits that long")


async def drips(request: web.Request) -> web.StreamResponse:
    """A byte now and then: no read timeout ever strikes."""
    response = web.StreamResponse(headers={"Content-Length": "100000"})
    await response.prepare(request)
    for _ in range(100_000):
        await response.write(b" ")
        await asyncio.sleep(0.02)
    return response


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """The request was taken; the connection is closed instead of an answer."""
    assert request.transport is not None
    request.transport.abort()
    await asyncio.sleep(0)
    return web.Response()


def floods(status: int, written: list[int]) -> Answer:
    """An answer without end, as fast as it is taken; `written` gets the size of each piece."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        with suppress(ConnectionError):  # whoever reads has had enough
            while True:
                await response.write(b"x" * 65_536)
                written.append(65_536)
        return response

    return answer


async def breaks_off(request: web.Request) -> web.StreamResponse:
    """Success, and then the connection is lost in the middle of the answer."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"ok": ')
    return await hangs_up(request)


async def slams(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Closes before it has read anything."""
    writer.transport.abort()


async def slams_midway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Closes in the middle of the request."""
    await reader.readexactly(20)
    writer.transport.abort()


async def babbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers in no language we know."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x15\x03\x01\x00\x02\x02\x16 +OK ready\r\n\r\n")
    await writer.drain()


async def drips_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Success, and then a header that never ends; no read timeout ever strikes."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _served(service: Service, route: str, base: str) -> AsyncIterator[Service]:
    app = web.Application()
    app.router.add_post(route, service.handle)
    app.router.add_get("/{path:.*}", webhook_says(200, "a page, as most web servers have one"))
    runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    assert runner.server is not None

    ailing: set[asyncio.Task[None]] = set()

    def connected() -> asyncio.BaseProtocol:
        ailment = service.ailing
        if ailment is None:
            return runner.server()  # type: ignore[misc]  # asserted above

        async def suffered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            ailing.add(task)
            try:
                # A cancelled task would be an error to asyncio's streams.
                with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    await ailment(reader, writer)
            finally:
                writer.transport.abort()

        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), suffered)

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()[:2]
        service.url = f"http://{host}:{port}{base}"
        yield service
    finally:
        server.close()
        for task in ailing:
            task.cancel()
        await asyncio.gather(*ailing, return_exceptions=True)
        await runner.cleanup()


@asynccontextmanager
async def telegram() -> AsyncIterator[Service]:
    service = Service(accepted=telegram_says(200))
    async with _served(service, "/bot{token}/sendMessage", "/bot") as served:
        yield served


@asynccontextmanager
async def discord() -> AsyncIterator[Service]:
    service = Service(accepted=discord_says(204))
    async with _served(service, "/api/webhooks/{id}/{token}", "/api/webhooks") as served:
        yield served


@asynccontextmanager
async def webhook() -> AsyncIterator[Service]:
    service = Service(accepted=webhook_says(200))
    async with _served(service, "/hook", "/hook") as served:
        yield served


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of service: its double, and channels to it."""

    name: str
    double: Callable[[], AbstractAsyncContextManager[Service]]
    url: str | None

    def channel(self, name: str, service: Service, clock: Clock, *, deadline_s: float = SEND_DEADLINE_S) -> Channel:
        if self.url is None:
            return Channel(name, service.url.replace("http", "json", 1), clock, deadline_s=deadline_s)
        return Channel(name, self.url, clock, deadline_s=deadline_s, base_url=service.url)


TELEGRAM = Kind("telegram", telegram, TELEGRAM_URL)
DISCORD = Kind("discord", discord, DISCORD_URL)
WEBHOOK = Kind("webhook", webhook, None)
KINDS = (TELEGRAM, DISCORD, WEBHOOK)
