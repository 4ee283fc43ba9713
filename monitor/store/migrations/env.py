"""Alembic's entry: runs inside the connection and the transaction that migrate.py hands over."""

from alembic import context

from monitor.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
