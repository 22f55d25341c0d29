"""Sum up the requests of every day, as those of every hour are."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TYPES: dict[str, Any] = {"day": sa.BigInteger(), "status": sa.Integer(), "cache_hit": sa.Boolean()}
_KEY = ["organization_id", "day", "key_owner", "provider", "model", "status", "cache_hit", "source"]
_SUMS = """
    requests errors prompt_tokens completion_tokens total_tokens reasoning_tokens prompt_cache_read_tokens
    prompt_cache_write_tokens prompt_cache_write_1h_tokens prompt_audio_tokens completion_audio_tokens
    prompt_cache_audio_tokens prompt_image_tokens completion_image_tokens web_searches unknown_tokens estimated_tokens
    cost_nano_usd unknown_costs cache_hits saved_nano_usd saved_ms saved_prompt_tokens saved_completion_tokens
    latency_sum latency_count first_token_sum first_token_count threats ratelimited
"""


def upgrade() -> None:
    """Create the table and fill it in."""
    sums = _SUMS.split()
    op.create_table(
        "rollup_day",
        *(sa.Column(name, _TYPES.get(name, sa.String()), nullable=False, autoincrement=False) for name in _KEY),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in sums),
        sa.PrimaryKeyConstraint(*_KEY, name="pk_rollup_day"),
        sqlite_with_rowid=False,
    )
    hours = ", ".join(name if name != "day" else "hour / 24" for name in _KEY)
    added = ", ".join(f"SUM({name})" for name in sums)
    op.execute(
        f"INSERT INTO rollup_day ({', '.join((*_KEY, *sums))}) "  # noqa: S608 - our names
        f"SELECT {hours}, {added} FROM rollup_hour GROUP BY {hours}"
    )
