"""Create the tables of requests, attempts, properties and bodies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the four tables."""
    _request()
    _attempt()
    _property()
    _body()


def _request() -> None:
    op.create_table(
        "request",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("first_byte_at", sa.BigInteger()),
        sa.Column("first_token_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("latency", sa.BigInteger()),
        sa.Column("time_to_first_token", sa.BigInteger()),
        sa.Column("provider", sa.String()),
        sa.Column("request_model", sa.String()),
        sa.Column("model", sa.String()),
        sa.Column("model_override", sa.String()),
        sa.Column("dialect", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("target_url", sa.Text()),
        sa.Column("stream", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("error_code", sa.String()),
        sa.Column("error_message", sa.Text()),
        sa.Column("stop_reason", sa.String()),
        sa.Column("prompt_tokens", sa.BigInteger()),
        sa.Column("completion_tokens", sa.BigInteger()),
        sa.Column("total_tokens", sa.BigInteger()),
        sa.Column("reasoning_tokens", sa.BigInteger()),
        sa.Column("prompt_cache_read_tokens", sa.BigInteger()),
        sa.Column("prompt_cache_write_tokens", sa.BigInteger()),
        sa.Column("prompt_cache_write_1h_tokens", sa.BigInteger()),
        sa.Column("prompt_audio_tokens", sa.BigInteger()),
        sa.Column("completion_audio_tokens", sa.BigInteger()),
        sa.Column("prompt_cache_audio_tokens", sa.BigInteger()),
        sa.Column("prompt_image_tokens", sa.BigInteger()),
        sa.Column("completion_image_tokens", sa.BigInteger()),
        sa.Column("web_searches", sa.BigInteger()),
        sa.Column("service_tier", sa.String()),
        sa.Column("cost_nano_usd", sa.BigInteger()),
        sa.Column("cost_source", sa.String()),
        sa.Column("cost_version", sa.String()),
        sa.Column("user_id", sa.String()),
        sa.Column("session_id", sa.String()),
        sa.Column("session_path", sa.String()),
        sa.Column("session_name", sa.String()),
        sa.Column("prompt_id", sa.String()),
        sa.Column("key_id", sa.String()),
        sa.Column("key_name", sa.String()),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("cache_status", sa.String()),
        sa.Column("ratelimit_status", sa.String()),
        sa.Column("request_size", sa.BigInteger()),
        sa.Column("response_size", sa.BigInteger()),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_request"),
        sa.UniqueConstraint("id", name="uq_request_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_request_request_id", "request", ["request_id"])
    op.create_index("ix_request_organization_id_received_at", "request", ["organization_id", "received_at"])
    for column in ("user_id", "session_id"):
        op.create_index(
            f"ix_request_organization_id_{column}_received_at", "request", ["organization_id", column, "received_at"]
        )


def _attempt() -> None:
    op.create_table(
        "request_attempt",
        sa.Column("row_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("request_model", sa.String()),
        sa.Column("model", sa.String()),
        sa.Column("deployment", sa.String()),
        sa.Column("status", sa.Integer()),
        sa.Column("error_code", sa.String()),
        sa.Column("error_message", sa.Text()),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("first_byte_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("prompt_tokens", sa.BigInteger()),
        sa.Column("completion_tokens", sa.BigInteger()),
        sa.Column("reasoning_tokens", sa.BigInteger()),
        sa.Column("prompt_cache_read_tokens", sa.BigInteger()),
        sa.Column("prompt_cache_write_tokens", sa.BigInteger()),
        sa.Column("cost_nano_usd", sa.BigInteger()),
        sa.Column("cost_source", sa.String()),
        sa.Column("cost_version", sa.String()),
        sa.PrimaryKeyConstraint("row_id", "number", name="pk_request_attempt"),
        _of_request("request_attempt"),
    )


def _property() -> None:
    op.create_table(
        "request_property",
        sa.Column("row_id", sa.String(64), nullable=False),
        sa.Column("key_lower", sa.String(), nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("value_start", sa.String(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("row_id", "key_lower", name="pk_request_property"),
        _of_request("request_property"),
    )
    op.create_index(
        "ix_request_property_key_value",
        "request_property",
        ["organization_id", "key_lower", "value_start", "received_at"],
    )


def _body() -> None:
    op.create_table(
        "request_body",
        sa.Column("row_id", sa.String(64), nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("request", sa.LargeBinary()),
        sa.Column("request_state", sa.String(), nullable=False),
        sa.Column("request_type", sa.String()),
        sa.Column("response", sa.LargeBinary()),
        sa.Column("response_state", sa.String(), nullable=False),
        sa.Column("response_type", sa.String()),
        sa.PrimaryKeyConstraint("row_id", name="pk_request_body"),
        _of_request("request_body"),
    )


def _of_request(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["row_id"], ["request.id"], name=f"fk_{table}_row_id", ondelete="CASCADE")
