"""Doubles of Telegram and Discord on 127.0.0.1: they answer as the services do, and remember what they were sent.

`answers` is a queue of behaviours, taken one per request; when it is empty the message is accepted.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

TELEGRAM_TOKEN = "123456789:canary_TELEGRAM_token_4711abcdefg"
TELEGRAM_URL = f"tgram://{TELEGRAM_TOKEN}/4242"
TELEGRAM_GROUP_URL = f"tgram://{TELEGRAM_TOKEN}/-100200300"
DISCORD_TOKEN = "canary_DISCORD_token_4712-abcdefg"
DISCORD_URL = f"discord://987654321098765432/{DISCORD_TOKEN}"


@dataclass
class Service:
    """One double. `messages` are the JSON bodies received, `times` when on the loop's clock."""

    url: str = ""
    accepted: Answer = field(default=lambda _: _none())
    answers: deque[Answer] = field(default_factory=deque)
    always: Answer | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [str(message.get("text") or message.get("content")) for message in self.messages]

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


def telegram_unless(pattern: str, otherwise: Answer) -> Answer:
    """Accepts texts without parse_mode; others only where they do not match."""

    async def answer(request: web.Request) -> web.StreamResponse:
        message = await request.json()
        refused = "parse_mode" in message and re.search(pattern, message["text"])
        return await (otherwise if refused else telegram_says(200))(request)

    return answer


PARSE_ERROR = telegram_says(400, "Bad Request: can't parse entities: unexpected end tag")


def discord_says(status: int, body: dict[str, Any] | None = None, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is None:
            return web.Response(status=status, headers=named)
        return web.json_response(body, status=status, headers=named)

    return answer


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


@asynccontextmanager
async def _served(service: Service, route: str, base: str) -> AsyncIterator[Service]:
    app = web.Application()
    app.router.add_post(route, service.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        service.url = f"http://{host}:{port}{base}"
        yield service
    finally:
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
