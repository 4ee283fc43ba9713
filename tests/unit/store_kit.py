"""Builders for the tests of the store and of what watches it."""

import asyncio
import os
import shutil
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from monitor.domain.alert import Alert, AlertState, Reason
from monitor.domain.notification import DeliveryState, NoticeFacts, Notification
from monitor.domain.reading import AlertKey, Scope, Severity
from monitor.store.records import Changes
from monitor.store.store import Store

T0 = datetime(2025, 10, 10, 21, 0, tzinfo=UTC)
KEY = AlertKey("margin_ratio", "main", Scope.POOL, "cross:USDT")


class ManualClock:
    """Time that passes when the test says so; sleeping takes no time. Deadlines are real, and generous."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        return self.elapsed_s

    async def sleep(self, seconds: float) -> None:
        self.elapsed_s += seconds
        await asyncio.sleep(0)

    def deadline(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds)


def key(subject: str = "cross:USDT") -> AlertKey:
    return replace(KEY, subject=subject)


def firing(subject: str = "cross:USDT", **changes: Any) -> Alert:
    alert = Alert(
        key=key(subject),
        state=AlertState.FIRING,
        episode=1,
        severity=Severity.CRITICAL,
        breached_since={Severity.WARNING: T0, Severity.CRITICAL: T0},
        fired_at=T0,
    )
    return replace(alert, **changes)


def message(subject: str = "cross:USDT", **changes: Any) -> Notification:
    row = Notification(
        key=key(subject),
        episode=1,
        sequence=0,
        reason=Reason.FIRST,
        target="phone",
        severity=Severity.CRITICAL,
        facts=NoticeFacts(title="title", lines=("line",)),
        created_at=T0,
        send_after=T0,
    )
    return replace(row, **changes)


def sent(row: Notification, at: datetime = T0) -> Notification:
    return replace(row, state=DeliveryState.SENT, delivered_at=at, attempts=1)


def only(store: Store) -> Notification:
    """The one message that waits."""
    (row,) = store.undelivered.values()
    return row


def copy_as_after_kill(database: Path, folder: Path) -> Path:
    """What another process would find if this one were killed now: the files as they are, no lock."""
    folder.mkdir()
    for suffix in ("", "-wal"):
        source = database.with_name(database.name + suffix)
        if source.exists():
            shutil.copy(source, folder / source.name)
    return folder / database.name


async def a_filled_database(path: Path, rows: int = 200) -> None:
    store = await Store.open(path, ManualClock())
    await store.apply(
        Changes(
            alerts=tuple(firing(f"cross:{n}") for n in range(rows)),
            enqueue=tuple(message(f"cross:{n}") for n in range(rows)),
        )
    )
    await store.close()


def is_failing(store: Store) -> bool:
    return store.failing_since is not None


def execute(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute(statement).fetchall()
        connection.commit()
        return rows
    finally:
        connection.close()


def shut_by_another(path: Path) -> sqlite3.Connection:
    """Another program that lets nobody in until its connection is closed."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
    other.execute("BEGIN EXCLUSIVE")
    return other


def overwrite_a_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(4096))


def files_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}
