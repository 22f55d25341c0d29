"""Sum up the requests of every gateway key."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
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
    "errors": "SUM(CASE WHEN outcome <> 'ok' THEN 1 ELSE 0 END)",
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


def upgrade() -> None:
    """Fill them in from the rows that there are."""
    names = ", ".join(_SUMS)
    asked = ", ".join(_SUMS.values())
    every = ", ".join(f"SUM({name})" for name in _SUMS)
    op.execute(
        f"INSERT INTO rollup_dimension_hour (organization_id, dimension, hour, value, {names}) "  # noqa: S608 - our names
        f"SELECT organization_id, 'key', hour, key_id, {asked} FROM request WHERE key_id <> '' "
        "GROUP BY organization_id, hour, key_id"
    )
    op.execute(
        f"INSERT INTO rollup_dimension_day (organization_id, dimension, day, value, {names}) "  # noqa: S608 - our names
        f"SELECT organization_id, dimension, hour / 24, value, {every} FROM rollup_dimension_hour "
        "WHERE dimension = 'key' GROUP BY organization_id, dimension, hour / 24, value"
    )
