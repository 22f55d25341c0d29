"""Count the requests of unknown cost in what is summed up and noted of
session names; find the sessions of a past time by an index alone.

Sums of days are made anew of those of sessions: a second for a million, and two more for each of the indexes. What is
noted of hours and days is noted anew in the background, as 0013 did.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TIMES = "first_at", "last_at"
_SUMS = "requests", "cost_nano_usd", "latency_sum", "latency_count", "unknown_costs"
_TYPES: dict[str, Any] = {"named": sa.Boolean(), "hour": sa.BigInteger(), "day": sa.BigInteger()}


def upgrade() -> None:
    """Make the tables and the indexes anew, and sum up the sessions."""
    _anew("session_name_day", ("day", "session_name"), (*_TIMES, "sessions", *_SUMS))
    op.execute(
        "INSERT INTO session_name_day "
        "(organization_id, day, session_name, first_at, last_at, sessions, requests, cost_nano_usd, latency_sum, "
        "latency_count, unknown_costs) "
        "SELECT organization_id, last_at / 86400000, session_name, MIN(first_at), MAX(last_at), COUNT(*), "
        "SUM(requests), SUM(cost_nano_usd), SUM(latency_sum), SUM(latency_count), SUM(unknown_costs) "
        "FROM session_summary GROUP BY organization_id, last_at / 86400000, session_name"
    )
    counts = sa.Column("counts", sa.LargeBinary(), nullable=False)
    summed = "sessions", "requests", "cost_nano_usd", "unknown_costs"
    _anew("session_spread", ("day", "named", "session_name"), summed, counts)
    counts = sa.Column("counts", sa.LargeBinary(), nullable=False)
    _anew("session_hour", ("named", "hour", "session_name"), (*_TIMES, "sessions", *_SUMS, "number"), counts)
    # They were to be added to what is noted no more.
    op.execute(sa.text("DELETE FROM session_change"))
    for name, columns in (("last_at", _TIMES[::-1]), ("name", ("session_name", *_TIMES[::-1], *_SUMS))):
        op.drop_index(f"ix_session_summary_{name}", "session_summary")
        op.create_index(f"ix_session_summary_{name}", "session_summary", ["organization_id", *columns])


def _anew(table: str, key: tuple[str, ...], numbers: tuple[str, ...], *others: sa.Column[Any]) -> None:
    key = "organization_id", *key
    op.drop_table(table)
    op.create_table(
        table,
        *(sa.Column(name, _TYPES.get(name, sa.String()), nullable=False, autoincrement=False) for name in key),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in numbers),
        *others,
        sa.PrimaryKeyConstraint(*key, name=f"pk_{table}"),
        sqlite_with_rowid=False,
    )
