"""A state that is set aside, when what comes after it fails as well: nothing is left out and nothing told wrongly."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from monitor.store import database
from monitor.store.errors import StoreError, StoreErrorKind
from monitor.store.records import Changes
from monitor.store.store import REOPEN_EVERY_S, Store
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
    shut_by_another,
)


def _full(*_args: object) -> None:
    raise OperationalError("INSERT", None, sqlite3.OperationalError("database or disk is full"))


def _break_the_freelist(path: Path) -> None:
    """Found by a check of the whole alone: every statement works."""
    with path.open("r+b") as file:
        file.seek(36)
        file.write((5).to_bytes(4))


def _overwrite(path: Path) -> None:
    path.write_text("this is no database at all " * 1000)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0)


@pytest.mark.parametrize("fails", [(database, "migrate"), (database, "_upsert")], ids=["new tables", "first write"])
async def test_a_new_state_that_is_not_written_at_once_takes_everything_later(
    fails: tuple[object, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, disk_clock = tmp_path / "a.db", ManualClock()
    await a_filled_database(path, rows=3)
    store = await Store.open(path, ManualClock(), disk_clock)
    alerts, waiting = dict(store.alerts), dict(store.undelivered)
    path.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(*fails, _full)
        await store.apply(Changes(alive_at=T0))
        assert is_failing(store)
    disk_clock.elapsed_s += REOPEN_EVERY_S
    await store.apply(Changes(alive_at=T0))
    assert not is_failing(store)
    assert store.set_aside == f"the state {path} had been removed; a new one was begun."
    assert not [name for name in files_in(tmp_path) if name.endswith("Z")], "an empty state is not set aside"
    await store.close()
    store = await Store.open(path, ManualClock())
    assert dict(store.alerts) == alerts
    assert dict(store.undelivered) == waiting
    await store.close()


@pytest.mark.parametrize("damage", [_break_the_freelist, _overwrite])
async def test_a_state_that_turns_out_damaged_once_it_can_be_opened_is_set_aside(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    path, disk_clock = tmp_path / "a.db", ManualClock()
    await a_filled_database(path, rows=3)
    other = shut_by_another(path)
    store = await Store.open(path, ManualClock(), disk_clock)
    other.close()
    damage(path)
    await store.apply(Changes(alerts=(firing("new"),), enqueue=(message("new"),)))
    disk_clock.elapsed_s += REOPEN_EVERY_S
    await store.apply(Changes(alive_at=T0))
    assert not is_failing(store)
    assert store.set_aside is not None
    assert "was damaged; it was set aside as a.db.damaged-" in store.set_aside
    await store.close()
    store = await Store.open(path, ManualClock())
    assert key("new") in store.alerts
    await store.close()


async def test_damage_is_told_also_where_no_new_state_can_be_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, disk_clock = tmp_path / "a.db", ManualClock()
    await a_filled_database(path, rows=3)
    _overwrite(path)
    with monkeypatch.context() as patched:
        patched.setattr(database, "migrate", _full)
        store = await Store.open(path, ManualClock(), disk_clock)
    assert store.failing_why == f"the state {path} cannot be used: database or disk is full."
    assert store.set_aside is not None
    assert "was damaged; it was set aside as a.db.damaged-" in store.set_aside
    disk_clock.elapsed_s += REOPEN_EVERY_S
    await store.apply(Changes(alerts=(firing("new"),)))
    assert not is_failing(store)
    assert len([name for name in files_in(tmp_path) if ".damaged-" in name]) == 1
    await store.close()


async def test_nobody_else_begins_while_a_state_waits_to_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await a_filled_database(path, rows=1)
    other = shut_by_another(path)
    store = await Store.open(path, ManualClock(), ManualClock())
    other.close()
    with pytest.raises(StoreError, match="another perpwatch is using") as caught:
        await Store.open(path, ManualClock())
    assert caught.value.kind is StoreErrorKind.LOCKED
    await store.close()
    assert execute(path, "SELECT count(*) FROM alert") == [(1,)]
