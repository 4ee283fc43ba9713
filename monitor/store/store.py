"""The store: mirrors in memory that everybody reads, and one writer thread that makes them outlive the process.

`apply` is the only way in: one transaction per call, in the order of the calls. Where the database cannot be written
the monitor goes on from memory: what is owed to the disk waits in a backlog and `failing_since` says so.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar

from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, NotSupportedError, ProgrammingError

from monitor.clock import Clock, SystemClock
from monitor.domain.alert import Alert, has_only_fresher_figures
from monitor.domain.hedges import Hedges
from monitor.domain.notification import DeliveryState, Notification
from monitor.domain.reading import AlertKey
from monitor.domain.silence import Silence
from monitor.log import get_logger
from monitor.store import records
from monitor.store.database import Database, DatabaseGoneError, Opened, is_damage
from monitor.store.errors import StoreError
from monitor.store.loading import MAX_RECENT, Loaded, moved_back, readable
from monitor.store.mirrors import Mirrors, identity
from monitor.store.records import AccountRecord, Batch, Changes

T = TypeVar("T")

# Longer than SQLite's own wait for a lock; after it the write goes on by itself and its changes count as owed.
WRITE_DEADLINE_S = 10.0
# A large state on a slow disk is read within it.
OPEN_DEADLINE_S = 60.0
PRUNE_EVERY_S = 3600.0
# How often a state that could not be opened is tried again.
REOPEN_EVERY_S = 30.0
# A write that fails faster is simply tried again by the next change.
SLOW_FAILURE_S = 1.0
# Errors of a statement rather than of the disk.
_BUGS = (IntegrityError, ProgrammingError, DataError, NotSupportedError)

_log = get_logger(__name__)


class Store:
    """State of one monitor. Open it with `Store.open`; read the mirrors; write through `apply`."""

    def __init__(
        self, database: Database, writer: ThreadPoolExecutor, clock: Clock, disk_clock: Clock, mirrors: Mirrors
    ) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock
        self._disk_clock = disk_clock
        self._mirrors = mirrors
        self._finished_before: tuple[Notification, ...] = ()
        self._notes: tuple[str, ...] = ()
        self._failing_since: datetime | None = None
        self._failing_why = ""
        self._backlog = Batch()
        # Alerts whose figures moved on since they were written, and nothing else.
        self._fresher: dict[AlertKey, None] = {}
        self._in_flight: asyncio.Future[object] | None = None
        self._retry_at = self._disk_clock.monotonic()
        self._pruned_at = clock.monotonic()
        self._order = asyncio.Lock()
        self._enqueued = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, path: Path | None, clock: Clock, disk_clock: Clock | None = None) -> Self:
        """Load what is stored; `path` None keeps it in memory.

        A disk keeps real time, however fast `clock` runs; the simulation hands in its own as `disk_clock`.

        Raises StoreError, one sentence for the owner, where another monitor or another program holds the state. A
        damaged file is no error: it is set aside, and `set_aside` tells so. Nor is one that cannot be opened, which is
        read if possible, or that does not answer: the store then begins as one that fails, and opens the file once it
        can.
        """
        database = Database(path)
        writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        disk_clock = disk_clock or SystemClock()
        try:
            opened, hanging = await _opened(database, path, writer, clock.now(), disk_clock)
        except BaseException:
            writer.shutdown(wait=False)
            raise
        loaded, set_back = opened.loaded, timedelta()
        if loaded.last_alive_at is not None and loaded.last_alive_at > clock.now():
            # Times to come would keep alerts and messages waiting for a clock that was ahead.
            set_back = loaded.last_alive_at - clock.now()
            loaded = moved_back(loaded, set_back)
            _log.warning("the clock was set back; stored times are moved with it", by_s=set_back.total_seconds())
        store = cls(database, writer, clock, disk_clock, Mirrors(loaded))
        store._finished_before = loaded.finished
        store._in_flight = hanging
        if opened.failure is not None:
            store._failed(store._disk_clock.monotonic(), opened.failure)
        if opened.note is not None:
            store._note(opened.note)
        if loaded.dropped:
            store._note(
                f"{len(loaded.dropped)} stored rows could not be read and were dropped: {_some(loaded.dropped)}."
            )
        if set_back:
            store._backlog = store._mirrors.everything(clock.now())
        alive_at = loaded.last_alive_at if set_back else None
        await store.apply(Changes(notifications=store._interrupted(), alive_at=alive_at))
        store._enqueued.set()
        return store

    @property
    def alerts(self) -> Mapping[AlertKey, Alert]:
        return MappingProxyType(self._mirrors.alerts)

    def keys_of(self, account: str) -> Collection[AlertKey]:
        """The keys of the alerts of one account."""
        return self._mirrors.keys_by_account.get(account, ())

    @property
    def undelivered(self) -> Mapping[int, Notification]:
        """The open outbox rows by id, in the order they were enqueued."""
        return MappingProxyType(self._mirrors.undelivered)

    def take_finished_before(self) -> tuple[Notification, ...]:
        """The messages finished last before this start, newest first, even where the disk fails now. They are kept
        until asked for, once."""
        finished, self._finished_before = self._finished_before, ()
        return finished

    @property
    def accounts(self) -> Mapping[str, AccountRecord]:
        return MappingProxyType(self._mirrors.accounts)

    @property
    def hedges(self) -> Mapping[str, Hedges]:
        """By the name of the rule that watches them."""
        return self._mirrors.hedges

    @property
    def silences(self) -> tuple[Silence, ...]:
        return self._mirrors.silences

    @property
    def last_alive_at(self) -> datetime | None:
        return self._mirrors.last_alive_at

    @property
    def dead_count(self) -> int:
        """Messages given up that are still remembered."""
        return self._mirrors.dead_count

    @property
    def failing_since(self) -> datetime | None:
        """Since when nothing can be written; None while the database writes."""
        return self._failing_since

    @property
    def failing_why(self) -> str:
        """What the disk says to that, in its own words."""
        return self._failing_why

    @property
    def set_aside(self) -> str | None:
        """What the owner must be told of state that was lost; None where nothing was."""
        return " ".join(self._notes) or None

    def alert(self, key: AlertKey) -> Alert:
        """The alert, or a blank one; its episodes go on after those in the outbox, so that no message is taken for
        one already sent."""
        return self._mirrors.alert(key)

    def announced_targets(self, key: AlertKey, episode: int) -> frozenset[str]:
        """Who was told of the latest episode, or is about to be: they are owed its RESOLVED."""
        return self._mirrors.announced_targets(key, episode)

    async def apply(self, changes: Changes) -> None:
        """Write all of `changes` in one transaction, then show it in the mirrors.

        A row whose identity stands in the outbox is not enqueued again. A disk that fails is no error here (see
        `failing_since`). A caller that is cancelled does not take its changes back.

        Alerts of which nothing but the last figures changed are shown at once and written with what comes next: a
        firing alert would cost a transaction at every read, and the next read brings newer figures.
        """
        if changes.is_empty:
            return
        if not self._order.locked() and self._is_of_figures_alone(changes):
            self._mirrors.update(changes, ())
            self._fresher.update((alert.key, None) for alert in changes.alerts)
            return
        task = asyncio.create_task(self._apply(changes))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.shield(task)

    async def settled(self) -> None:
        """Return once the mirrors show every change handed in before, those of cancelled callers among them."""
        if self._running:
            await asyncio.wait(set(self._running))

    async def wait_for_outbox(self, timeout_s: float) -> bool:
        """True once rows were enqueued since the last call, False after that many seconds."""
        try:
            async with self._clock.deadline(timeout_s):
                await self._enqueued.wait()
        except TimeoutError:
            return False
        self._enqueued.clear()
        return True

    async def recent(self, limit: int = 50) -> tuple[Notification, ...]:
        """The messages finished last, newest first; empty while the database fails."""
        if self._failing_since is not None:
            return ()
        try:
            async with self._disk_clock.deadline(WRITE_DEADLINE_S), self._order:
                bodies = await self._run(self._database.recent, min(limit, MAX_RECENT))
        except (TimeoutError, DatabaseError, OSError) as error:
            _log.warning("recent messages cannot be read", error=str(error))
            return ()
        return tuple(readable(bodies))

    async def close(self) -> None:
        """Write what is owed, once more, and let go of the file. A disk that hangs is not waited for."""
        async with self._order:
            self._retry_at = self._disk_clock.monotonic()
            self._backlog = self._backlog.followed_by(self._figures(self._clock.now()))
            if self._backlog != Batch():
                await self._flush()
            if self._backlog != Batch():
                _log.error("state could not be written before the end", failing_since=self._failing_since)
            try:
                async with self._disk_clock.deadline(WRITE_DEADLINE_S):
                    await self._run(self._database.close)
            except (TimeoutError, DatabaseError, OSError) as error:
                _log.error("the database could not be closed", error=str(error))
            self._writer.shutdown(wait=False)

    async def _apply(self, changes: Changes) -> None:
        async with self._order:
            now = self._clock.now()
            wanted = self._mirrors.number(self._new(changes.enqueue))
            rows = (*wanted, *changes.notifications, *self._mirrors.surplus(wanted, now))
            before = self._backlog.followed_by(self._figures(now))
            self._backlog = before.followed_by(records.batch_of(changes, rows, now))
            try:
                known = await self._flush()
            except Exception:
                # A bug in this change must not keep the next ones from the disk.
                self._backlog = before
                raise
            self._mirrors.update(changes, rows)
            self._mirrors.drop(known)
            if any(row.id not in known for row in wanted):
                self._enqueued.set()
            await self._prune_when_due(now)

    def _is_of_figures_alone(self, changes: Changes) -> bool:
        return changes == Changes(alerts=changes.alerts) and all(
            has_only_fresher_figures(alert, self._mirrors.alerts.get(alert.key)) for alert in changes.alerts
        )

    def _figures(self, now: datetime) -> Batch:
        """What is due to be written of figures alone."""
        alerts = {key: self._mirrors.alerts[key] for key in self._fresher if key in self._mirrors.alerts}
        self._fresher.clear()
        return Batch(alerts={key: records.alert_row(alert, now) for key, alert in alerts.items()})

    def _new(self, rows: tuple[Notification, ...]) -> tuple[Notification, ...]:
        """Without those that wait already; the database knows the rest, but it may be failing."""
        if not rows or self._failing_since is None:
            return rows
        waiting = self._mirrors.identities()
        return tuple(row for row in rows if identity(row) not in waiting)

    def _interrupted(self) -> tuple[Notification, ...]:
        """What was being sent when the last process ended may have arrived."""
        now = self._clock.now()
        return tuple(
            replace(row, state=DeliveryState.RETRY, possible_repeat=True, next_attempt_at=now)
            for row in self._mirrors.undelivered.values()
            if row.state is DeliveryState.SENDING
        )

    async def _flush(self) -> frozenset[int]:
        """Write the backlog; returns the ids of rows that stood in the outbox already."""
        started_at = self._disk_clock.monotonic()
        if started_at < self._retry_at:
            return frozenset()
        if self._in_flight is not None and not self._in_flight.done():
            return self._failed(started_at, "an earlier call has not ended")
        try:
            async with self._disk_clock.deadline(WRITE_DEADLINE_S):
                known = await self._write_or_start_afresh()
        except TimeoutError:
            return self._failed(started_at, f"no end within {WRITE_DEADLINE_S:g} s")
        except _BUGS:
            raise
        except (DatabaseError, OSError, StoreError) as error:
            return self._failed(started_at, str(getattr(error, "orig", error)))
        if self._failing_since is not None:
            _log.warning("the database writes again", failing_since=self._failing_since)
        self._failing_since = None
        self._backlog = Batch()
        return known

    async def _write_or_start_afresh(self) -> frozenset[int]:
        now = self._clock.now()
        try:
            if not self._database.is_open:
                await self._run(self._database.reopen, now)
            return await self._run(self._database.write, self._backlog)
        except DatabaseGoneError as error:
            why = error.why
        except DatabaseError as error:
            if not is_damage(error):
                raise
            why = "was damaged"
        # Whatever comes between now and its first write: the new database is owed all of it.
        self._backlog = self._mirrors.everything(now).followed_by(self._backlog)
        self._note(await self._run(self._database.set_aside, now, why))
        await self._run(self._database.reopen, now)
        return await self._run(self._database.write, self._backlog)

    def _failed(self, started_at: float, why: str) -> frozenset[int]:
        ended_at = self._disk_clock.monotonic()
        if not self._database.is_open:
            self._retry_at = ended_at + REOPEN_EVERY_S
        elif ended_at - started_at > SLOW_FAILURE_S:
            # At most half of the time goes into such writes: everybody's next read waits behind them.
            self._retry_at = ended_at + (ended_at - started_at)
        self._failing_why = why
        if self._failing_since is None:
            self._failing_since = self._clock.now()
            _log.error("the database does not write; the state is kept in memory", error=why)
        return frozenset()

    async def _prune_when_due(self, now: datetime) -> None:
        is_due = self._clock.monotonic() - self._pruned_at >= PRUNE_EVERY_S
        if not is_due or self._failing_since is not None:
            return
        self._pruned_at = self._clock.monotonic()
        try:
            async with self._disk_clock.deadline(WRITE_DEADLINE_S):
                self._mirrors.forget(await self._run(self._database.prune, now), now)
        except (TimeoutError, DatabaseError, OSError) as error:
            _log.warning("old state cannot be pruned", error=str(error))

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        """Run on the writer thread; a caller that stops waiting leaves it running."""
        future = asyncio.get_running_loop().run_in_executor(self._writer, function, *arguments)
        self._in_flight = future  # type: ignore[assignment]  # read for `done` alone
        future.add_done_callback(_retrieved)
        return await asyncio.shield(future)

    def _note(self, sentence: str) -> None:
        _log.error("state was lost", what=sentence)
        self._notes = (*self._notes, sentence)[-5:]


async def _opened(
    database: Database, path: Path | None, writer: ThreadPoolExecutor, now: datetime, disk_clock: Clock
) -> tuple[Opened, asyncio.Future[object] | None]:
    """The database open, or, where the disk hangs, nothing known and what the writer thread is held by."""
    loop = asyncio.get_running_loop()
    opening = loop.run_in_executor(writer, database.open, now)
    try:
        async with disk_clock.deadline(OPEN_DEADLINE_S):
            return await asyncio.shield(opening), None
    except TimeoutError:
        opening.add_done_callback(_retrieved)
        failure = f"the state {path} does not answer."
        return Opened(loaded=Loaded(), failure=failure), loop.run_in_executor(writer, database.forget)


def _retrieved(late: "asyncio.Future[Any]") -> None:
    """A failure that comes after its caller has given up is nobody's."""
    if not late.cancelled():
        late.exception()


def _some(names: tuple[str, ...], limit: int = 5) -> str:
    more = len(names) - limit
    return "; ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
