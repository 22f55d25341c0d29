"""Two tables for what sessions of hours that are over come to.

They are filled in the background, for old sessions as well.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TIMES = "first_at", "last_at"
_SUMS = "sessions", "requests", "cost_nano_usd", "latency_sum", "latency_count"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "session_hour",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("named", sa.Boolean(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("session_name", sa.String(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in (*_TIMES, *_SUMS, "number")),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "named", "hour", "session_name", name="pk_session_hour"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "session_change",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("session_name", sa.String(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in (*_TIMES, *_SUMS, "unknown_costs")),
        sa.PrimaryKeyConstraint("organization_id", "hour", "number", name="pk_session_change"),
        sqlite_with_rowid=False,
    )
