"""Services that go by the type of a message: what Apprise's own plugins make of ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from apprise.plugins import opsgenie

from monitor.clock import SystemClock
from monitor.domain.reading import Severity
from monitor.notify.channels import Channel
from monitor.notify.message import Rendered


@asynccontextmanager
async def a_service(bodies: list[dict[str, Any]]) -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return web.json_response({"requestId": "43a29c5c"}, status=202 if "v2" in request.path else 200)

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("severity", "kind"),
    [(Severity.CRITICAL, "failure"), (Severity.WARNING, "warning"), (Severity.INFO, "warning")],
)
async def test_a_service_learns_how_bad_it_is(severity: Severity, kind: str) -> None:
    bodies: list[dict[str, Any]] = []
    async with a_service(bodies) as host:
        result = await Channel("hook", f"json://{host}/hook", SystemClock()).send(Rendered("t", "b", (), severity))
    assert result.is_accepted
    assert [body["type"] for body in bodies] == [kind]


async def test_every_message_leaves_for_a_service_that_keeps_information_to_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bodies: list[dict[str, Any]] = []
    async with a_service(bodies) as host:
        monkeypatch.setitem(opsgenie.OPSGENIE_API_LOOKUP, opsgenie.OpsgenieRegion.US, f"http://{host}/v2/alerts")
        channel = Channel("pager", "opsgenie://12345678-aaaa-bbbb-cccc-123456789012", SystemClock())
        for severity in Severity:
            assert (await channel.send(Rendered(f"{severity} main: a", "b", (), severity))).is_accepted
    assert [body["message"] for body in bodies] == [f"{severity} main: a" for severity in Severity]
