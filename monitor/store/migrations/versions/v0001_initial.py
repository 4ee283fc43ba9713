"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_alert()
    _create_outbox()
    op.create_table(
        "silence",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("ends_at", sa.String(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "account",
        sa.Column("account", sa.String, primary_key=True),
        sa.Column("venue", sa.String, nullable=False),
        sa.Column("last_read_at", sa.String(32)),
        sa.Column("last_flat", sa.Boolean),
        sa.Column("last_positions", sa.Integer),
    )
    op.create_table(
        "monitor",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("alive_at", sa.String(32), nullable=False),
    )


def _create_alert() -> None:
    op.create_table(
        "alert",
        sa.Column("rule", sa.String, primary_key=True),
        sa.Column("account", sa.String, primary_key=True),
        sa.Column("scope", sa.String, primary_key=True),
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )


def _create_outbox() -> None:
    identity = ("rule", "account", "scope", "subject", "episode", "sequence", "reason", "target")
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("episode", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("finished_at", sa.String(32)),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint(*identity, name="outbox_identity"),
    )
    op.create_index("outbox_state", "outbox", ["state"])
    op.create_index("outbox_finished_at", "outbox", ["finished_at"])
