"""The database itself, in plain blocking calls. Every method runs on the store's one writer thread.

One write is one transaction, begun with BEGIN IMMEDIATE, so that schema changes are inside it as well.
"""

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    StaticPool,
    Table,
    create_engine,
    event,
    func,
    select,
    text,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from monitor.domain.hedges import Hedges
from monitor.log import get_logger
from monitor.store import files, retention, statements
from monitor.store.errors import StoreError
from monitor.store.loading import Loaded, load, recent, told
from monitor.store.migrate import migrate
from monitor.store.records import AccountRecord, Batch, Row, account_of, hedges_of
from monitor.store.retention import Pruned
from monitor.store.schema import KEY, account, alert, monitor, outbox, portfolio, silence

# How long SQLite waits for another process (a backup, a shell) that holds the file.
BUSY_TIMEOUT_S = 5
# And who only wants to know what was before.
GLIMPSE_TIMEOUT_S = 1
# A write-ahead log that once grew is cut back to this.
JOURNAL_SIZE_LIMIT_BYTES = 32 * 1024 * 1024
# SQLite allows 32,766 bound values in a statement.
_IDS_PER_STATEMENT = 10_000

T = TypeVar("T")

_log = get_logger(__name__)


class DatabaseGoneError(OSError):
    """What stands there is not our state: it was removed or replaced. `why` as the owner is told it, of the state."""

    def __init__(self, path: Path | None, why: str) -> None:
        super().__init__(f"{path} {why}")
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What was stored; a sentence for the owner where a file had to be set aside; why nothing can be written yet."""

    loaded: Loaded
    note: str | None = None
    failure: str | None = None


class Database:
    """`path` None keeps everything in memory, through the same statements."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._name = "the state in memory" if path is None else str(path)
        self._lock: files.FileLock | None = None
        self._inode: int | None = None
        # What must stand in a state that is opened late, for ours to go on in it.
        self._expected: tuple[int, datetime | None] | None = None
        self.engine: Engine | None = None

    @property
    def is_open(self) -> bool:
        return self.engine is not None

    def open(self, now: datetime) -> Opened:
        """Raises StoreError where the state is another monitor's, or another program's.

        One that cannot be opened is read from a copy where that can be; `reopen` tries again. The lock is kept where it
        could be had, for no other monitor may begin meanwhile.
        """
        note = None
        try:
            self._claim()
            try:
                return Opened(loaded=self._connect(now))
            except DBAPIError as error:
                if not is_damage(error):
                    raise
            note = self.set_aside(now, "was damaged")
            return Opened(loaded=self.reopen(now), note=note)
        except DBAPIError as error:
            failure = self._unusable(error)
        except StoreError as error:
            if not error.kind.may_pass:
                self.close()
                raise
            failure = str(error)
        except BaseException:
            self.close()
            raise
        assert self._path is not None, "memory can always be opened"
        loaded = glimpse(self._path, now)
        self._expected = (loaded.last_id, loaded.last_alive_at)
        return Opened(loaded=loaded, note=note, failure=failure)

    def forget(self) -> None:
        """Take back an opening that nobody waited for: what it read is known to nobody."""
        self._disconnect()
        self._expected = (0, None)

    def reopen(self, now: datetime) -> Loaded:
        """Open what could not be opened before. Raises StoreError, DBAPIError, or DatabaseGoneError where the state
        there is not the one that was read: it would be mixed up with ours."""
        self._claim()
        loaded = self._connect(now)
        if self._expected != (loaded.last_id, loaded.last_alive_at):
            self._disconnect()
            raise DatabaseGoneError(self._path, "is not what could be read of it at the start")
        return loaded

    def set_aside(self, now: datetime, why: str) -> str:
        """Set what is there aside, for `reopen` to begin with an empty database; returns the sentence for the owner."""
        assert self._path is not None, "a database in memory cannot be damaged"
        self._disconnect()
        self._expected = None  # until it is out of the way, nothing that is found there is ours
        is_there = self._path.exists()
        aside = files.set_aside(self._path, now)
        self._expected = (0, None)
        if is_there:
            return f"the state {self._path} {why}; it was set aside as {aside.name} and a new one begun."
        return f"the state {self._path} had been removed; a new one was begun."

    def _claim(self) -> None:
        if self._path is None:
            return
        if self._lock is None:
            # Two names of one file must meet in one lock.
            self._path = Path(os.path.realpath(self._path))  # Path.resolve takes a loop of links for a bug
            self._name = str(self._path)
        files.prepare(self._path)
        self._lock = self._lock or files.FileLock(self._path)

    def write(self, batch: Batch) -> frozenset[int]:
        """Write all of it or nothing; returns the ids of rows whose identity already stood in the outbox."""
        with self._begin() as connection:
            forgotten = [key for key, row in batch.alerts.items() if row is None]
            if forgotten:
                keys = [{f"key_{name}": getattr(key, name) for name in KEY} for key in forgotten]
                connection.execute(statements.forget_alert(), keys)
            _upsert(connection, alert, [row for row in batch.alerts.values() if row is not None])
            _upsert(connection, account, list(batch.accounts.values()))
            _upsert(connection, silence, list(batch.silences.values()))
            _upsert(connection, portfolio, [] if batch.portfolio is None else [batch.portfolio])
            if batch.alive_at is not None:
                _upsert(connection, monitor, [{"id": 1, "alive_at": batch.alive_at}])
            return _write_outbox(connection, list(batch.outbox.values()))

    def prune(self, now: datetime) -> Pruned:
        """Delete what is older than the retention, and say what is left to know."""
        with self._begin() as connection:
            keys, accounts = retention.prune(connection, now)
            dead = connection.execute(select(func.count()).where(outbox.c.state == "dead")).scalar_one()
            return Pruned(alerts=keys, accounts=accounts, told=told(connection), dead_count=dead)

    def recent(self, limit: int) -> list[str]:
        """Bodies of the outbox rows finished last, newest first."""
        with self._begin() as connection:
            return recent(connection, limit)

    def close(self) -> None:
        self._disconnect()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _connect(self, now: datetime) -> Loaded:
        # Not as text: a path may hold what a URL takes for its query.
        url = URL.create("sqlite", database=None if self._path is None else str(self._path))
        self.engine = create_engine(
            url, poolclass=StaticPool, connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_S}
        )
        event.listen(self.engine, "connect", _on_connect)
        event.listen(self.engine, "begin", _on_begin)
        try:
            return self._loaded(now)
        except BaseException:
            self._disconnect()
            raise

    def _loaded(self, now: datetime) -> Loaded:
        with self._connected().begin() as connection:
            problems = connection.execute(text("PRAGMA quick_check(1)")).scalars().all()
            if problems != ["ok"]:
                raise _damaged(str(problems[0]))
            migrate(connection, self._name)
        self._inode = None if self._path is None else self._path.stat().st_ino
        try:
            self.prune(now)
        except OperationalError as error:
            # A full disk does not keep the monitor from watching; the next write says that it fails.
            _log.error("old state cannot be pruned", error=str(error.orig))
        with self._connected().begin() as connection:
            return load(connection)

    def _connected(self) -> Engine:
        assert self.engine is not None, "the database is not open"
        return self.engine

    def _begin(self) -> AbstractContextManager[Connection]:
        if self._path is not None:
            try:
                is_same = self._path.stat().st_ino == self._inode
            except FileNotFoundError:
                is_same = False
            if not is_same:
                raise DatabaseGoneError(self._path, "is not the one it was")
        return self._connected().begin()

    def _disconnect(self) -> None:
        if self.engine is not None:
            self.engine.dispose()
            self.engine = None

    def _unusable(self, error: DBAPIError) -> str:
        return f"the state {self._name} cannot be used: {error.orig}."


