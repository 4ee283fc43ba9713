"""When the monitor calls itself well, when its heart beats, and when it ends itself."""

import asyncio
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp import web

from monitor import health as health_module
from monitor.clock import ScaledClock, SystemClock
from monitor.domain.notification import DeliveryState, Notification
from monitor.domain.reading import Severity
from monitor.health import Check, Health, Heartbeat, LoopLag, Watchdog, http_get, max_read_age_s
from monitor.log import redact, register_secret
from tests.unit.store_kit import T0, ManualClock, message

URL = "https://hb.example/ping/0a1b2c3d-secret"


@dataclass
class Surroundings:
    """What health asks, as the test sets it."""

    clock: ManualClock = field(default_factory=ManualClock)
    failing_since: datetime | None = None
    undelivered: tuple[Notification, ...] = ()
    channels: Mapping[str, str | None] = field(default_factory=lambda: {"phone": None})

    def __post_init__(self) -> None:
        self.lag = LoopLag(self.clock)
        self.health = Health(
            self.clock,
            self.lag,
            failing_since=lambda: self.failing_since,
            undelivered=lambda: self.undelivered,
            channels=lambda: self.channels,
        )
        self.health.watch({"main": 30.0})
        self.health.good_read("main")

    def later(self, seconds: float) -> None:
        """Time passes while the loop keeps its beat."""
        self.clock.elapsed_s += seconds
        self.lag._beat_at = self.clock.monotonic()

    def failed(self) -> list[str]:
        report = self.health.report()
        assert report.ok is all(check.ok for check in report.checks)
        return [check.name for check in report.checks if not check.ok]


@pytest.mark.parametrize(("poll_s", "age_s"), [(1, 30), (10, 30), (11, 33), (60, 180)])
def test_a_read_is_good_for_three_polls_and_for_half_a_minute_at_least(poll_s: float, age_s: float) -> None:
    assert max_read_age_s(poll_s) == age_s


def test_all_is_well_where_all_is_well() -> None:
    around = Surroundings()
    report = around.health.report()
    assert report.ok
    assert [check.name for check in report.checks] == ["reads:main", "loop", "database", "outbox", "channel:phone"]
    assert json.loads(json.dumps(report.as_json()))["at"] == "2025-10-10T21:00:00+00:00"


def test_reads_go_stale_after_their_greatest_age() -> None:
    around = Surroundings()
    around.later(30)
    assert around.failed() == []
    around.later(0.5)
    assert around.failed() == ["reads:main"]
    around.health.good_read("main")
    assert around.failed() == []


def test_an_account_that_was_never_read_has_as_long_as_any() -> None:
    around = Surroundings()
    around.later(100)
    around.health.watch({"main": 200.0, "new": 30.0})
    assert around.failed() == []
    around.later(31)
    assert around.failed() == ["reads:new"]
    new = next(check for check in around.health.report().checks if check.name == "reads:new")
    assert new.detail == "no good read in 31 s, at most 30 s is good"


def test_a_reload_restarts_nobodys_patience_and_forgets_who_is_gone() -> None:
    around = Surroundings()
    around.later(40)
    around.health.watch({"main": 30.0})
    assert around.failed() == ["reads:main"]
    around.health.watch({"other": 30.0})
    around.health.good_read("main")
    assert around.failed() == []
    assert [c.name for c in around.health.report().checks if c.name.startswith("reads")] == ["reads:other"]


def test_watching_nothing_is_not_well() -> None:
    around = Surroundings()
    around.health.watch({})
    assert around.failed() == ["reads"]


def test_a_loop_that_stalls_now_is_seen() -> None:
    around = Surroundings()
    around.clock.elapsed_s += 1 + 4.9
    assert around.failed() == []
    around.clock.elapsed_s += 0.2
    assert around.failed() == ["loop"]


async def test_a_stall_stays_visible_for_a_minute() -> None:
    around = Surroundings()
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1
        around.health.good_read("main")
        if beats == 2:
            around.clock.elapsed_s += 6

    task = asyncio.create_task(around.lag.run(beat))
    seen = []
    while beats < 80:
        seen.append((beats, "loop" in around.failed()))
        await asyncio.sleep(0)
    task.cancel()
    stalled = {beat for beat, is_stalled in seen if is_stalled}
    assert min(stalled) in (2, 3)
    assert 58 <= max(stalled) - min(stalled) <= 61


