"""Keep histograms of days that are over as one value each; sum up all
requests of an hour; find what is followed, cached, slow, large and dear.

Days are packed later, beside everything else. Every index of requests reads all of them once: a second or two for a
million.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_MOST = {"latency": 10_000, "total_tokens": 10_000, "cost_nano_usd": 10_000_000}
_SUMS = """
    requests errors prompt_tokens completion_tokens total_tokens reasoning_tokens prompt_cache_read_tokens
    prompt_cache_write_tokens prompt_cache_write_1h_tokens prompt_audio_tokens completion_audio_tokens
    prompt_cache_audio_tokens prompt_image_tokens completion_image_tokens web_searches unknown_tokens estimated_tokens
    cost_nano_usd unknown_costs cache_hits saved_nano_usd saved_ms saved_prompt_tokens saved_completion_tokens
    latency_sum latency_count first_token_sum first_token_count threats ratelimited
"""
_OF_NAMES = "organization_id session_name last_at first_at requests cost_nano_usd latency_sum latency_count"


def upgrade() -> None:
    """Create the table and the indexes, and sum up all requests of every hour and day."""
    names = ", ".join(_SUMS.split())
    sums = ", ".join(f"SUM({name})" for name in _SUMS.split())
    for span in ("hour", "day"):
        op.execute(
            f"INSERT INTO rollup_dimension_{span} (organization_id, dimension, {span}, value, {names}) "  # noqa: S608 - our names
            f"SELECT organization_id, 'all', {span}, '(all)', {sums} FROM rollup_{span} "
            f"GROUP BY organization_id, {span}"
        )
    op.create_table(
        "histogram_packed",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("organization_id", "metric", "provider", "model")),
        sa.Column("day", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "metric", "provider", "model", "day", name="pk_histogram_packed"),
    )
    op.create_index("ix_session_summary_name", "session_summary", _OF_NAMES.split())
    op.create_index("ix_request_organization_id_seq", "request", ["organization_id", "seq"])
    _some("ix_request_organization_id_cache_status_received_at", "cache_status received_at", "cache_status IS NOT NULL")
    for column, least in _MOST.items():
        _some(f"ix_request_most_{column}", f"{column} seq received_at", f"{column} >= {least}")


def _some(name: str, columns: str, where: str) -> None:
    of: dict[str, Any] = {f"{dialect}_where": sa.text(where) for dialect in ("sqlite", "postgresql")}
    op.create_index(name, "request", ["organization_id", *columns.split()], **of)
