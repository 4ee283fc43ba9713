"""Reading everything back at the start. A row that no longer parses is dropped and told, never a crash."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, Table, and_, delete, func, select

from monitor.domain.alert import Alert, Reason
from monitor.domain.hedges import Hedges
from monitor.domain.notification import DeliveryState, Notification
from monitor.domain.reading import AlertKey
from monitor.domain.silence import Silence
from monitor.log import get_logger
from monitor.store.records import ALERT, NOTIFICATION, SILENCE, AccountRecord, account_of, hedges_of, key_of
from monitor.store.retention import Told
from monitor.store.schema import KEY, SCOPES, account, alert, monitor, outbox, portfolio, silence

T = TypeVar("T")

# So many finished messages are remembered from one start to the next.
MAX_RECENT = 1_000

_log = get_logger(__name__)

# Reasons that tell of an episode, other than its end.
_NEWS = tuple(reason.value for reason in (Reason.FIRST, Reason.WORSE, Reason.REPEAT))
_ARRIVED = (DeliveryState.SENT.value, DeliveryState.SUPERSEDED.value)
_OPEN = tuple(state.value for state in DeliveryState if state.is_open)


@dataclass(slots=True, kw_only=True)
class Loaded:
    """Everything that the mirrors of a store begin with. `dropped` names each row that could not be read.

    `finished` are the messages finished last, newest first.
    """

    alerts: dict[AlertKey, Alert] = field(default_factory=dict)
    undelivered: dict[int, Notification] = field(default_factory=dict)
    silences: dict[str, Silence] = field(default_factory=dict)
    accounts: dict[str, AccountRecord] = field(default_factory=dict)
    hedges: Mapping[str, Hedges] = field(default_factory=dict)
    told: Mapping[AlertKey, Told] = field(default_factory=dict)
    last_alive_at: datetime | None = None
    last_id: int = 0
    dead_count: int = 0
    finished: tuple[Notification, ...] = ()
    dropped: tuple[str, ...] = ()


def load(connection: Connection) -> Loaded:
    dropped: list[str] = []
    alerts = _parsed(connection, alert, ALERT, dropped)
    undelivered = _parsed(connection, outbox, NOTIFICATION, dropped, outbox.c.state.in_(_OPEN))
    silences = _parsed(connection, silence, SILENCE, dropped)
    accounts = [account_of(row) for row in connection.execute(select(account)).mappings()]
    return Loaded(
        alerts={item.key: item for item in alerts},
        undelivered={item.id: item for item in undelivered if item.id is not None},
        silences={item.id: item for item in silences},
        accounts={item.account: item for item in accounts},
        hedges=hedges_of(connection.execute(select(portfolio.c.hedges)).scalar()),
        told=told(connection),
        last_alive_at=connection.execute(select(monitor.c.alive_at)).scalar(),
        last_id=connection.execute(select(func.max(outbox.c.id))).scalar() or 0,
        dead_count=connection.execute(
            select(func.count()).where(outbox.c.state == DeliveryState.DEAD.value)
        ).scalar_one(),
        finished=tuple(readable(recent(connection, MAX_RECENT))),
        dropped=tuple(dropped),
    )


def moved_back(loaded: Loaded, by: timedelta) -> Loaded:
    """As if it had been stored by a clock that was `by` behind. Silences stay: people set them by the wall's time."""
    return replace(
        loaded,
        alerts={key: _moved_back(alert, by) for key, alert in loaded.alerts.items()},
        undelivered={row_id: _moved_back(row, by) for row_id, row in loaded.undelivered.items()},
        accounts={name: _moved_back(record, by) for name, record in loaded.accounts.items()},
        hedges=_moved_back(loaded.hedges, by),
        last_alive_at=_moved_back(loaded.last_alive_at, by),
    )


def _moved_back(value: Any, by: timedelta) -> Any:
    """The same value with every time in it moved."""
    if isinstance(value, datetime):
        return value - by
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{item.name: _moved_back(getattr(value, item.name), by) for item in fields(value)})
    if isinstance(value, Mapping):
        return {key: _moved_back(item, by) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_moved_back(item, by) for item in value)
    return value


def recent(connection: Connection, limit: int) -> list[str]:
    """Bodies of the outbox rows finished last, newest first."""
    query = select(outbox.c.body).where(outbox.c.finished_at.is_not(None))
    return list(connection.execute(query.order_by(outbox.c.finished_at.desc()).limit(limit)).scalars())


def readable(bodies: Iterable[str]) -> Iterator[Notification]:
    """What is over and cannot be read any more is owed to nobody."""
    for body in bodies:
        with suppress(ValidationError):
            yield NOTIFICATION.validate_json(body)


def told(connection: Connection) -> dict[AlertKey, Told]:
    """Per key the latest episode in the outbox, and the targets that news of it has reached."""
    key = [outbox.c[name] for name in KEY]
    news = select(*key, func.max(outbox.c.episode).label("episode")).where(outbox.c.scope.in_(SCOPES))
    latest = news.group_by(*key).subquery()
    arrived = and_(
        *(outbox.c[name] == latest.c[name] for name in (*KEY, "episode")),
        outbox.c.reason.in_(_NEWS),
        outbox.c.state.in_(_ARRIVED),
    )
    query = select(latest, outbox.c.target).select_from(latest.outerjoin(outbox, arrived)).distinct()
    result: dict[AlertKey, Told] = {}
    for row in connection.execute(query).mappings():
        before = result.get(key_of(row))
        targets = before.targets if before else frozenset()
        new = frozenset() if row["target"] is None else frozenset({str(row["target"])})
        result[key_of(row)] = Told(episode=row["episode"], targets=targets | new)
    return result


def _parsed(connection: Connection, table: Table, adapter: TypeAdapter[T], dropped: list[str], *where: Any) -> list[T]:
    primary = list(table.primary_key)
    items: list[T] = []
    columns = [table.c[name] for name in (*KEY, "id", "target", "body") if name in table.c]
    for row in connection.execute(select(*columns).where(*where)).mappings().all():
        try:
            items.append(adapter.validate_json(row["body"]))
        except ValidationError as error:
            name = " ".join(str(row[column.name]) for column in columns[:-1])
            dropped.append(f"{table.name} {name}")
            _log.error(
                "a stored row cannot be read and is dropped", row=dropped[-1], error=str(error), body=row["body"]
            )
            connection.execute(delete(table).where(*(column == row[column.name] for column in primary)))
    return items
