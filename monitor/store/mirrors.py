"""The state in memory: what everybody reads, kept equal to what the database holds or is owed."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from monitor.domain.alert import Alert, Reason
from monitor.domain.notification import DeliveryState, Notification
from monitor.domain.reading import AlertKey
from monitor.domain.silence import Silence
from monitor.store import records
from monitor.store.loading import Loaded
from monitor.store.records import Batch, Changes
from monitor.store.retention import RETENTION, Pruned, Told

# Beyond this many open rows the least urgent are given up as DEAD, and counted.
MAX_UNDELIVERED = 20_000

Identity = tuple[AlertKey, int, int, Reason, str]


class Mirrors:
    """Changed only by the store, once a change is written or owed to a disk that fails."""

    def __init__(self, loaded: Loaded) -> None:
        self.alerts = loaded.alerts
        self.keys_by_account: dict[str, dict[AlertKey, None]] = {}
        self._index(loaded.alerts)
        self.undelivered = loaded.undelivered
        self.accounts = loaded.accounts
        self.hedges = loaded.hedges
        self.last_alive_at = loaded.last_alive_at
        self.dead_count = loaded.dead_count
        self._silences = loaded.silences
        self._told = dict(loaded.told)
        self._last_id = loaded.last_id

    @property
    def silences(self) -> tuple[Silence, ...]:
        return tuple(self._silences.values())

    def alert(self, key: AlertKey) -> Alert:
        """The alert, or a blank one whose episodes go on from the last one told of."""
        known = self.alerts.get(key)
        if known is not None:
            return known
        told = self._told.get(key)
        return Alert(key=key, episode=told.episode if told else 0)

    def announced_targets(self, key: AlertKey, episode: int) -> frozenset[str]:
        told = self._told.get(key)
        arrived = told.targets if told is not None and told.episode == episode else frozenset()
        on_the_way = {
            row.target
            for row in self.undelivered.values()
            if row.key == key and row.episode == episode and _is_news(row.reason)
        }
        return arrived | on_the_way

    def identities(self) -> set[Identity]:
        return {identity(row) for row in self.undelivered.values()}

    def number(self, rows: Sequence[Notification]) -> tuple[Notification, ...]:
        """The rows with the ids they will be stored under; this monitor alone writes its outbox."""
        first = self._last_id + 1
        self._last_id += len(rows)
        return tuple(replace(row, id=first + index) for index, row in enumerate(rows))

    def surplus(self, rows: Sequence[Notification], now: datetime) -> tuple[Notification, ...]:
        """Open rows to give up so that `rows` fit in: the least severe, repeats before news, the oldest first."""
        count = len(self.undelivered) + len(rows) - MAX_UNDELIVERED
        if count <= 0:
            return ()
        idle = [row for row in (*self.undelivered.values(), *rows) if row.state is not DeliveryState.SENDING]
        idle.sort(key=lambda row: (row.severity, row.reason is not Reason.REPEAT, row.id))
        error = f"given up: more than {MAX_UNDELIVERED} messages wait"
        return tuple(replace(row, state=DeliveryState.DEAD, dead_at=now, last_error=error) for row in idle[:count])

    def update(self, changes: Changes, rows: Iterable[Notification]) -> None:
        """Take up `changes`, whose outbox rows stand numbered in `rows`."""
        for key in changes.forget_alerts:
            self._forget_alert(key)
        self.alerts.update({alert.key: alert for alert in changes.alerts})
        self._index(alert.key for alert in changes.alerts)
        self.accounts.update({record.account: record for record in changes.accounts})
        self.hedges = self.hedges if changes.hedges is None else changes.hedges
        self._silences.update({silence.id: silence for silence in changes.silences})
        self.last_alive_at = changes.alive_at or self.last_alive_at
        for row in rows:
            self._update_row(row)

    def drop(self, ids: Iterable[int]) -> None:
        """Rows that turned out to stand in the outbox already, under another id."""
        for row_id in ids:
            self.undelivered.pop(row_id, None)

    def forget(self, pruned: Pruned, now: datetime) -> None:
        for key in pruned.alerts:
            self._forget_alert(key)
        for account in pruned.accounts:
            self.accounts.pop(account, None)
        self._silences = {id_: item for id_, item in self._silences.items() if item.ends_at >= now - RETENTION}
        self._told = dict(pruned.told)
        self.dead_count = pruned.dead_count

    def everything(self, now: datetime) -> Batch:
        """All of it as rows, for a database that begins anew."""
        return Batch(
            alerts={key: records.alert_row(alert, now) for key, alert in self.alerts.items()},
            outbox={row_id: records.outbox_row(row, now) for row_id, row in self.undelivered.items()},
            accounts={name: records.account_row(record) for name, record in self.accounts.items()},
            silences={id_: records.silence_row(silence) for id_, silence in self._silences.items()},
            portfolio=records.portfolio_row(self.hedges),
            alive_at=self.last_alive_at,
        )

    def _index(self, keys: Iterable[AlertKey]) -> None:
        for key in keys:
            self.keys_by_account.setdefault(key.account, {})[key] = None

    def _forget_alert(self, key: AlertKey) -> None:
        if self.alerts.pop(key, None) is not None:
            del self.keys_by_account[key.account][key]

    def _update_row(self, row: Notification) -> None:
        assert row.id is not None, "a row that changes has been stored before"
        told = self._told.get(row.key)
        if told is None or told.episode < row.episode:
            told = self._told[row.key] = Told(episode=row.episode, targets=frozenset())
        if row.state.is_open:
            self.undelivered[row.id] = row
            return
        was_open = self.undelivered.pop(row.id, None) is not None
        if row.state is DeliveryState.DEAD:
            self.dead_count += int(was_open)
        elif told.episode == row.episode and _is_news(row.reason):
            self._told[row.key] = Told(episode=told.episode, targets=told.targets | {row.target})


def identity(row: Notification) -> Identity:
    return row.key, row.episode, row.sequence, row.reason, row.target


def _is_news(reason: Reason) -> bool:
    return reason in (Reason.FIRST, Reason.WORSE, Reason.REPEAT)
