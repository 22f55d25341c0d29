"""The tables of the log: one request row per exchange, with its attempts, properties, bodies, scores and feedback.

``seq`` is the number of a row in the database: what is beside a request refers to it, and readers page by it. Numbers
are given inside the writing transaction, in the order of writing, and never a second time. Times are UTC in integer
milliseconds since the epoch, durations are milliseconds, sizes bytes. Money is integer nano-dollars. NULL means
unknown, which is never the same as zero. Token columns are the provider's totals: ``prompt_tokens`` contains cached and
audio input, ``completion_tokens`` contains reasoning and audio output; the columns for those classes are never added to
them again. Identifiers longer than a kilobyte are cut, so that they can be indexed.

On Postgres every table here is partitioned by the month of ``received_at``, which therefore stands in each of them and
in its primary key; nothing refers to a row by a foreign key, so that a month can be dropped as a whole. Sums over
requests are in `helicone_gw_logging.totals`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, text
from sqlalchemy import UniqueConstraint as Unique
from sqlmodel import Field, SQLModel

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
# SQLite takes only a column of exactly this type for the row's own number, which costs no index.
SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")
# A table that is its own primary key's index: right where rows are small and read by that key.
_CLUSTERED = {"sqlite_with_rowid": False}


_FILTERS = ("status", "provider", "model", "latency", "total_tokens", "cost_nano_usd", "cache_status", "key_id")


MOST = {"latency": 10_000, "total_tokens": 10_000, "cost_nano_usd": 10_000_000}
"""From which number on requests are in an index of their own, which lists of the slowest, largest and dearest go by:
ten seconds, ten thousand tokens, a cent. Few are, so that it costs next to nothing."""


def _where_known(column: str) -> dict[str, Any]:
    """Options of an index over the rows in which ``column`` is known."""
    return _where(f"{column} IS NOT NULL")


def _of_most(column: str) -> Index:
    where = _where(f"{column} >= {MOST[column]}")
    return Index(f"ix_request_most_{column}", "organization_id", column, "seq", "received_at", **where)


def _where(condition: str) -> dict[str, Any]:
    # For Postgres the migrations say the same, which alone make tables. Said here, every start would import a dialect.
    return {"sqlite_where": text(condition)}


class _Table(SQLModel):
    metadata = METADATA


class _OfRequest(_Table):
    """What every row beside a request begins with: the request's ``seq``, organization and time of receipt."""

    seq: int = Field(primary_key=True, sa_type=BigInteger)
    organization_id: str = "default"
    received_at: int = Field(default=0, sa_type=BigInteger)


class RequestRow(_Table, table=True):
    """One exchange. ``seq`` is the order of writing, ``id`` the exchange's, ``request_id`` what the client sees.

    ``status`` is what the client was sent (NULL: nothing was), ``outcome`` how it ended ("ok", "upstream_error",
    "refused", "timeout", "client_disconnected", "stream_broken", "interrupted", "internal_error"). ``request_model`` is
    the model asked for, ``model`` the one that answered. ``latency`` runs from the request to the end of the answer,
    ``time_to_first_token`` from the request to the first event with content (streams only). ``hour`` counts hours since
    the epoch. ``source`` says who told of the exchange: "gateway" (it went through), "async" (its client, afterwards),
    "trace" (a span). ``usage_estimated`` and ``cost_estimated``: the answer was broken off, and the gateway counted
    what it saw; ``cost_recomputed_at``: when prices were applied anew. ``saved_...`` is what a cache spared.
    ``target`` is where the last attempt went, ``translation_loss`` what a translation between dialects could not carry.
    """

    __tablename__ = "request"
    __table_args__ = (
        # Two rows of one exchange were received at the same time, so that this is as good as unique ids; and a table
        # in partitions can hold it.
        Unique("id", "received_at"),
        # With what lists are filtered by, so that rows which do not match are not even looked at.
        Index("ix_request_list", "organization_id", "received_at", "seq", *_FILTERS),
        Index(None, "organization_id", "status", "received_at"),
        Index(None, "organization_id", "model", "received_at"),
        Index(None, "organization_id", "user_id", "received_at", **_where_known("user_id")),
        Index(None, "organization_id", "session_id", "received_at", **_where_known("session_id")),
        Index(None, "organization_id", "error_code", "received_at", **_where_known("error_code")),
        Index(None, "organization_id", "cache_status", "received_at", **_where_known("cache_status")),
        # For whoever follows one organization: without it SQLite, which keeps no statistics, reads all of its rows.
        Index(None, "organization_id", "seq"),
        *map(_of_most, MOST),
    )

    seq: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=False))
    id: str = Field(sa_column=Column(String(64), nullable=False))
    organization_id: str = "default"
    request_id: str = Field(index=True)
    received_at: int = Field(sa_type=BigInteger)
    hour: int
    source: str = "gateway"
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
    usage_estimated: bool = False
    service_tier: str | None = None
    cost_nano_usd: int | None = Field(default=None, sa_type=BigInteger)
    cost_source: str | None = None
    cost_version: str | None = None
    cost_estimated: bool = False
    cost_recomputed_at: int | None = Field(default=None, sa_type=BigInteger)
    user_id: str | None = None
    session_id: str | None = None
    session_path: str | None = None
    session_name: str | None = None
    prompt_id: str | None = None
    key_id: str | None = None
    key_name: str | None = None
    key_owner: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    attempt_count: int
    target: str | None = None
    provider_request_id: str | None = None
    translation_loss: str | None = Field(default=None, sa_type=Text)
    cache_enabled: bool = False
    cache_status: str | None = None
    cache_reference_id: str | None = None
    saved_nano_usd: int | None = Field(default=None, sa_type=BigInteger)
    saved_ms: int | None = Field(default=None, sa_type=BigInteger)
    saved_prompt_tokens: int | None = Field(default=None, sa_type=BigInteger)
    saved_completion_tokens: int | None = Field(default=None, sa_type=BigInteger)
    ratelimit_status: str | None = None
    threat: bool | None = None
    country_code: str | None = None
    request_size: int | None = Field(default=None, sa_type=BigInteger)
    response_size: int | None = Field(default=None, sa_type=BigInteger)
    annotations: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))


