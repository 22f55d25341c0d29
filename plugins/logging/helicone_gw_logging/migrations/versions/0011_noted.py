"""Tables for what is noted beside everything else: the texts of zones of the log, how sessions are spread.

Both are filled in the background, for old requests and sessions as well.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "text_zone",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("zone", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("texts", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("organization_id", "name", "zone", name="pk_text_zone"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "session_spread",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("named", sa.Boolean(), nullable=False),
        sa.Column("session_name", sa.String(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("sessions", "requests", "cost_nano_usd")),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "day", "named", "session_name", name="pk_session_spread"),
        sqlite_with_rowid=False,
    )
