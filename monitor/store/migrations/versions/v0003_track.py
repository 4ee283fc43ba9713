"""What has to be remembered of each account to judge it: best marks, levels reached, peaks of equity."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("account", sa.Column("track", sa.Text))
