"""Sum up sessions by their names and days; note which users there were on
each day, in the background.

Sums of names are made of those of sessions: a second for a million. Days are noted later, beside everything else.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and sum up the sessions."""
    op.create_table(
        "session_name_day",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("session_name", sa.String(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("first_at", "last_at", "sessions", "requests", "cost_nano_usd", "latency_sum", "latency_count")
        ),
        sa.PrimaryKeyConstraint("organization_id", "day", "session_name", name="pk_session_name_day"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO session_name_day (organization_id, day, session_name, first_at, last_at, sessions, requests, "
        "cost_nano_usd, latency_sum, latency_count) "
        "SELECT organization_id, last_at / 86400000, session_name, MIN(first_at), MAX(last_at), COUNT(*), "
        "SUM(requests), SUM(cost_nano_usd), SUM(latency_sum), SUM(latency_count) "
        "FROM session_summary GROUP BY organization_id, last_at / 86400000, session_name"
    )
    op.create_table(
        "user_number",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "user_id", name="pk_user_number"),
    )
    op.create_table(
        "user_presence",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("whole", sa.LargeBinary()),
        sa.Column("hours", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("organization_id", "day", name="pk_user_presence"),
    )
