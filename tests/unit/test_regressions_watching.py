"""Once wrong: what happens when an edit, a stop or a bug meets a read in flight."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import monitor.store.store
from monitor.blindness import decide_blindness
from monitor.clock import SystemClock
from monitor.config.settings import Settings
from monitor.daemon import Daemon
from monitor.domain.account import Observation
from monitor.domain.market import Markets
from monitor.exchange.registry import Exchanges
from monitor.store.records import Batch, Changes
from monitor.store.store import Store
from monitor.watching import Watching
from tests.builders import a_position, a_snapshot
from tests.outbox import until

RATIO = {"kind": "margin_ratio", "critical": "80%"}
FUNDING = {"kind": "funding_exposure", "critical": "2%"}


def some_settings(*accounts: str, poll_interval: str = "1s", **rules: dict[str, str]) -> Settings:
    given: dict[str, Any] = {
        "accounts": {name: {"venue": "binanceusdm", "base_url": "http://127.0.0.1:9"} for name in accounts},
        "channels": {"phone": {"url": "json://127.0.0.1:9"}},
        "rules": rules or {"margin_ratio": RATIO},
        "poll_interval": poll_interval,
    }
    return Settings.model_validate(given)


class Gated:
    """A source whose reads end when the test says so; each shows an account near its liquidation."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.reads = 0
        self.bug: Exception | None = None

    async def observe(self) -> Observation:
        self.asked.set()
        await self.gate.wait()
        self.reads += 1
        if self.bug is not None:
            raise self.bug
        return a_snapshot(a_position(maintenance_margin=900.0), account=self.name, observed_at=SystemClock().now())

    def markets(self) -> Markets:
        return {}


class Venues:
    def __init__(self) -> None:
        self.sources: dict[str, Gated] = {}

    def open_account(self, access: Any) -> Gated:
        self.sources[access.name] = Gated(access.name)
        return self.sources[access.name]

    async def close_account(self, source: Gated) -> None:
        pass


@asynccontextmanager
async def watching() -> AsyncIterator[tuple[Watching, Store, dict[str, Gated]]]:
    clock, venues = SystemClock(), Venues()
    store = await Store.open(None, clock)
    async with asyncio.TaskGroup() as tasks:
        watched = Watching(store, venues, clock, tasks, on_read=lambda _: None)  # type: ignore[arg-type]
        yield watched, store, venues.sources
        await watched.leave_all()
    await store.close()


async def test_a_read_in_flight_is_judged_by_the_rules_in_force_when_it_ends() -> None:
    async with watching() as (watched, store, sources):
        await watched.take(some_settings("main", margin_ratio=RATIO, funding_exposure=FUNDING))
        await sources["main"].asked.wait()
        await watched.take(some_settings("main", funding_exposure=FUNDING))
        sources["main"].gate.set()
        await until(lambda: store.accounts.get("main"))
        assert "margin_ratio" not in {key.rule for key in store.alerts}
        assert not store.undelivered, "nothing is told by a rule that is gone"


async def test_an_edit_that_opens_an_account_anew_does_not_put_off_its_next_read() -> None:
    async with watching() as (watched, _, sources):
        await watched.take(some_settings("main", poll_interval="60s", margin_ratio=RATIO))
        await sources["main"].asked.wait()
        hung, watched._due["main"] = sources["main"], 0.0
        stops = {"kind": "stop_missing", "critical": "any"}
        await watched.take(some_settings("a", "main", poll_interval="60s", margin_ratio=RATIO, stop_missing=stops))
        assert sources["main"] is not hung, "what it needs is not what it was"
        async with asyncio.timeout(3):
            await sources["main"].asked.wait()


