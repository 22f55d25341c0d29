"""The tables of sums over requests, kept in the transaction that writes the requests, and those that count on the side.

Hours are hours since the epoch. A key that a request does not have is "" here (a status that was never sent is 0), so
that it can be part of a primary key. A sum is over what is known; how many requests had nothing to add to it is counted
beside it (``unknown_tokens``, ``unknown_costs``) or follows from ``..._count``. Where more values of a dimension come
in one hour than are told apart, the others are summed up under `OTHER`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text

from helicone_gw_logging.tables import METADATA

OTHER = "(other)"
"""Stands for all values of a dimension beyond those that one hour tells apart."""

ALL = "(all)"
"""Stands for all providers, and all models, in histograms."""

EVERY = "all"
"""The dimension that has one value, `ALL`: what all requests of an hour come to."""

TOKENS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "reasoning_tokens",
    "prompt_cache_read_tokens",
    "prompt_cache_write_tokens",
    "prompt_cache_write_1h_tokens",
    "prompt_audio_tokens",
    "completion_audio_tokens",
    "prompt_cache_audio_tokens",
    "prompt_image_tokens",
    "completion_image_tokens",
    "web_searches",
)
"""Sums of what is counted in columns of the same names."""

SUMS = (
    "requests",
    "errors",
    *TOKENS,
    "unknown_tokens",
    "estimated_tokens",
    "cost_nano_usd",
    "unknown_costs",
    "cache_hits",
    "saved_nano_usd",
    "saved_ms",
    "saved_prompt_tokens",
    "saved_completion_tokens",
    "latency_sum",
    "latency_count",
    "first_token_sum",
    "first_token_count",
    "threats",
    "ratelimited",
)
"""The sums of an hour. ``errors`` are requests that ended otherwise than "ok"; ``unknown_tokens`` and ``unknown_costs``
requests whose tokens, whose cost nobody knows, ``estimated_tokens`` those whose tokens were estimated; times are
milliseconds; ``ratelimited`` were refused by a limit of the gateway."""

SUMMARY_SUMS = (
    "requests",
    "errors",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "unknown_tokens",
    "cost_nano_usd",
    "unknown_costs",
    "latency_sum",
    "latency_count",
)
"""The sums of a session and of a user."""

NAME_SUMS = ("sessions", "requests", "cost_nano_usd", "latency_sum", "latency_count", "unknown_costs")
"""The sums of a session name."""
NOTED_SUMS = ("sessions", "requests", "cost_nano_usd", "unknown_costs")
"""Those by which it is known that what is noted of sessions is still so."""


def _key(name: str) -> Column[str]:
    return Column(name, String, primary_key=True)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


def _sums(names: tuple[str, ...]) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


def _rollup(name: str, span: str) -> Table:
    return Table(
        name,
        METADATA,
        _key("organization_id"),
        _number(span),
        _key("key_owner"),
        _key("provider"),
        _key("model"),
        Column("status", Integer, primary_key=True, autoincrement=False),
        Column("cache_hit", Boolean, primary_key=True),
        _key("source"),
        *_sums(SUMS),
        sqlite_with_rowid=False,
    )


ROLLUP = _rollup("rollup_hour", "hour")
"""Requests of one hour that have all of these in common; ``model`` is the one that answered, else the one asked for."""
ROLLUP_DAY = _rollup("rollup_day", "day")
"""The same by the day (since the epoch, in UTC): the hours of `ROLLUP` added up, for whoever looks far back."""


def _dimension(name: str, span: str) -> Table:
    return Table(
        name,
        METADATA,
        _key("organization_id"),
        _key("dimension"),
        _number(span),
        _key("value"),
        *_sums(SUMS),
        sqlite_with_rowid=False,
    )


DIMENSION = _dimension("rollup_dimension_hour", "hour")
"""Requests of one hour with one value of a dimension: `EVERY`, "user", "session" (its name), "prompt" (its id),
"country", "key" (the gateway key's id), "error" (of what failed: its code, else how it ended), "property:<key>" (in
lower case); keys of properties beyond those that an organization may have are "property:(other)"."""
DIMENSION_DAY = _dimension("rollup_dimension_day", "day")
"""The same by the day (since the epoch, in UTC): the hours of `DIMENSION` added up, for whoever looks far back."""


def _histogram(name: str, span: str) -> Table:
    return Table(
        name,
        METADATA,
        _key("organization_id"),
        _key("metric"),
        _key("provider"),
        _key("model"),
        _number(span),
        Column("bucket", Integer, primary_key=True, autoincrement=False),
        Column("count", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


HISTOGRAM = _histogram("histogram_hour", "hour")
"""How many requests of an hour had "latency", "first_token" (both milliseconds) or "total_tokens" in a bucket of
`helicone_gw_logging.histograms`. Provider and model are those of `ROLLUP`; where both are `ALL`, the row is the sum
over all of them: read either that, or the others."""
HISTOGRAM_DAY = _histogram("histogram_day", "day")
"""The same by the day (since the epoch, in UTC): what is not packed."""
HISTOGRAM_PACKED = Table(
    "histogram_packed",
    METADATA,
    _key("organization_id"),
    _key("metric"),
    _key("provider"),
    _key("model"),
    _number("day"),
    Column("counts", LargeBinary, nullable=False),
)
"""What `helicone_gw_logging.packing` has packed of `HISTOGRAM_DAY`: all counts of a day in one value."""

SESSION = Table(
    "session_summary",
    METADATA,
    _key("organization_id"),
    _key("session_id"),
    _key("session_name"),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    *_sums(SUMMARY_SUMS),
    Index("ix_session_summary_last_at", "organization_id", "last_at", "first_at"),
    # All that lists of names say, in the order of names.
    Index("ix_session_summary_name", "organization_id", "session_name", "last_at", "first_at", *NAME_SUMS[1:]),
)
"""A session: the requests with one id and one name ("": none). Times are those of receipt."""

USER = Table(
    "user_summary",
    METADATA,
    _key("organization_id"),
    _key("user_id"),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    *_sums(SUMMARY_SUMS),
    Index("ix_user_summary_last_at", "organization_id", "last_at"),
)
"""A user: all requests with one user id."""

NAME_DAY = Table(
    "session_name_day",
    METADATA,
    _key("organization_id"),
    _number("day"),
    _key("session_name"),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    *_sums(NAME_SUMS),
    sqlite_with_rowid=False,
)
"""The sessions with one name that were last heard of on a day (UTC), with all that they come to; they go from day to
day. Times are no further out than those of all sessions of that day or later."""

USER_NUMBER = Table(
    "user_number",
    METADATA,
    _key("organization_id"),
    _key("user_id"),
    Column("number", BigInteger, nullable=False),
)
"""The place of a user among the bits of `USER_PRESENCE`."""

USER_PRESENCE = Table(
    "user_presence",
    METADATA,
    _key("organization_id"),
    _number("day"),
    Column("requests", BigInteger, nullable=False),
    Column("whole", LargeBinary),
    Column("hours", LargeBinary),
)
"""Which users there were on a day and in its hours (`helicone_gw_logging.presence`), of as many ``requests``: where
there are others by now, it says nothing. NULL where nobody knows which users."""

SESSION_TAG = Table(
    "session_tag",
    METADATA,
    _key("organization_id"),
    _key("session_id"),
    Column("tag", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""The tag that a session was given last."""

