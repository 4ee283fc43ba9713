"""The store at its start, when the file, its place or another process is against it."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from monitor.domain.holdings import Holdings
from monitor.domain.silence import Silence
from monitor.risk.track import track_after
from monitor.store import database, files
from monitor.store import store as store_module
from monitor.store.errors import StoreError, StoreErrorKind
from monitor.store.loading import Loaded
from monitor.store.records import AccountRecord, Changes
from monitor.store.schema import HEAD
from monitor.store.store import REOPEN_EVERY_S, Store
from tests.builders import a_snapshot
from tests.unit.store_kit import (
    KEY,
    T0,
    ManualClock,
    a_filled_database,
    copy_as_after_kill,
    execute,
    files_in,
    firing,
    is_failing,
    key,
    message,
    only,
    overwrite_a_page,
    shut_by_another,
)

ROOT = Path(__file__).parents[2]
A_RECORD = AccountRecord(account="main", venue="binanceusdm", last_read_at=T0, last_flat=False, last_positions=2)


def _overwrite_the_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"<html>not a database</html>")


def _replace_by_text(path: Path) -> None:
    path.write_text("this is no database at all " * 1000)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


DAMAGES: list[Callable[[Path], None]] = [overwrite_a_page, _overwrite_the_header, _replace_by_text, _truncate]


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


async def test_a_newer_schema_is_left_alone_and_the_monitor_goes_on_from_memory(tmp_path: Path) -> None:
    path, disk_clock = tmp_path / "a.db", ManualClock()
    await a_filled_database(path, rows=1)
    execute(path, "UPDATE alembic_version SET version_num = '9999'")
    store = await Store.open(path, ManualClock(), disk_clock)
    assert f"newer perpwatch (schema 9999, this one knows up to {HEAD})" in store.failing_why
    assert is_failing(store)
    await store.apply(Changes(alerts=(firing("new"),), enqueue=(message("new"),)))
    disk_clock.elapsed_s += REOPEN_EVERY_S
    await store.apply(Changes(alive_at=T0))
    assert list(store.alerts) == [key("new")]
    assert only(store).key == key("new")
    await store.close()
    assert files_in(tmp_path) == {"a.db", "a.db.lock"}
    assert execute(path, "SELECT version_num FROM alembic_version") == [("9999",)]


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0)


@pytest.mark.usefixtures("no_patience")
async def test_a_state_that_cannot_be_opened_is_read_and_gone_on_with_once_it_can_be(tmp_path: Path) -> None:
    path, disk_clock = tmp_path / "a.db", ManualClock()
    await a_filled_database(path, rows=3)
    other = shut_by_another(path)
    store = await Store.open(path, ManualClock(), disk_clock)
    assert store.failing_why == f"the state {path} cannot be used: database is locked."
    assert len(store.alerts) == 3
    waiting = len(store.undelivered)
    await store.apply(Changes(enqueue=(message("new"),)))
    other.close()
    await store.apply(Changes(alive_at=T0))
    assert is_failing(store), "it is tried again, but not at every change"
    disk_clock.elapsed_s += REOPEN_EVERY_S
    await store.apply(Changes(alive_at=T0))
    assert not is_failing(store)
    assert store.set_aside is None
    await store.close()
    store = await Store.open(path, ManualClock())
    assert len(store.alerts) == 3
    assert len(store.undelivered) == waiting + 1
    await store.close()


@pytest.mark.usefixtures("no_patience")
async def test_a_journal_that_another_program_ends_while_a_copy_is_made_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await Store.open(tmp_path / "a.db", ManualClock())
    await store.apply(Changes(alerts=(firing(),)))
    path = copy_as_after_kill(tmp_path / "a.db", tmp_path / "killed")
    await store.close()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    copyfile = shutil.copyfile

    def ended_after_the_first(source: Path, target: Path) -> None:
        copyfile(source, target)
        other.close()

    monkeypatch.setattr(shutil, "copyfile", ended_after_the_first)
    store = await Store.open(path, ManualClock())
    assert is_failing(store)
    assert list(store.alerts) == [KEY]
    await store.close()


@pytest.mark.usefixtures("no_patience")
async def test_a_state_that_changed_while_it_could_not_be_opened_is_not_mixed_with_ours(tmp_path: Path) -> None:
    path, disk_clock = tmp_path / "a.db", ManualClock()
    await a_filled_database(path, rows=3)
    other = shut_by_another(path)
    store = await Store.open(path, ManualClock(), disk_clock)
    other.execute("UPDATE outbox SET id = id + 1000")
    other.execute("COMMIT")
    other.close()
    await store.apply(Changes(enqueue=(message("new"),)))
    disk_clock.elapsed_s += REOPEN_EVERY_S
    await store.apply(Changes(alive_at=T0))
    assert not is_failing(store)
    assert store.set_aside is not None
    assert "is not what could be read of it at the start; it was set aside as a.db.damaged-" in store.set_aside
    rows = dict(store.undelivered)
    await store.close()
    store = await Store.open(path, ManualClock())
    assert dict(store.undelivered) == rows
    await store.close()


async def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    execute(path, "CREATE TABLE precious (id INTEGER)")
    with pytest.raises(StoreError, match="not one of perpwatch") as caught:
        await Store.open(path, ManualClock())
    assert caught.value.kind is StoreErrorKind.FOREIGN
    assert execute(path, "SELECT count(*) FROM precious") == [(0,)]


def _a_file_for_a_folder(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file" / "a.db"


def _a_folder_for_a_file(folder: Path) -> Path:
    (folder / "a.db").mkdir()
    return folder / "a.db"


def _a_system_folder(_folder: Path) -> Path:
    return Path("/proc/a.db")


def _a_loop_of_links(folder: Path) -> Path:
    (folder / "a.db").symlink_to(folder / "a.db")
    return folder / "a.db"


@pytest.mark.parametrize("place", [_a_file_for_a_folder, _a_folder_for_a_file, _a_system_folder, _a_loop_of_links])
async def test_a_place_that_cannot_be_written_is_one_clear_sentence(
    place: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = place(tmp_path)
    with pytest.raises(StoreError, match=rf"the state {path} cannot be opened for writing: [A-Z][a-z ]+\.") as caught:
        await Store.open(path, ManualClock())
    assert caught.value.kind is StoreErrorKind.NO_PLACE
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


async def test_stored_times_go_back_with_a_clock_that_was_set_back(tmp_path: Path) -> None:
    path, back = tmp_path / "a.db", timedelta(hours=3)
    store = await Store.open(path, ManualClock())
    later = T0 + timedelta(minutes=1)
    alert = firing(notified_at=T0, clear_at=later, firings=(T0, later))
    row = message(next_attempt_at=later)
    await store.apply(Changes(alerts=(alert,), enqueue=(row,), accounts=(A_RECORD,), alive_at=T0))
    await store.close()

    clock = ManualClock()
    clock.elapsed_s = -back.total_seconds()
    for _start in range(2):  # and they stay there, though the next clock is not behind the last
        store = await Store.open(path, clock)
        [known], waiting = store.alerts.values(), only(store)
        assert (known.notified_at, known.clear_at, known.firings) == (
            T0 - back,
            later - back,
            (T0 - back, later - back),
        )
        assert known.breached_since == dict.fromkeys(alert.breached_since, T0 - back)
        assert (waiting.created_at, waiting.next_attempt_at) == (row.created_at - back, later - back)
        assert store.accounts["main"].last_read_at == T0 - back
        assert store.last_alive_at == T0 - back
        await store.close()


async def test_the_times_of_silences_are_those_of_the_wall(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    silence = Silence(id="1", matchers=(), starts_at=T0, ends_at=T0 + timedelta(hours=1), author="", comment="")
    store = await Store.open(path, clock)
    await store.apply(Changes(silences=(silence,), alive_at=T0))
    await store.close()
    clock.elapsed_s = -3600
    store = await Store.open(path, clock)
    assert store.silences == (silence,)
    await store.close()


async def test_a_disk_that_hangs_at_the_start_keeps_nobody_from_watching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, disk_clock, hangs = tmp_path / "a.db", ManualClock(), threading.Event()
    await a_filled_database(path, rows=3)
    connect = database.Database._connect

    def hang(self: database.Database, now: datetime) -> Loaded:
        hangs.wait(10)
        return connect(self, now)

    with monkeypatch.context() as patched:
        patched.setattr(database.Database, "_connect", hang)
        patched.setattr(store_module, "OPEN_DEADLINE_S", 0.1)
        store = await Store.open(path, ManualClock(), disk_clock)
    assert store.failing_why == f"the state {path} does not answer."
    await store.apply(Changes(alerts=(firing("new"),), enqueue=(message("new"),)))
    assert list(store.alerts) == [key("new")]
    hangs.set()
    await asyncio.to_thread(lambda: store._writer.submit(int).result(5))
    disk_clock.elapsed_s += REOPEN_EVERY_S
    await store.apply(Changes(alive_at=T0))
    assert not is_failing(store)
    assert "is not what could be read of it at the start; it was set aside" in str(store.set_aside)
    await store.close()
    store = await Store.open(path, ManualClock())
    assert list(store.alerts) == [key("new")]
    assert only(store).key == key("new")
    await store.close()


async def test_a_database_of_an_older_schema_is_brought_here_with_all_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await a_filled_database(path, rows=3)
    for column in ("holdings", "track"):
        execute(path, f"ALTER TABLE account DROP COLUMN {column}")
    execute(path, "DROP TABLE portfolio")
    execute(path, "UPDATE alembic_version SET version_num = '0001'")
    store = await Store.open(path, ManualClock())
    assert store.failing_since is None
    assert len(store.undelivered) == 3
    await store.close()
    assert execute(path, "SELECT version_num FROM alembic_version") == [(HEAD,)]


@pytest.mark.parametrize("damage", [("1000.0", "0"), ('"day"', '"month"'), ("{", "[")])
async def test_a_track_that_cannot_be_read_is_unknown_and_nothing_else_is_lost(
    tmp_path: Path, damage: tuple[str, str]
) -> None:
    path = tmp_path / "a.db"
    track = track_after(None, a_snapshot(equity=1000.0), {})
    store = await Store.open(path, ManualClock())
    await store.apply(Changes(accounts=(replace(A_RECORD, track=track),)))
    await store.close()
    again = await Store.open(path, ManualClock())
    assert again.accounts["main"].track == track
    await again.close()
    execute(path, f"UPDATE account SET track = replace(track, '{damage[0]}', '{damage[1]}')")
    last = await Store.open(path, ManualClock())
    assert last.accounts["main"] == A_RECORD
    await last.close()


@pytest.mark.parametrize("stored", ["{not json", '{"positions": 7}'])
async def test_holdings_that_cannot_be_read_are_unknown_and_nothing_else_is_lost(tmp_path: Path, stored: str) -> None:
    path = tmp_path / "a.db"
    store = await Store.open(path, ManualClock())
    await store.apply(Changes(accounts=(replace(A_RECORD, holdings=Holdings(mode="portfolio margin")),)))
    await store.close()
    again = await Store.open(path, ManualClock())
    assert again.accounts["main"].holdings == Holdings(mode="portfolio margin")
    await again.close()
    execute(path, f"UPDATE account SET holdings = '{stored}'")
    last = await Store.open(path, ManualClock())
    assert last.accounts["main"] == A_RECORD
    await last.close()
