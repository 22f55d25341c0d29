"""Create the tables of sums over requests, and of what is kept beside the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TOKENS = """
    prompt_tokens completion_tokens total_tokens reasoning_tokens prompt_cache_read_tokens prompt_cache_write_tokens
    prompt_cache_write_1h_tokens prompt_audio_tokens completion_audio_tokens prompt_cache_audio_tokens
    prompt_image_tokens completion_image_tokens web_searches
"""
_SUMS = f"""
    requests errors {_TOKENS} unknown_tokens estimated_tokens cost_nano_usd unknown_costs cache_hits saved_nano_usd
    saved_ms saved_prompt_tokens saved_completion_tokens latency_sum latency_count first_token_sum first_token_count
    threats ratelimited
"""
_SUMMARY = """
    first_at last_at requests errors prompt_tokens completion_tokens total_tokens unknown_tokens cost_nano_usd
    unknown_costs latency_sum latency_count
"""


def upgrade() -> None:
    """Create them."""
    _create(
        "rollup_hour",
        ["organization_id", "hour", "key_owner", "provider", "model", "status", "cache_hit", "source"],
        _SUMS.split(),
        types={"hour": sa.BigInteger(), "status": sa.Integer(), "cache_hit": sa.Boolean()},
    )
    for span in ("hour", "day"):
        key = ["organization_id", "dimension", span, "value"]
        _create(f"rollup_dimension_{span}", key, _SUMS.split(), types={span: sa.BigInteger()})
        key = ["organization_id", "metric", "provider", "model", span, "bucket"]
        _create(f"histogram_{span}", key, ["count"], types={span: sa.BigInteger(), "bucket": sa.Integer()})
    _create("session_summary", ["organization_id", "session_id", "session_name"], _SUMMARY.split(), rowid=True)
    _create("user_summary", ["organization_id", "user_id"], _SUMMARY.split(), rowid=True)
    for table in ("session_summary", "user_summary"):
        op.create_index(f"ix_{table}_last_at", table, ["organization_id", "last_at"])
    _beside()
    _sequence()


def _create(
    table: str, key: list[str], sums: list[str], *, rowid: bool = False, types: Mapping[str, Any] | None = None
) -> None:
    op.create_table(
        table,
        *(sa.Column(name, (types or {}).get(name, sa.String()), nullable=False, autoincrement=False) for name in key),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in sums),
        sa.PrimaryKeyConstraint(*key, name=f"pk_{table}"),
        sqlite_with_rowid=rowid,
    )


def _beside() -> None:
    op.create_table(
        "session_tag",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "session_id", name="pk_session_tag"),
    )
    op.create_table(
        "property_key",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("key_lower", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "key_lower", name="pk_property_key"),
    )
    op.create_table(
        "hidden_property",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("key_lower", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "key_lower", name="pk_hidden_property"),
    )
    op.create_table(
        "saved_query",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("key_id", sa.String()),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sql", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name="pk_saved_query"),
    )
    op.create_table(
        "journal_position",
        sa.Column("journal", sa.String(), nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("journal", name="pk_journal_position"),
    )


def _sequence() -> None:
    op.create_table(
        "log_sequence",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_log_sequence"),
    )
    op.execute(
        "INSERT INTO log_sequence (name, organization_id, value) "
        "SELECT 'request', 'default', COALESCE(MAX(seq), 0) FROM request"
    )
