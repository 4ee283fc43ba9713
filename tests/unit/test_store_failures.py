"""The store when the disk, the file or another process is against it."""

import asyncio
import os
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from sqlalchemy.exc import OperationalError

from monitor.domain.notification import DeliveryState
from monitor.store import retention
from monitor.store import store as store_module
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.unit.store_kit import (
    T0,
    ManualClock,
    a_filled_database,
    execute,
    files_in,
    firing,
    is_failing,
    key,
    message,
    only,
    sent,
)


async def test_a_full_disk_keeps_changes_in_memory_and_writes_them_when_there_is_room(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    _pragma(store, "max_page_count = 1")
    clock.elapsed_s = 7
    with structlog.testing.capture_logs() as logs:
        for n in range(3):
            rows = tuple(message(f"{n}-{m}") for m in range(50))
            await store.apply(Changes(alerts=(firing(str(n)),), enqueue=rows))
    assert [line["event"] for line in logs] == ["the database does not write; the state is kept in memory"]
    assert logs[0]["error"] == "database or disk is full"
    assert store.failing_since == clock.now()
    assert len(store.undelivered) == 150
    assert len(store.alerts) == 3
    assert await store.recent() == ()
    first = next(iter(store.undelivered.values()))
    await store.apply(Changes(notifications=(sent(first),), forget_alerts=(key("1"),)))
    assert len(store.undelivered) == 149

    _pragma(store, "max_page_count = 1000000")
    await store.apply(Changes(alive_at=T0))
    assert not is_failing(store)
    alerts, undelivered = dict(store.alerts), dict(store.undelivered)
    assert await store.recent() == (sent(first),)
    await store.close()
    store = await Store.open(path, clock)
    assert dict(store.alerts) == alerts
    assert dict(store.undelivered) == undelivered
    await store.close()


async def test_while_the_disk_is_full_a_message_is_enqueued_once_and_wakes_the_delivery(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "a.db", ManualClock())
    await store.wait_for_outbox(0)
    store._enqueued.clear()
    _pragma(store, "max_page_count = 1")
    await store.apply(Changes(enqueue=tuple(message(str(n)) for n in range(100))))
    assert store._enqueued.is_set()
    await store.apply(Changes(enqueue=tuple(message(str(n)) for n in range(100))))
    assert len(store.undelivered) == 100
    assert store.announced_targets(key("5"), 1) == {"phone"}
    await store.close()


async def test_a_message_sent_before_a_failure_is_not_sent_again_after_it(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "a.db", ManualClock())
    await store.apply(Changes(enqueue=(message(),)))
    await store.apply(Changes(notifications=(sent(only(store)),)))
    _pragma(store, "max_page_count = 1")
    await store.apply(Changes(enqueue=(message(), *(message(str(n)) for n in range(100)))))
    assert is_failing(store)
    assert len(store.undelivered) == 101
    _pragma(store, "max_page_count = 1000000")
    await store.apply(Changes(alive_at=T0))
    assert len(store.undelivered) == 100, "the outbox knew that it had been sent"
    await store.close()


async def test_what_is_owed_is_written_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = await Store.open(path, ManualClock())
    _pragma(store, "max_page_count = 1")
    await store.apply(Changes(enqueue=tuple(message(str(n)) for n in range(100))))
    _pragma(store, "max_page_count = 1000000")
    await store.close()
    store = await Store.open(path, ManualClock())
    assert len(store.undelivered) == 100
    await store.close()


async def test_state_that_was_never_written_is_said_so_at_the_end(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "a.db", ManualClock())
    _pragma(store, "max_page_count = 1")
    await store.apply(Changes(enqueue=tuple(message(str(n)) for n in range(100))))
    with structlog.testing.capture_logs() as logs:
        await store.close()
    assert [line["event"] for line in logs] == ["state could not be written before the end"]


async def test_a_file_removed_under_the_monitor_is_written_anew_from_memory(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    await store.apply(Changes(alerts=(firing("old"),), enqueue=(message("old"),)))
    for name in files_in(tmp_path):
        (tmp_path / name).unlink()
    await store.apply(Changes(alerts=(firing("new"),)))
    assert not is_failing(store)
    assert store.set_aside == f"the state {path} had been removed; a new one was begun."
    await store.close()
    store = await Store.open(path, clock)
    assert sorted(found.subject for found in store.alerts) == ["new", "old"]
    assert only(store).key == key("old")
    await store.close()


async def test_a_file_damaged_under_the_monitor_is_set_aside_and_written_anew(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    await store.apply(Changes(alerts=tuple(firing(str(n)) for n in range(300)), enqueue=(message("old"),)))
    _pragma(store, "wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096):
            file.seek(4096 * page)
            file.write(os.urandom(4096))
    _pragma(store, "shrink_memory")
    await store.apply(Changes(alerts=(firing("new"),)))
    assert not is_failing(store)
    assert store.set_aside is not None
    assert "was damaged" in store.set_aside
    await store.close()
    store = await Store.open(path, clock)
    assert len(store.alerts) == 301
    assert only(store).key == key("old")
    await store.close()


async def test_a_disk_that_hangs_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    monkeypatch.setattr(store_module, "WRITE_DEADLINE_S", 0.5)
    hangs, write = threading.Event(), store._database.write

    def hang(batch: object) -> frozenset[int]:
        hangs.wait(10)
        return write(batch)  # type: ignore[arg-type]

    monkeypatch.setattr(store._database, "write", hang)
    started = asyncio.get_running_loop().time()
    for n in range(20):
        await store.apply(Changes(alerts=(firing(str(n)),), enqueue=(message(str(n)),)))
    assert asyncio.get_running_loop().time() - started < 5, "only the first waits"
    assert is_failing(store)
    assert len(store.alerts) == len(store.undelivered) == 20
    hangs.set()
    monkeypatch.setattr(store_module, "WRITE_DEADLINE_S", 10)
    await asyncio.to_thread(lambda: store._writer.submit(int).result(5))
    store._retry_at = 0
    await store.apply(Changes(alive_at=T0))
    assert not is_failing(store)
    undelivered = dict(store.undelivered)
    await store.close()
    store = await Store.open(path, clock)
    assert dict(store.undelivered) == undelivered
    await store.close()


async def test_slow_failures_are_not_tried_again_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk_clock, tries = ManualClock(), list[float]()
    store = await Store.open(tmp_path / "a.db", ManualClock(), disk_clock)
    store._retry_at = 0

    def locked(_batch: object) -> frozenset[int]:
        tries.append(disk_clock.elapsed_s)
        disk_clock.elapsed_s += 5
        raise OperationalError("BEGIN IMMEDIATE", None, sqlite3.OperationalError("database is locked"))

    monkeypatch.setattr(store._database, "write", locked)
    for _second in range(20):
        await store.apply(Changes(alive_at=T0))
        disk_clock.elapsed_s += 1
    assert tries == [0, 10, 20, 30]
    monkeypatch.undo()
    await store.close()


async def test_a_database_held_by_another_program_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = await Store.open(path, ManualClock())
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    applying = asyncio.create_task(store.apply(Changes(alerts=(firing(),))))
    await asyncio.sleep(0.05)
    assert not applying.done()
    holder.execute("COMMIT")
    holder.close()
    await applying
    assert not is_failing(store)
    await store.close()


async def test_rows_that_cannot_be_read_are_dropped_and_named(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await a_filled_database(path, rows=3)
    execute(path, """UPDATE alert SET body = '{"key": 1}' WHERE subject = 'cross:0'""")
    execute(path, "UPDATE outbox SET body = 'nonsense' WHERE subject = 'cross:1'")
    execute(path, "UPDATE outbox SET scope = 'galaxy', body = 'x' WHERE subject = 'cross:2'")
    with structlog.testing.capture_logs() as logs:
        store = await Store.open(path, ManualClock())
    assert sorted(found.subject for found in store.alerts) == ["cross:1", "cross:2"]
    assert [row.key.subject for row in store.undelivered.values()] == ["cross:0"]
    assert store.set_aside is not None
    assert store.set_aside.startswith("3 stored rows could not be read and were dropped: ")
    for name in ("alert margin_ratio main pool cross:0", "outbox margin_ratio main pool cross:1 2 phone"):
        assert name in store.set_aside
    assert len([line for line in logs if line["log_level"] == "error" and "dropped" in line["event"]]) == 3
    await store.close()
    store = await Store.open(path, ManualClock())
    assert store.set_aside is None
    await store.close()


async def test_a_time_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = await Store.open(path, ManualClock())
    await store.apply(Changes(alive_at=T0))
    await store.close()
    for value in ("yesterday", "2025-10-10T12:00:00"):
        execute(path, f"UPDATE monitor SET alive_at = '{value}'")
        store = await Store.open(path, ManualClock())
        assert store.last_alive_at is None
        await store.close()


async def test_a_disk_full_at_the_start_does_not_keep_the_monitor_from_watching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    await a_filled_database(path, rows=3)

    def full(*_args: object) -> None:
        raise OperationalError("DELETE", None, sqlite3.OperationalError("database or disk is full"))

    monkeypatch.setattr(retention, "prune", full)
    store = await Store.open(path, ManualClock())
    assert len(store.alerts) == 3
    await store.close()


async def test_a_row_in_sending_survives_a_full_disk_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = await Store.open(path, ManualClock())
    await store.apply(Changes(enqueue=(message(),)))
    await store.apply(Changes(notifications=(replace(only(store), state=DeliveryState.SENDING),)))
    await store.close()
    store = await Store.open(path, ManualClock())
    assert only(store).possible_repeat
    await store.close()


def _pragma(store: Store, pragma: str) -> None:
    """Set on the store's own connection, as only that one is affected."""
    engine = store._database.engine
    assert engine is not None
    raw = engine.raw_connection()
    raw.cursor().execute(f"PRAGMA {pragma}").fetchall()
    raw.close()
