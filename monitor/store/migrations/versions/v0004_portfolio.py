"""What has to be remembered of all accounts together to judge them: hedges, and who held their legs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "portfolio",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("hedges", sa.Text, nullable=False),
    )