async def test_the_lag_of_a_loop_is_measured_in_real_time() -> None:
    lag = LoopLag(SystemClock())
    beats: list[int] = []
    task = asyncio.create_task(lag.run(lambda: beats.append(1)))
    await asyncio.sleep(0.01)
    assert beats == [1]
    assert lag.worst_s < 1
    task.cancel()


def test_a_database_that_does_not_write_is_seen() -> None:
    around = Surroundings(failing_since=T0)
    assert around.failed() == ["database"]
    database = around.health.report().checks[2]
    assert database == Check("database", ok=False, detail="has not written since 2025-10-10T21:00:00+00:00")


def test_a_channel_that_is_down_is_seen_and_tells_no_secret() -> None:
    register_secret("tok3n-of-the-channel")
    around = Surroundings(channels={"phone": "401 at /bot123:abc with tok3n-of-the-channel", "mail": None})
    assert around.failed() == ["channel:phone"]
    text = json.dumps(around.health.report().as_json())
    assert "tok3n" not in text
    assert "abc" not in text


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({}, ["outbox"]),
        ({"severity": Severity.WARNING}, []),
        ({"state": DeliveryState.SENT}, []),
        ({"state": DeliveryState.SENDING}, ["outbox"]),
    ],
)
def test_a_critical_message_that_waits_a_minute_is_seen(change: dict[str, object], failed: list[str]) -> None:
    around = Surroundings(undelivered=(replace(message(), **change),))  # type: ignore[arg-type]
    around.health.watch({"main": 1000.0})
    around.later(59.9)
    assert around.failed() == []
    around.later(0.1)
    assert around.failed() == failed


async def answering(status: int | BaseException, calls: list[str], url: str) -> int:
    calls.append(url)
    if isinstance(status, BaseException):
        raise status
    return status


def heartbeat(around: Surroundings, status: int | BaseException, calls: list[str]) -> Heartbeat:
    return Heartbeat(URL, lambda url: answering(status, calls, url), around.clock, around.health)


async def test_the_heart_beats_while_all_is_well() -> None:
    calls: list[str] = []
    assert await heartbeat(Surroundings(), 200, calls).beat()
    assert calls == [URL]


def _stale(around: Surroundings) -> None:
    around.later(31)


def _stalled(around: Surroundings) -> None:
    around.clock.elapsed_s += 6


def _not_writing(around: Surroundings) -> None:
    around.failing_since = T0


def _not_delivering(around: Surroundings) -> None:
    around.undelivered = (message(),)
    around.later(60)
    around.health.good_read("main")


@pytest.mark.parametrize("trouble", [_stale, _stalled, _not_writing, _not_delivering])
async def test_the_heart_stands_still_in_trouble(trouble: Callable[[Surroundings], None]) -> None:
    around, calls = Surroundings(), list[str]()
    trouble(around)
    assert not await heartbeat(around, 200, calls).beat()
    assert calls == []


async def test_the_heart_beats_though_one_channel_is_down() -> None:
    calls: list[str] = []
    assert await heartbeat(Surroundings(channels={"phone": "down"}), 200, calls).beat()


@pytest.mark.parametrize(
    "answer", [500, 404, 302, aiohttp.ClientError(f"no route to {URL}"), TimeoutError(), OSError("x"), ValueError(URL)]
)
async def test_a_heartbeat_that_fails_is_logged_without_its_url(answer: int | BaseException) -> None:
    with structlog.testing.capture_logs() as logs:
        assert not await heartbeat(Surroundings(), answer, []).beat()
    assert len(logs) == 1
    assert "0a1b2c3d" not in str(logs)
    assert "0a1b2c3d" not in redact(URL)


async def test_a_heartbeat_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "HEARTBEAT_DEADLINE_S", 0.02)
    around = Surroundings()

    async def hang(_url: str) -> int:
        await asyncio.Event().wait()
        return 200

    assert not await Heartbeat(URL, hang, around.clock, around.health).beat()


