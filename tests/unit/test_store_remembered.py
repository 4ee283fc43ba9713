"""What another monitor remembers of its accounts, read beside it without touching anything."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.store.database import remembered
from monitor.store.records import AccountRecord, Changes
from monitor.store.store import Store
from tests.unit.store_kit import T0, ManualClock

RECORD = AccountRecord(account="main", venue="binanceusdm", last_read_at=T0, last_flat=False, last_positions=2)


@pytest.mark.parametrize("name", ["state.db", "my state #1, 100%.db"])
async def test_it_is_read_while_that_monitor_runs_and_after_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    store = await Store.open(path, ManualClock())
    await store.apply(Changes(accounts=(RECORD,)))
    assert remembered(path) == {"main": RECORD}
    await store.close()
    before = path.read_bytes()
    assert remembered(path) == {"main": RECORD}
    assert path.read_bytes() == before


def _nothing(_path: Path) -> None:
    """There is no state."""


def _text(path: Path) -> None:
    path.write_text("accounts: none " * 100)


def _folder(path: Path) -> None:
    path.mkdir()


def _loop_of_links(path: Path) -> None:
    path.symlink_to(path)


def _of_another_program(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE account (number INTEGER)")
    connection.close()


@pytest.mark.parametrize("make", [_nothing, _text, _folder, _loop_of_links, _of_another_program])
def test_of_what_cannot_be_read_nothing_is_known_and_nothing_is_made(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "state.db"
    make(path)
    before = sorted(tmp_path.iterdir())
    assert remembered(path) == {}
    assert sorted(tmp_path.iterdir()) == before
