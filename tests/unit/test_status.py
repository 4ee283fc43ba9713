"""What the monitor answers over HTTP of itself."""

import asyncio
import json
import socket

import aiohttp
import pytest

from monitor.health import Health, LoopLag
from monitor.status import server
from tests.unit.store_kit import T0, ManualClock

CANARY = "cnry-status-5f4e3d"


def a_health(channel_problem: str | None = None) -> Health:
    clock = ManualClock()
    health = Health(
        clock,
        LoopLag(clock),
        failing_since=lambda: None,
        undelivered=tuple,
        channels=lambda: {"phone": channel_problem},
    )
    health.watch({"main": 30.0})
    return health


async def ask(
    health: Health, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, str, dict[str, str]]:
    runner = await server.start("127.0.0.1", 0, health)
    try:
        url = f"http://127.0.0.1:{server.port_of(runner)}{path}"
        async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers) as response:
            return response.status, await response.text(), dict(response.headers)
    finally:
        await server.stop(runner)


async def test_health_is_200_with_every_check_where_all_is_well() -> None:
    status, text, headers = await ask(a_health(), "/healthz")
    assert status == 200
    assert text.startswith('{"ok": true, "at": "' + T0.isoformat())
    assert '"name": "reads:main", "ok": true' in text
    assert headers["Content-Type"].startswith("application/json")


async def test_health_is_503_where_one_check_fails() -> None:
    status, text, _headers = await ask(a_health("401 from the service"), "/healthz")
    assert status == 503
    assert '{"name": "channel:phone", "ok": false, "detail": "401 from the service"}' in text


async def test_health_counts_the_tasks_of_the_event_loop() -> None:
    async def tasks() -> int:
        return int(json.loads((await ask(a_health(), "/healthz"))[1])["tasks"])

    before = await tasks()
    waiting = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
    assert await tasks() == before + 3
    for task in waiting:
        task.cancel()


async def test_health_counts_the_memory_that_objects_hold() -> None:
    async def blocks() -> int:
        return int(json.loads((await ask(a_health(), "/healthz"))[1])["memory_blocks"])

    await blocks()  # the first request fills caches
    before = await blocks()
    held = [object() for _ in range(100_000)]
    assert await blocks() > before + 90_000
    del held


async def test_the_container_is_alive_though_the_monitor_is_not_well() -> None:
    status, text, _headers = await ask(a_health("down"), "/livez")
    assert (status, text) == (200, '{"ok": true}')


async def test_no_secret_is_shown() -> None:
    _status, text, _headers = await ask(a_health(f"bad url tgram://{CANARY}/1"), "/healthz")
    assert CANARY not in text
    assert "tgram://[redacted]" in text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/healthz", "/livez"])
async def test_only_reading_is_allowed(method: str, path: str) -> None:
    status, _text, headers = await ask(a_health(), path, method)
    assert status == 405
    assert headers["Allow"] == "GET,HEAD"


async def test_head_answers_as_get_without_a_body() -> None:
    status, text, _headers = await ask(a_health("down"), "/healthz", "HEAD")
    assert (status, text) == (503, "")


@pytest.mark.parametrize("path", ["/healthz", "/livez"])
async def test_no_answer_is_kept(path: str) -> None:
    _status, _text, headers = await ask(a_health(), path)
    assert headers["Cache-Control"] == "no-store"


async def test_other_paths_do_not_exist() -> None:
    assert (await ask(a_health(), "/metrics"))[0] == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8080", 200),
        ("[::1]:1", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
    ],
)
async def test_a_name_that_only_points_here_is_refused(host: str, status: int) -> None:
    assert (await ask(a_health(), "/healthz", headers={"Host": host}))[0] == status


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.168.1.5", "example.com"])
async def test_it_listens_on_loopback_alone(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        await server.start(host, 0, a_health())


async def test_a_port_in_use_is_one_clear_sentence() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(server.StatusError, match=f"port {port} on 127.0.0.1 is in use"):
            await server.start("127.0.0.1", port, a_health())


async def test_a_stopped_server_frees_its_port() -> None:
    runner = await server.start("localhost", 0, a_health())
    port = server.port_of(runner)
    await server.stop(runner)
    again = await server.start("localhost", port, a_health())
    await server.stop(again)
