"""The tables as the code of today knows them; migrations/ brings an older database here.

Columns are what is searched by; `body` is the whole record as JSON. Times are UTC in ISO 8601 text of one fixed
width: they sort as text, mean the same in SQLite and in PostgreSQL, lose no microsecond, and can be read by a person
who opens the file after an accident.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from monitor.domain.reading import Scope
from monitor.log import get_logger

_log = get_logger(__name__)

# The newest file in migrations/versions.
HEAD = "0004"
VERSION_TABLE = "alembic_version"

metadata = MetaData()


class UtcTime(TypeDecorator[datetime]):
    """An aware time, as `2025-10-10T21:13:00.000000+00:00`."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            _log.error("a stored time cannot be read and counts as unknown", value=value)
            return None
        return at


KEY = ("rule", "account", "scope", "subject")
IDENTITY = (*KEY, "episode", "sequence", "reason", "target")

# Keys of any other scope were not written by this program.
SCOPES = tuple(scope.value for scope in Scope)

alert = Table(
    "alert",
    metadata,
    *(Column(name, String, primary_key=True) for name in KEY),
    Column("active", Boolean, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("body", Text, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    *(Column(name, String, nullable=False) for name in KEY),
    Column("episode", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("reason", String, nullable=False),
    Column("target", String, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("body", Text, nullable=False),
    UniqueConstraint(*IDENTITY, name="outbox_identity"),
    Index("outbox_state", "state"),
    Index("outbox_finished_at", "finished_at"),
)

silence = Table(
    "silence",
    metadata,
    Column("id", String, primary_key=True),
    Column("ends_at", UtcTime, nullable=False),
    Column("body", Text, nullable=False),
)

account = Table(
    "account",
    metadata,
    Column("account", String, primary_key=True),
    Column("venue", String, nullable=False),
    Column("last_read_at", UtcTime),
    Column("last_flat", Boolean),
    Column("last_positions", Integer),
    Column("holdings", Text),
    Column("track", Text),
)

# One row: what is remembered of all accounts together.
portfolio = Table(
    "portfolio",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("hedges", Text, nullable=False),
)

# One row: when this monitor last said that it was alive.
monitor = Table(
    "monitor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("alive_at", UtcTime, nullable=False),
)