async def test_the_heart_beats_once_a_minute() -> None:
    around, calls = Surroundings(), list[str]()
    around.health.watch({"main": 10_000.0})
    task = asyncio.create_task(heartbeat(around, 200, calls).run())
    while around.clock.elapsed_s < 300:
        around.lag._beat_at = around.clock.monotonic()
        await asyncio.sleep(0)
    task.cancel()
    assert len(calls) in (5, 6)


async def test_the_real_call_reads_the_status_of_a_server() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=201)

    application = web.Application()
    application.router.add_get("/ping", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    assert await http_get(f"http://127.0.0.1:{runner.addresses[0][1]}/ping") == 201
    await runner.cleanup()
    with pytest.raises(aiohttp.ClientError):
        await http_get("http://127.0.0.1:1/")


class Seconds:
    """Real time as the watchdog sees it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_watchdog_barks_after_a_minute_without_a_beat() -> None:
    seconds = Seconds()
    dog = Watchdog(seconds)
    for _ in range(300):
        seconds.now += 1
        dog.beat()
        assert not dog.check()
    for second in range(1, 61):
        seconds.now += 1
        assert dog.check() is (second == 60)


def test_one_beat_calms_the_watchdog() -> None:
    seconds = Seconds()
    dog = Watchdog(seconds)
    for second in range(1, 500):
        seconds.now += 1
        if second % 59 == 0:
            dog.beat()
        assert not dog.check()


def test_a_machine_that_slept_for_hours_is_no_stall() -> None:
    seconds = Seconds()
    dog = Watchdog(seconds)
    for _ in range(10):
        seconds.now += 3600
        assert not dog.check()


def test_the_watchdog_shows_where_it_hangs_and_ends_the_process() -> None:
    seconds = Seconds()
    codes: list[int] = []
    with tempfile.TemporaryFile("w+") as stream:

        def much_later() -> float:
            seconds.now += 1
            return seconds.now

        dog = Watchdog(much_later, limit_s=3, check_every_s=0.5, exit_process=codes.append, stream=stream)
        dog._check_every_s = 0.001
        dog.start()
        dog._thread.join(5)
        stream.seek(0)
        text = stream.read()
    assert codes == [70]
    assert "the event loop has been still for" in text
    assert "test_the_watchdog_shows_where_it_hangs" in text, "every thread is shown"


def test_a_stopped_watchdog_ends_nothing() -> None:
    codes: list[int] = []
    dog = Watchdog(Seconds(), check_every_s=0.005, exit_process=codes.append, stream=io.StringIO())
    dog.start()
    dog.stop()
    assert not dog._thread.is_alive()
    assert codes == []


def test_a_watchdog_without_a_usable_stream_still_ends_the_process() -> None:
    codes: list[int] = []
    dog = Watchdog(Seconds(), exit_process=codes.append, stream=io.StringIO())
    with pytest.raises(io.UnsupportedOperation):
        dog._end()
    assert codes == [70]


def test_a_real_process_whose_loop_hangs_ends_with_70_whatever_the_speed_of_its_clock() -> None:
    code = """
import asyncio, time
from datetime import UTC, datetime
from monitor.clock import ScaledClock, SystemClock
from monitor.health import LoopLag, Watchdog
async def main():
    ScaledClock(datetime.now(UTC), 1000)
    dog = Watchdog(SystemClock().monotonic, limit_s=0.2, check_every_s=0.05)
    dog.start()
    task = asyncio.create_task(LoopLag(SystemClock()).run(dog.beat))
    await asyncio.sleep(0.01)
    hangs_here()
def hangs_here():
    time.sleep(20)
asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=15, check=False
    )
    assert done.returncode == 70
    assert "hangs_here" in done.stderr


def test_read_ages_follow_the_clock_of_the_monitor_however_fast() -> None:
    clock = ScaledClock(T0, 1_000_000)
    health = Health(
        clock, LoopLag(SystemClock()), failing_since=lambda: None, undelivered=tuple, channels=dict[str, str | None]
    )
    health.watch({"main": 30.0})
    while clock.monotonic() < 1000:
        pass
    names = [check.name for check in health.vital_problems()]
    assert names == ["reads:main"]
