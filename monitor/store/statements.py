"""The statements that write, in both dialects. Built once: building one costs more than running it."""

from collections.abc import Callable
from functools import cache
from typing import Any

from sqlalchemy import Delete, Table, Update, bindparam, delete, update
from sqlalchemy.dialects import postgresql, sqlite

from monitor.store.schema import KEY, alert, outbox

_INSERT: dict[str, Callable[[Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

# What changes of an outbox row once it stands.
CHANGING = ("severity", "state", "finished_at", "body")


@cache
def upsert(table: Table, dialect: str) -> Any:
    insert = _INSERT[dialect](table)
    primary = [column.name for column in table.primary_key]
    rest = {column.name: insert.excluded[column.name] for column in table.columns if column.name not in primary}
    return insert.on_conflict_do_update(index_elements=primary, set_=rest)


@cache
def enqueue(dialect: str) -> Any:
    """Insert an outbox row, unless its id or its identity stands there."""
    return _INSERT[dialect](outbox).on_conflict_do_nothing()


@cache
def change_row() -> Update:
    """By `row_id`; the new values are parameters named `new_...`."""
    changes: dict[str, Any] = {name: bindparam(f"new_{name}") for name in CHANGING}
    return update(outbox).where(outbox.c.id == bindparam("row_id")).values(changes)


@cache
def forget_alert() -> Delete:
    """By the parts of its key, as parameters named `key_...`."""
    return delete(alert).where(*(alert.c[name] == bindparam(f"key_{name}") for name in KEY))
