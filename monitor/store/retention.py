"""What is forgotten, so that a monitor that runs for years does not grow."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, delete, exists, func, select

from monitor.domain.alert import Reason
from monitor.domain.reading import AlertKey
from monitor.store.records import key_of
from monitor.store.schema import KEY, SCOPES, account, alert, outbox, silence

RETENTION = timedelta(days=30)
# However young: a finished row beyond this number is forgotten, the oldest first.
MAX_FINISHED_ROWS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The latest episode of a key in the outbox, and the targets its news has reached."""

    episode: int
    targets: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was forgotten, and what is left to know after it."""

    alerts: tuple[AlertKey, ...]
    accounts: tuple[str, ...]
    told: Mapping[AlertKey, Told]
    dead_count: int


def prune(connection: Connection, now: datetime) -> tuple[tuple[AlertKey, ...], tuple[str, ...]]:
    """Forget finished rows, inactive alerts, silences that are over and accounts no longer read.

    Returns the keys and the accounts forgotten.
    """
    cutoff = now - RETENTION
    same_key = and_(*(alert.c[name] == outbox.c[name] for name in KEY))
    # Whoever was told of an alert that still burns is owed its end, however long it takes.
    is_owed_an_end = and_(
        outbox.c.reason.in_([Reason.FIRST.value, Reason.WORSE.value]), exists().where(same_key, alert.c.active)
    )
    finished = outbox.c.finished_at.is_not(None)
    surplus_id = select(outbox.c.id).where(finished).order_by(outbox.c.id.desc()).offset(MAX_FINISHED_ROWS).limit(1)
    is_surplus = outbox.c.id <= func.coalesce(surplus_id.scalar_subquery(), -1)
    connection.execute(delete(outbox).where(finished, (outbox.c.finished_at < cutoff) | is_surplus, ~is_owed_an_end))

    # An alert outlives its messages: its episode number keeps the next ones from looking like repetitions.
    is_stale = and_(~alert.c.active, alert.c.updated_at < cutoff, ~exists().where(same_key), alert.c.scope.in_(SCOPES))
    stale = connection.execute(select(*(alert.c[name] for name in KEY)).where(is_stale)).mappings()
    keys = tuple(key_of(row) for row in stale)
    if keys:
        connection.execute(delete(alert).where(is_stale))
    connection.execute(delete(silence).where(silence.c.ends_at < cutoff))
    unread = account.c.last_read_at < cutoff
    accounts = tuple(connection.execute(select(account.c.account).where(unread)).scalars())
    if accounts:
        connection.execute(delete(account).where(unread))
    return keys, accounts