PROPERTY_KEY = Table(
    "property_key",
    METADATA,
    _key("organization_id"),
    _key("key_lower"),
    Column("key", String, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
)
"""Every key of properties that has sums, as it was first sent."""

HIDDEN_PROPERTY = Table(
    "hidden_property",
    METADATA,
    _key("organization_id"),
    _key("key_lower"),
    Column("created_at", BigInteger, nullable=False),
)
"""Keys of properties that lists of them leave out."""

SAVED_QUERY = Table(
    "saved_query",
    METADATA,
    _key("organization_id"),
    _key("id"),
    Column("key_id", String),
    Column("name", String, nullable=False),
    Column("sql", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""A SQL query that somebody keeps."""

JOURNAL = Table(
    "journal_position",
    METADATA,
    _key("journal"),
    Column("organization_id", String, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""How far each journal is in the database: everything up to ``sequence``."""

SEQUENCE = Table(
    "log_sequence",
    METADATA,
    _key("name"),
    Column("organization_id", String, nullable=False),
    Column("value", BigInteger, nullable=False),
)
"""The last number that was given to a request (``name`` "request"), and how many were given to users of an organization
("user:<organization>"): none is given twice. Whoever writes to the log changes this row first,
so that writers come one after another, and numbers are committed in their order."""