async def test_an_account_removed_while_its_alert_is_being_written_keeps_no_alert(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with watching() as (watched, store, sources):
        await watched.take(some_settings("main", "other", poll_interval="1h"))
        write, begun = store._database.write, asyncio.Event()
        loop = asyncio.get_running_loop()

        def slow(batch: Batch) -> frozenset[int]:
            loop.call_soon_threadsafe(begun.set)
            time.sleep(0.05)
            return write(batch)

        monkeypatch.setattr(store._database, "write", slow)
        sources["main"].gate.set()
        await begun.wait()
        await watched.take(some_settings("other", poll_interval="1h"))
        await store.settled()
        assert [alert.is_active for alert in store.alerts.values()] == [False]
        assert [str(row.reason) for row in store.undelivered.values()] == ["first", "resolved"]


async def test_a_bug_met_by_one_account_ends_no_watch_and_leaves_that_account_blind() -> None:
    async with watching() as (watched, store, sources):
        await watched.take(some_settings("strange", "sound"))
        sources["strange"].bug = ZeroDivisionError("a figure nobody thought of")
        for source in sources.values():
            source.gate.set()
        await until(lambda: store.accounts.get("sound"))
        await until(lambda: sources["strange"].reads)
        sight = watched.sights["strange"]
        assert sight.failure is not None
        assert "ZeroDivisionError" in sight.failure.detail
        sight.since = sight.since.replace(year=2020)
        changes = decide_blindness(watched.plans, watched.sights, store, SystemClock().now())
        assert [(alert.key.account, str(alert.severity)) for alert in changes.alerts] == [("strange", "critical")]


async def test_an_account_whose_verdict_cannot_be_written_down_does_not_count_as_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def bug(_changes: object) -> None:
        raise ValueError("a row that no database takes")

    async with watching() as (watched, store, sources):
        await watched.take(some_settings("main"))
        monkeypatch.setattr(store, "apply", bug)
        sources["main"].gate.set()
        await until(lambda: watched.sights["main"].failure)
        assert watched.sights["main"].last_read_at is None


async def test_every_account_is_read_soon_after_the_start_however_rarely_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delays: list[float] = []
    monkeypatch.setattr(Watching, "_start", lambda self, name, delay_s: delays.append(delay_s))
    async with watching() as (watched, _, _sources):
        await watched.take(some_settings("a", "b", "c", "d", poll_interval="1h"))
    assert max(delays) <= 10
    assert len(set(delays)) == 4


async def test_a_stop_in_the_middle_of_an_edit_leaves_nothing_running(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The edit would open its account after all others were closed, and the process would never end."""
    file, edited, released = tmp_path / "perpwatch.yaml", asyncio.Event(), asyncio.Event()
    file.write_text("1")
    close_account = Exchanges.close_account

    async def held(_store: Store) -> None:
        edited.set()
        await released.wait()

    async def closing(self: Exchanges, source: Any) -> None:
        released.set()
        await asyncio.sleep(0.05)
        await close_account(self, source)

    daemon = Daemon(
        some_settings("main"), SystemClock(), database=None, config=(file, lambda: some_settings("main", "new"))
    )
    running = asyncio.create_task(daemon.run())
    await daemon.started.wait()
    monkeypatch.setattr(Store, "settled", held)
    monkeypatch.setattr(Exchanges, "close_account", closing)
    file.write_text("2")
    await edited.wait()
    daemon.stop.set()
    done, _ = await asyncio.wait([running], timeout=5)
    running.cancel()
    assert done, "still running"
    await running


async def test_a_read_of_the_database_that_hangs_counts_as_a_database_that_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is written behind it, so nothing may look as if it were."""
    store = await Store.open(tmp_path / "state.db", SystemClock())
    free = asyncio.Event()
    monkeypatch.setattr(monitor.store.store, "WRITE_DEADLINE_S", 0.05)
    loop = asyncio.get_running_loop()

    def hang(_limit: int) -> list[str]:
        asyncio.run_coroutine_threadsafe(free.wait(), loop).result()
        return []

    monkeypatch.setattr(store._database, "recent", hang)
    assert await store.recent() == ()
    await store.apply(Changes(alive_at=SystemClock().now()))
    during = store.failing_since
    free.set()
    monkeypatch.setattr(monitor.store.store, "WRITE_DEADLINE_S", 10.0)
    await until(lambda: store._in_flight is not None and store._in_flight.done())
    await store.apply(Changes(alive_at=SystemClock().now()))
    assert during is not None
    assert store.failing_since is None
    await store.close()