def is_damage(error: DBAPIError) -> bool:
    """Whether the file itself is broken, rather than full, locked or unreadable."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _damaged(problem: str) -> DatabaseError:
    orig = sqlite3.DatabaseError(problem)
    orig.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return DatabaseError("PRAGMA quick_check", None, orig)


def _on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # Python's own transaction control begins too late for DDL; `_on_begin` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        f"journal_size_limit = {JOURNAL_SIZE_LIMIT_BYTES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _upsert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(statements.upsert(table, connection.dialect.name), list(rows))


def _write_outbox(connection: Connection, rows: Sequence[Row]) -> frozenset[int]:
    """Insert what is new, bring the rest up to date; the same rows may be written any number of times."""
    if not rows:
        return frozenset()
    connection.execute(statements.enqueue(connection.dialect.name), list(rows))
    changes = [{"row_id": row["id"], **{f"new_{name}": row[name] for name in statements.CHANGING}} for row in rows]
    connection.execute(statements.change_row(), changes)
    ids = [int(row["id"]) for row in rows]
    stored: set[int] = set()
    for start in range(0, len(ids), _IDS_PER_STATEMENT):
        part = ids[start : start + _IDS_PER_STATEMENT]
        stored.update(connection.execute(select(outbox.c.id).where(outbox.c.id.in_(part))).scalars())
    return frozenset(ids) - stored


def glimpse(path: Path, now: datetime) -> Loaded:
    """What stands in a state that is not opened in place, as another monitor may hold it; nothing where it cannot be
    read."""
    for place in (None, files.MEMORY):
        with suppress(OSError, DBAPIError, StoreError), files.copied(path, place) as copy:
            twin = Database(copy)
            try:
                return twin._connect(now)
            finally:
                twin.close()
    return Loaded()


def remembered(path: Path) -> dict[str, AccountRecord]:
    """What a monitor that runs, or ran last, remembers of its accounts; nothing where that cannot be read."""
    records = _read_in_place(path, lambda connection: connection.execute(select(account)).mappings().all())
    return {record.account: record for record in map(account_of, records or ())}


def remembered_hedges(path: Path) -> Mapping[str, Hedges]:
    """The same of hedges, by the rule that watches them."""
    return hedges_of(_read_in_place(path, lambda connection: connection.execute(select(portfolio.c.hedges)).scalar()))


def _read_in_place(path: Path, query: Callable[[Connection], T]) -> T | None:
    """Without a lock and without writing: a copy of a large state would take seconds and its room."""
    # The path as it stands: `Path.resolve` takes a loop of links for a bug.
    uri = f"{Path(os.path.abspath(path)).as_uri()}?mode=ro"
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, creator=lambda: sqlite3.connect(uri, uri=True, timeout=GLIMPSE_TIMEOUT_S)
    )
    try:
        with engine.begin() as connection:
            return query(connection)
    except DBAPIError as error:
        _log.info("nothing is known of what was before", state=str(path), error=str(error.orig))
        return None
    finally:
        engine.dispose()
