"""Sum up what failed by its error, and find requests by it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_COLUMNS = """
    prompt_tokens completion_tokens total_tokens reasoning_tokens prompt_cache_read_tokens prompt_cache_write_tokens
    prompt_cache_write_1h_tokens prompt_audio_tokens completion_audio_tokens prompt_cache_audio_tokens
    prompt_image_tokens completion_image_tokens web_searches
    cost_nano_usd saved_nano_usd saved_ms saved_prompt_tokens saved_completion_tokens
"""
_SUMS = {
    "requests": "COUNT(*)",
    "errors": "COUNT(*)",
    "unknown_tokens": "SUM(CASE WHEN total_tokens IS NULL THEN 1 ELSE 0 END)",
    "estimated_tokens": "SUM(CASE WHEN usage_estimated THEN 1 ELSE 0 END)",
    "unknown_costs": "SUM(CASE WHEN cost_nano_usd IS NULL THEN 1 ELSE 0 END)",
    "cache_hits": "SUM(CASE WHEN cache_status IN ('hit', 'joined') THEN 1 ELSE 0 END)",
    "latency_sum": "SUM(COALESCE(latency, 0))",
    "latency_count": "COUNT(latency)",
    "first_token_sum": "SUM(COALESCE(time_to_first_token, 0))",
    "first_token_count": "COUNT(time_to_first_token)",
    "threats": "SUM(CASE WHEN threat THEN 1 ELSE 0 END)",
    "ratelimited": "SUM(CASE WHEN status = 429 AND outcome = 'refused' THEN 1 ELSE 0 END)",
    **{name: f"SUM(COALESCE({name}, 0))" for name in _COLUMNS.split()},
}
_CODE = "COALESCE(NULLIF(error_code, ''), outcome)"


def upgrade() -> None:
    """Fill the sums in from the rows that there are; requests without an error are in no index of it."""
    names = ", ".join(_SUMS)
    asked = ", ".join(_SUMS.values())
    every = ", ".join(f"SUM({name})" for name in _SUMS)
    op.execute(
        f"INSERT INTO rollup_dimension_hour (organization_id, dimension, hour, value, {names}) "  # noqa: S608 - our names
        f"SELECT organization_id, 'error', hour, {_CODE}, {asked} FROM request WHERE outcome <> 'ok' "
        f"GROUP BY organization_id, hour, {_CODE}"
    )
    op.execute(
        f"INSERT INTO rollup_dimension_day (organization_id, dimension, day, value, {names}) "  # noqa: S608 - our names
        f"SELECT organization_id, dimension, hour / 24, value, {every} FROM rollup_dimension_hour "
        "WHERE dimension = 'error' GROUP BY organization_id, dimension, hour / 24, value"
    )
    known: dict[str, Any] = {f"{name}_where": sa.text("error_code IS NOT NULL") for name in ("sqlite", "postgresql")}
    op.create_index(
        "ix_request_organization_id_error_code_received_at",
        "request",
        ["organization_id", "error_code", "received_at"],
        **known,
    )
