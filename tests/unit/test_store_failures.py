"""The store when the disk, the file or another process is against it."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from sqlalchemy.exc import OperationalError

from monitor.domain.notification import DeliveryState
from monitor.store import files, retention
from monitor.store import store as store_module
from monitor.store.errors import StoreError, StoreErrorKind
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.unit.store_kit import KEY, T0, ManualClock, firing, key, message, only, sent

ROOT = Path(__file__).parents[2]


async def a_filled_database(path: Path, rows: int = 200) -> None:
    store = await Store.open(path, ManualClock())
    await store.apply(
        Changes(
            alerts=tuple(firing(f"cross:{n}") for n in range(rows)),
            enqueue=tuple(message(f"cross:{n}") for n in range(rows)),
        )
    )
    await store.close()


def _overwrite_a_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(4096))


def _overwrite_the_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"<html>not a database</html>")


def _replace_by_text(path: Path) -> None:
    path.write_text("this is no database at all " * 1000)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


DAMAGES: list[Callable[[Path], None]] = [_overwrite_a_page, _overwrite_the_header, _replace_by_text, _truncate]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_file_is_set_aside_and_told(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await a_filled_database(path)
    damage(path)
    broken = path.read_bytes()
    store = await Store.open(path, ManualClock())
    aside = tmp_path / "a.db.damaged-20251010T210000.000000Z"
    assert aside.read_bytes() == broken
    assert store.set_aside == f"the state {path} was damaged; it was set aside as {aside.name} and a new one begun."
    assert dict(store.alerts) == {}
    await store.apply(Changes(alerts=(firing(),)))
    await store.close()
    store = await Store.open(path, ManualClock())
    assert store.set_aside is None
    assert list(store.alerts) == [KEY]
    await store.close()


def test_the_journals_of_a_damaged_file_go_aside_with_it(tmp_path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"a.db{suffix}").write_text(suffix)
    aside = files.set_aside(tmp_path / "a.db", T0)
    assert sorted(tmp_path.iterdir()) == [aside, Path(f"{aside}-shm"), Path(f"{aside}-wal")]
    assert Path(f"{aside}-wal").read_text() == "-wal"


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await a_filled_database(path, rows=1)
    _execute(path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"newer perpwatch \(schema 9999, this one knows up to 0001\)") as caught:
        await Store.open(path, ManualClock())
    assert caught.value.kind is StoreErrorKind.NEWER_SCHEMA
    assert _names(tmp_path) == {"a.db", "a.db.lock"}
    _execute(path, "UPDATE alembic_version SET version_num = '0001'")
    store = await Store.open(path, ManualClock())
    assert len(store.alerts) == 1
    await store.close()


async def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    _execute(path, "CREATE TABLE precious (id INTEGER)")
    with pytest.raises(StoreError, match="not one of perpwatch") as caught:
        await Store.open(path, ManualClock())
    assert caught.value.kind is StoreErrorKind.FOREIGN
    assert _execute(path, "SELECT count(*) FROM precious") == [(0,)]


def _a_file_for_a_folder(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file" / "a.db"


def _a_folder_for_a_file(folder: Path) -> Path:
    (folder / "a.db").mkdir()
    return folder / "a.db"


def _a_system_folder(_folder: Path) -> Path:
    return Path("/proc/a.db")


@pytest.mark.parametrize("place", [_a_file_for_a_folder, _a_folder_for_a_file, _a_system_folder])
async def test_a_place_that_cannot_be_written_is_one_clear_sentence(
    place: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = place(tmp_path)
    with pytest.raises(StoreError, match=rf"the state {path} cannot be opened for writing: [A-Z][a-z ]+\.") as caught:
        await Store.open(path, ManualClock())
    assert caught.value.kind is StoreErrorKind.UNUSABLE
    assert "\n" not in str(caught.value)


async def test_two_monitors_never_share_a_state(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    (tmp_path / "link.db").symlink_to(path)
    store = await Store.open(path, ManualClock())
    for name in (path, tmp_path / "link.db", tmp_path / "x" / ".." / "a.db"):
        with pytest.raises(StoreError, match=rf"another perpwatch is using {path} \(process {os.getpid()}\)") as caught:
            await Store.open(name, ManualClock())
        assert caught.value.kind is StoreErrorKind.LOCKED
    await store.close()
    await (await Store.open(path, ManualClock())).close()


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from monitor.store.store import Store
from monitor.store.records import Changes
from tests.unit.store_kit import ManualClock, firing, message

async def main():
    store = await Store.open(Path(sys.argv[1]), ManualClock())
    await store.apply(Changes(alerts=(firing(),), enqueue=(message(),)))
    print("written", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


async def test_another_process_holds_the_lock_until_it_is_killed_and_its_words_survive(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    child = subprocess.Popen(  # noqa: ASYNC220 - the test waits for nothing else
        [sys.executable, "-c", CHILD, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert await asyncio.to_thread(child.stdout.readline) == b"written\n"
        with pytest.raises(StoreError, match=f"process {child.pid}"):
            await Store.open(path, ManualClock())
    finally:
        child.send_signal(signal.SIGKILL)
        await asyncio.to_thread(child.wait)
        child.stdin.close()
        child.stdout.close()
    store = await Store.open(path, ManualClock())
    assert list(store.alerts) == [KEY]
    assert only(store).target == "phone"
    await store.close()


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
    assert not _is_failing(store)
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
    assert _is_failing(store)
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
    for name in _names(tmp_path):
        (tmp_path / name).unlink()
    await store.apply(Changes(alerts=(firing("new"),)))
    assert not _is_failing(store)
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
    assert not _is_failing(store)
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
    monkeypatch.setattr(store_module, "WRITE_DEADLINE_S", 0.05)
    hangs, write = threading.Event(), store._database.write

    def hang(batch: object) -> frozenset[int]:
        hangs.wait(10)
        return write(batch)  # type: ignore[arg-type]

    monkeypatch.setattr(store._database, "write", hang)
    started = asyncio.get_running_loop().time()
    for n in range(20):
        await store.apply(Changes(alerts=(firing(str(n)),), enqueue=(message(str(n)),)))
    assert asyncio.get_running_loop().time() - started < 1, "only the first waits"
    assert _is_failing(store)
    assert len(store.alerts) == len(store.undelivered) == 20
    hangs.set()
    monkeypatch.setattr(store_module, "WRITE_DEADLINE_S", 10)
    await asyncio.to_thread(lambda: store._writer.submit(int).result(5))
    store._retry_at = 0
    await store.apply(Changes(alive_at=T0))
    assert not _is_failing(store)
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
        await store.apply(Changes(alerts=(firing(),)))
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
    assert not _is_failing(store)
    await store.close()


async def test_rows_that_cannot_be_read_are_dropped_and_named(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await a_filled_database(path, rows=3)
    _execute(path, """UPDATE alert SET body = '{"key": 1}' WHERE subject = 'cross:0'""")
    _execute(path, "UPDATE outbox SET body = 'nonsense' WHERE subject = 'cross:1'")
    _execute(path, "UPDATE outbox SET scope = 'galaxy', body = 'x' WHERE subject = 'cross:2'")
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
        _execute(path, f"UPDATE monitor SET alive_at = '{value}'")
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


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def _is_failing(store: Store) -> bool:
    return store.failing_since is not None


def _pragma(store: Store, pragma: str) -> None:
    """Set on the store's own connection, as only that one is affected."""
    engine = store._database.engine
    assert engine is not None
    raw = engine.raw_connection()
    raw.cursor().execute(f"PRAGMA {pragma}").fetchall()
    raw.close()


def _execute(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute(statement).fetchall()
        connection.commit()
        return rows
    finally:
        connection.close()
