"""`/healthz`, for people and for what watches the watcher; `/livez`, for the container.

Liveness says that the process and its loop answer, nothing more: an exchange outage must not restart the monitor.
Both answer GET and HEAD, on loopback, to whoever addresses them as loopback.
"""

import asyncio
import errno
import ipaddress
import sys
from collections.abc import Callable
from typing import NoReturn

from aiohttp import web
from aiohttp.typedefs import Handler

from monitor.health import Health

SHUTDOWN_TIMEOUT_S = 2.0


class StatusError(Exception):
    """The status server cannot listen; the message is one sentence for the owner."""


async def start(host: str, port: int, health: Health) -> web.AppRunner:
    """Serve until `stop`; port 0 takes a free one (see `port_of`).

    Raises ValueError for a host that is not loopback, StatusError where the port cannot be had.
    """
    if not _is_loopback(host):
        raise ValueError(f"the status page listens on loopback alone, not on {host}")
    runner = web.AppRunner(_application(health), access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        _refuse(host, port, error)
    return runner


async def stop(runner: web.AppRunner) -> None:
    await runner.cleanup()


def port_of(runner: web.AppRunner) -> int:
    """The port it listens on."""
    return int(runner.addresses[0][1])


def _application(health: Health) -> web.Application:
    async def healthz(_request: web.Request) -> web.Response:
        report = health.report()
        # Tasks or pieces of memory whose number only grows are a leak; from outside the process nobody can count them.
        page = {**report.as_json(), "tasks": len(asyncio.all_tasks()), "memory_blocks": _memory_blocks()}
        return web.json_response(page, status=200 if report.ok else 503)

    async def livez(_request: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    application = web.Application(middlewares=[_for_loopback])
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/livez", livez)
    application.on_response_prepare.append(_never_stored)
    return application


def _memory_blocks() -> int | None:
    """What Python objects hold; None where the interpreter does not tell (PyPy)."""
    count: Callable[[], int] | None = getattr(sys, "getallocatedblocks", None)
    return count() if count is not None else None


@web.middleware
async def _for_loopback(request: web.Request, handler: Handler) -> web.StreamResponse:
    # A web page in the owner's browser can point a name of its own at 127.0.0.1; it cannot forge the Host header.
    if not _is_loopback(request.url.host or ""):
        raise web.HTTPForbidden(text="address this server as 127.0.0.1 or localhost")
    return await handler(request)


async def _never_stored(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse(host: str, port: int, error: OSError) -> NoReturn:
    if error.errno == errno.EADDRINUSE:
        sentence = f"port {port} on {host} is in use: stop what uses it, or set another health port."
    else:
        sentence = f"cannot listen on {host} port {port}: {error.strerror or error}."
    raise StatusError(sentence) from error
