"""What goes into the store in one piece, and its rows: domain types to column values and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import RowMapping

from monitor.domain.alert import Alert
from monitor.domain.hedges import Hedges
from monitor.domain.holdings import RECORDS_LAG, Holdings
from monitor.domain.notification import Notification
from monitor.domain.reading import AlertKey, Scope
from monitor.domain.silence import Silence
from monitor.domain.track import Track

T = TypeVar("T")
Row = dict[str, Any]

ALERT = TypeAdapter(Alert)
NOTIFICATION = TypeAdapter(Notification)
SILENCE = TypeAdapter(Silence)
HOLDINGS = TypeAdapter(Holdings)
TRACK = TypeAdapter(Track)
HEDGES = TypeAdapter(dict[str, Hedges])


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRecord:
    """What is remembered of an account's last good read; None is unknown."""

    account: str
    venue: str
    last_read_at: datetime | None
    last_flat: bool | None
    last_positions: int | None
    holdings: Holdings | None = None
    track: Track | None = None

    @property
    def look_back_from(self) -> datetime | None:
        """From when on the venue may have taken something that nobody was told of; None where there was nothing to
        take. What was seen to be gone may not have been in the venue's records yet."""
        if self.last_read_at is None:
            return None
        since, holdings = self.last_read_at - RECORDS_LAG, self.holdings
        if holdings is not None and holdings.ends_owed_since is not None:
            return min(since, holdings.ends_owed_since)
        lost = holdings is not None and holdings.lost_something_since(since)
        return since if self.last_positions != 0 or lost else None


def of_venue(record: AccountRecord | None, venue: str) -> AccountRecord | None:
    """Nothing where it is of another venue: an account of that name was put in the place of this one."""
    return record if record is not None and record.venue == venue else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What one transaction writes. `enqueue` are new outbox rows (id None), `notifications` rows that changed.

    `hedges`, by the rule that watches them, take the place of all before.
    """

    alerts: tuple[Alert, ...] = ()
    enqueue: tuple[Notification, ...] = ()
    notifications: tuple[Notification, ...] = ()
    accounts: tuple[AccountRecord, ...] = ()
    silences: tuple[Silence, ...] = ()
    forget_alerts: tuple[AlertKey, ...] = ()
    hedges: Mapping[str, Hedges] | None = None
    alive_at: datetime | None = None

    @property
    def is_empty(self) -> bool:
        return self == Changes()


@dataclass(slots=True)
class Batch:
    """Rows to write, by primary key: a later one replaces an earlier, so that a backlog is bounded by what exists.

    An alert's row is None where it is to be deleted.
    """

    alerts: dict[AlertKey, Row | None] = field(default_factory=dict)
    outbox: dict[int, Row] = field(default_factory=dict)
    accounts: dict[str, Row] = field(default_factory=dict)
    silences: dict[str, Row] = field(default_factory=dict)
    portfolio: Row | None = None
    alive_at: datetime | None = None

    def followed_by(self, later: "Batch") -> "Batch":
        return Batch(
            alerts=self.alerts | later.alerts,
            outbox=self.outbox | later.outbox,
            accounts=self.accounts | later.accounts,
            silences=self.silences | later.silences,
            portfolio=later.portfolio or self.portfolio,
            alive_at=later.alive_at or self.alive_at,
        )


def key_row(key: AlertKey) -> Row:
    return {"rule": key.rule, "account": key.account, "scope": key.scope.value, "subject": key.subject}


def key_of(row: RowMapping) -> AlertKey:
    return AlertKey(row["rule"], row["account"], Scope(row["scope"]), row["subject"])


def alert_row(alert: Alert, now: datetime) -> Row:
    return {
        **key_row(alert.key),
        "active": alert.is_active,
        "updated_at": now,
        "body": ALERT.dump_json(alert).decode(),
    }


def outbox_row(notification: Notification, now: datetime) -> Row:
    """`finished_at` is when it was delivered, given up or superseded; None while it is open."""
    finished_at = None if notification.state.is_open else notification.delivered_at or notification.dead_at or now
    return {
        **key_row(notification.key),
        "id": notification.id,
        "episode": notification.episode,
        "sequence": notification.sequence,
        "reason": notification.reason.value,
        "target": notification.target,
        "severity": int(notification.severity),
        "state": notification.state.value,
        "created_at": notification.created_at,
        "finished_at": finished_at,
        "body": NOTIFICATION.dump_json(notification).decode(),
    }


def silence_row(silence: Silence) -> Row:
    return {"id": silence.id, "ends_at": silence.ends_at, "body": SILENCE.dump_json(silence).decode()}


def account_row(record: AccountRecord) -> Row:
    return {
        "account": record.account,
        "venue": record.venue,
        "last_read_at": record.last_read_at,
        "last_flat": record.last_flat,
        "last_positions": record.last_positions,
        "holdings": None if record.holdings is None else HOLDINGS.dump_json(record.holdings).decode(),
        "track": None if record.track is None else TRACK.dump_json(record.track).decode(),
    }


def portfolio_row(hedges: Mapping[str, Hedges]) -> Row:
    return {"id": 1, "hedges": HEDGES.dump_json(dict(hedges)).decode()}


def hedges_of(body: str | None) -> Mapping[str, Hedges]:
    """None where they cannot be read: they are recognised anew."""
    return _readable(HEDGES, body) or {}


def account_of(row: RowMapping) -> AccountRecord:
    """What cannot be read of it is unknown: holdings are only what the next read is compared with, a track begins
    anew."""
    holdings, track = _readable(HOLDINGS, row["holdings"]), _readable(TRACK, row["track"])
    return AccountRecord(**{**row, "holdings": holdings, "track": track})


def _readable(adapter: TypeAdapter[T], body: str | None) -> T | None:
    try:
        return None if body is None else adapter.validate_json(body)
    except ValidationError:
        return None


def batch_of(changes: Changes, rows: tuple[Notification, ...], now: datetime) -> Batch:
    """What to write of `changes`, whose outbox rows stand numbered in `rows`. ValueError for one without its id."""
    alerts = {alert.key: alert_row(alert, now) for alert in changes.alerts}
    return Batch(
        alerts={**dict.fromkeys(changes.forget_alerts), **alerts},
        outbox={_id(row): outbox_row(row, now) for row in rows},
        accounts={record.account: account_row(record) for record in changes.accounts},
        silences={silence.id: silence_row(silence) for silence in changes.silences},
        portfolio=None if changes.hedges is None else portfolio_row(changes.hedges),
        alive_at=changes.alive_at,
    )


def _id(row: Notification) -> int:
    if row.id is None:
        raise ValueError("a row that changes must be one that was read from the store")
    return row.id
