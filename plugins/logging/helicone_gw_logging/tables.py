"""The tables: one request row per exchange, with its attempts, properties and bodies beside it.

Times are UTC in integer milliseconds since the epoch, durations are milliseconds, sizes bytes. Money is integer
nano-dollars. NULL means unknown, which is never the same as zero. Token columns are the provider's totals:
``prompt_tokens`` contains cached and audio input, ``completion_tokens`` contains reasoning and audio output; the
columns for those classes are never added to them again. Identifiers longer than a kilobyte are cut, so that they can
be indexed.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text
from sqlmodel import Field, SQLModel

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
# SQLite numbers rows by itself only in a column of exactly this type.
SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")


class _Table(SQLModel):
    metadata = METADATA


class RequestRow(_Table, table=True):
    """One exchange. ``seq`` is the order of writing, ``id`` the exchange's, ``request_id`` what the client sees.

    ``status`` is what the client was sent (NULL: nothing was), ``outcome`` how it ended ("ok", "upstream_error",
    "refused", "timeout", "client_disconnected", "stream_broken", "interrupted", "internal_error"). ``request_model`` is
    the model asked for, ``model`` the one that answered. ``latency`` runs from the request to the end of the answer,
    ``time_to_first_token`` from the request to the first event with content (streams only).
    """

    __tablename__ = "request"
    __table_args__ = (
        Index(None, "organization_id", "received_at"),
        Index(None, "organization_id", "user_id", "received_at"),
        Index(None, "organization_id", "session_id", "received_at"),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))
    id: str = Field(sa_column=Column(String(64), nullable=False, unique=True))
    organization_id: str = "default"
    request_id: str = Field(index=True)
    received_at: int = Field(sa_type=BigInteger)
    first_byte_at: int | None = Field(default=None, sa_type=BigInteger)
    first_token_at: int | None = Field(default=None, sa_type=BigInteger)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    latency: int | None = Field(default=None, sa_type=BigInteger)
    time_to_first_token: int | None = Field(default=None, sa_type=BigInteger)
    provider: str | None = None
    request_model: str | None = None
    model: str | None = None
    model_override: str | None = None
    dialect: str
    operation: str
    method: str
    path: str = Field(sa_type=Text)
    target_url: str | None = Field(default=None, sa_type=Text)
    stream: bool
    status: int | None = None
    outcome: str
    error_code: str | None = None
    error_message: str | None = Field(default=None, sa_type=Text)
    stop_reason: str | None = None
    prompt_tokens: int | None = Field(default=None, sa_type=BigInteger)
    completion_tokens: int | None = Field(default=None, sa_type=BigInteger)
    total_tokens: int | None = Field(default=None, sa_type=BigInteger)
    reasoning_tokens: int | None = Field(default=None, sa_type=BigInteger)
    prompt_cache_read_tokens: int | None = Field(default=None, sa_type=BigInteger)
    prompt_cache_write_tokens: int | None = Field(default=None, sa_type=BigInteger)
    prompt_cache_write_1h_tokens: int | None = Field(default=None, sa_type=BigInteger)
    prompt_audio_tokens: int | None = Field(default=None, sa_type=BigInteger)
    completion_audio_tokens: int | None = Field(default=None, sa_type=BigInteger)
    prompt_cache_audio_tokens: int | None = Field(default=None, sa_type=BigInteger)
    prompt_image_tokens: int | None = Field(default=None, sa_type=BigInteger)
    completion_image_tokens: int | None = Field(default=None, sa_type=BigInteger)
    web_searches: int | None = Field(default=None, sa_type=BigInteger)
    service_tier: str | None = None
    cost_nano_usd: int | None = Field(default=None, sa_type=BigInteger)
    cost_source: str | None = None
    cost_version: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    session_path: str | None = None
    session_name: str | None = None
    prompt_id: str | None = None
    key_id: str | None = None
    key_name: str | None = None
    attempt_count: int
    cache_status: str | None = None
    ratelimit_status: str | None = None
    request_size: int | None = Field(default=None, sa_type=BigInteger)
    response_size: int | None = Field(default=None, sa_type=BigInteger)
    annotations: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))


class AttemptRow(_Table, table=True):
    """One call of one target. ``request_model`` is the name sent upstream, ``model`` the one that the reply names.

    ``row_id`` is the request row's ``id``; ``status`` is the provider's, NULL when it sent none.
    """

    __tablename__ = "request_attempt"

    row_id: str = Field(primary_key=True, foreign_key="request.id", ondelete="CASCADE", max_length=64)
    number: int = Field(primary_key=True)
    organization_id: str = "default"
    provider: str
    request_model: str | None = None
    model: str | None = None
    deployment: str | None = None
    status: int | None = None
    error_code: str | None = None
    error_message: str | None = Field(default=None, sa_type=Text)
    started_at: int = Field(sa_type=BigInteger)
    first_byte_at: int | None = Field(default=None, sa_type=BigInteger)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    prompt_tokens: int | None = Field(default=None, sa_type=BigInteger)
    completion_tokens: int | None = Field(default=None, sa_type=BigInteger)
    reasoning_tokens: int | None = Field(default=None, sa_type=BigInteger)
    prompt_cache_read_tokens: int | None = Field(default=None, sa_type=BigInteger)
    prompt_cache_write_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cost_nano_usd: int | None = Field(default=None, sa_type=BigInteger)
    cost_source: str | None = None
    cost_version: str | None = None


class PropertyRow(_Table, table=True):
    """One property of a request: ``key`` as first sent, ``key_lower`` for comparing, ``value`` whole.

    ``value_start`` is the beginning of the value, short enough for an index; ``received_at`` is the request's.
    """

    __tablename__ = "request_property"
    __table_args__ = (
        Index("ix_request_property_key_value", "organization_id", "key_lower", "value_start", "received_at"),
    )

    row_id: str = Field(primary_key=True, foreign_key="request.id", ondelete="CASCADE", max_length=64)
    key_lower: str = Field(primary_key=True)
    organization_id: str = "default"
    key: str
    value: str = Field(sa_type=Text)
    value_start: str
    received_at: int = Field(sa_type=BigInteger)


class BodyRow(_Table, table=True):
    """Request and response body, each a zstd frame (RFC 8878) of the redacted bytes, NULL when not kept.

    ``..._state`` says what is kept: "whole", "truncated" (its beginning), "omitted" (the client asked for that: only
    ``{"model": ...}``), "unreadable" (a content coding that cannot be redacted), "dropped" (no memory left for it while
    the database was away). ``..._type`` is the content type.
    """

    __tablename__ = "request_body"

    row_id: str = Field(primary_key=True, foreign_key="request.id", ondelete="CASCADE", max_length=64)
    organization_id: str = "default"
    request: bytes | None = Field(default=None, sa_type=LargeBinary)
    request_state: str
    request_type: str | None = None
    response: bytes | None = Field(default=None, sa_type=LargeBinary)
    response_state: str
    response_type: str | None = None


REQUEST: Table = METADATA.tables["request"]
ATTEMPT: Table = METADATA.tables["request_attempt"]
PROPERTY: Table = METADATA.tables["request_property"]
BODY: Table = METADATA.tables["request_body"]