class AttemptRow(_OfRequest, table=True):
    """One call of one target. ``request_model`` is the name sent upstream, ``model`` the one that the reply names.

    ``status`` is the provider's, NULL when it sent none; the columns for tokens are those of a request. All that a
    price depends on is here, so that it can be computed anew; ``provider_cost_nano_usd`` is the provider's own figure.
    """

    __tablename__ = "request_attempt"
    __table_args__ = _CLUSTERED

    number: int = Field(primary_key=True)
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
    usage_estimated: bool = False
    service_tier: str | None = None
    provider_cost_nano_usd: int | None = Field(default=None, sa_type=BigInteger)
    cost_nano_usd: int | None = Field(default=None, sa_type=BigInteger)
    cost_source: str | None = None
    cost_version: str | None = None
    cost_estimated: bool = False
    provider_request_id: str | None = None


class PropertyRow(_OfRequest, table=True):
    """One property of a request: ``key`` as first sent, ``key_lower`` for comparing, ``value`` whole.

    ``value_start`` is the beginning of the value, short enough for an index.
    """

    __tablename__ = "request_property"
    __table_args__ = (
        Index("ix_request_property_key_value", "organization_id", "key_lower", "value_start", "received_at"),
        _CLUSTERED,
    )

    key_lower: str = Field(primary_key=True)
    key: str
    value: str = Field(sa_type=Text)
    value_start: str


class BodyRow(_OfRequest, table=True):
    """Request and response body, each a zstd frame (RFC 8878) of the redacted bytes, NULL when not kept.

    ``..._state`` says what is kept: "whole", "truncated" (its beginning), "omitted" (the client asked for that: only
    ``{"model": ...}``), "unreadable" (a content coding that cannot be redacted), "dropped" (no memory left for it while
    the database was away). ``..._type`` is the content type. ``object`` is where in an object storage the frames are,
    in place of here (`objects.Place`).
    """

    __tablename__ = "request_body"
    __table_args__ = (Index(None, "received_at"),)  # on Postgres one over blocks

    seq: int = Field(sa_column=Column(SEQUENCE, primary_key=True, autoincrement=False))
    request: bytes | None = Field(default=None, sa_type=LargeBinary)
    request_state: str
    request_type: str | None = None
    response: bytes | None = Field(default=None, sa_type=LargeBinary)
    response_state: str
    response_type: str | None = None
    object: str | None = Field(default=None, sa_type=Text)


class ScoreRow(_OfRequest, table=True):
    """A score that a request was given: a number, or a boolean as 1 and 0. A later one of that name takes its place."""

    __tablename__ = "request_score"
    __table_args__ = (
        Index(None, "organization_id", "name", "received_at"),
        _CLUSTERED,
    )

    name: str = Field(primary_key=True)
    value: float
    is_boolean: bool = False
    created_at: int = Field(sa_type=BigInteger)


class FeedbackRow(_OfRequest, table=True):
    """What somebody said of an answer: a ``rating`` (good or not), or a ``value`` under a name of their own.

    ``data_type`` is the client's word for the value ("boolean", "numerical", "string", "categorical").
    """

    __tablename__ = "request_feedback"
    __table_args__ = _CLUSTERED

    name: str = Field(primary_key=True)
    id: str
    rating: bool | None = None
    value: str | None = Field(default=None, sa_type=Text)
    data_type: str = "boolean"
    created_at: int = Field(sa_type=BigInteger)


REQUEST: Table = METADATA.tables["request"]
ATTEMPT: Table = METADATA.tables["request_attempt"]
PROPERTY: Table = METADATA.tables["request_property"]
BODY: Table = METADATA.tables["request_body"]
SCORE: Table = METADATA.tables["request_score"]
FEEDBACK: Table = METADATA.tables["request_feedback"]
PARTITIONED = (REQUEST, ATTEMPT, PROPERTY, BODY, SCORE, FEEDBACK)
"""Tables that Postgres keeps by the month."""
