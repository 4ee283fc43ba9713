"""Bring a database to today's schema. Alembic costs 9 MB and a quarter second, so it is imported only when needed."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from monitor.store.errors import StoreError, StoreErrorKind
from monitor.store.schema import HEAD, VERSION_TABLE

_SCRIPTS = Path(__file__).parent / "migrations"


def migrate(connection: Connection, name: str) -> None:
    """Upgrade inside the caller's transaction: all of it or nothing. `name` is how an error calls the database.

    Raises StoreError where the schema is a newer version's, or the tables are not ours.
    """
    version = _version(connection, name)
    if version != HEAD:
        _upgrade(connection, version, name)


def _version(connection: Connection, name: str) -> str | None:
    """The schema version found, None for an empty database."""
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE in tables:
        version: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
        return version
    if tables:
        sentence = f"{name} is a database, but not one of perpwatch: move it away, or configure another path."
        raise StoreError(StoreErrorKind.FOREIGN, sentence)
    return None


def _upgrade(connection: Connection, version: str | None, name: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        sentence = (
            f"{name} was written by a newer perpwatch (schema {version}, this one knows up to {HEAD}): "
            "run that version, or configure another path."
        )
        raise StoreError(StoreErrorKind.NEWER_SCHEMA, sentence)
    command.upgrade(config, "head")
