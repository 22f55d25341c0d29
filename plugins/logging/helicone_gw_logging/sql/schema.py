"""Schema: the tables that SQL sees. Each is a view of the caller's own rows, without the organization.

``request_response_rmt`` has the names of Helicone's own table; the others are the log's tables as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Boolean, Float, Integer, LargeBinary, Table

from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.tables import ATTEMPT, FEEDBACK, PROPERTY, REQUEST, SCORE
from helicone_gw_logging.totals import SESSION, USER

TABLES: Mapping[str, Table] = {
    "requests": REQUEST,
    "attempts": ATTEMPT,
    "properties": PROPERTY,
    "scores": SCORE,
    "feedback": FEEDBACK,
    "sessions": SESSION,
    "users": USER,
}
"""The log's tables, by the names under which SQL sees them."""

HELICONE = "request_response_rmt"

_INSTANT = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', {column} / 1000.0, 'unixepoch')",
    "postgresql": "to_timestamp({column} / 1000.0)",
}
_PAIRS = {
    "sqlite": "(SELECT json_group_object(p.{key}, p.value) FROM {table} p WHERE p.seq = r.seq)",
    "postgresql": "(SELECT json_object_agg(p.{key}, p.value) FROM {table} p WHERE p.seq = r.seq)",
}
_SAME = [
    "user_id",
    "latency",
    "time_to_first_token",
    "status",
    "model",
    "provider",
    "target_url",
    "country_code",
    "threat",
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "prompt_cache_read_tokens",
    "prompt_cache_write_tokens",
    "session_id",
    "prompt_id",
]


class Column(NamedTuple):
    """A column: ``type`` is "string", "integer", "number", "boolean" or "datetime"; ``sql`` makes it of row ``r``."""

    name: str
    type: str
    sql: str


def schema(dialect: str, scope: Scope, qualifier: str) -> dict[str, tuple[list[Column], str]]:
    """Every table's columns, and the SELECT that makes it of the caller's own rows.

    ``dialect`` is "sqlite" or "postgresql"; ``qualifier`` is where the log's tables are ("main", "public"), quoted.
    """
    found = {HELICONE: (_helicone(dialect, qualifier), f"{qualifier}.request r")}
    for name, table in TABLES.items():
        if scope.whole or "seq" in table.c:
            found[name] = (_own(table), f"{qualifier}.{table.name} r")
    return {
        name: (columns, _select(columns, source, scope, qualifier, of_request=source.endswith(".request r")))
        for name, (columns, source) in found.items()
    }


def _select(columns: list[Column], source: str, scope: Scope, qualifier: str, *, of_request: bool) -> str:
    listed = ", ".join(f'{column.sql} AS "{column.name}"' for column in columns)
    where = f"r.organization_id = {literal(scope.organization)}"
    if scope.key_id is not None:
        mine = f"key_id = {literal(scope.key_id)}"
        of_mine = (
            f"SELECT seq FROM {qualifier}.request WHERE organization_id = {literal(scope.organization)} AND {mine}"  # noqa: S608
        )
        where += f" AND r.{mine}" if of_request else f" AND r.seq IN ({of_mine})"
    return f"SELECT {listed} FROM {source} WHERE {where}"  # noqa: S608 - nothing here is a client's


def literal(value: str) -> str:
    """``value`` as SQL writes it.

    >>> literal("O'Neill")
    "'O''Neill'"
    """
    text = value.replace("\0", "").replace("'", "''")
    return f"'{text}'"


def _own(table: Table) -> list[Column]:
    return [
        Column(column.name, _type(column.type), f"r.{column.name}")
        for column in table.columns
        if column.name != "organization_id" and not isinstance(column.type, LargeBinary)
    ]


def _type(kind: object) -> str:
    if isinstance(kind, Boolean):
        return "boolean"
    if isinstance(kind, Integer):
        return "integer"
    return "number" if isinstance(kind, Float) else "string"


def _helicone(dialect: str, qualifier: str) -> list[Column]:
    instant, pairs = _INSTANT[dialect], _PAIRS[dialect]
    own = {column.name: column for column in _own(REQUEST)}
    return [
        Column("request_id", "string", "r.request_id"),
        Column("response_id", "string", "r.id"),
        Column("request_created_at", "datetime", instant.format(column="r.received_at")),
        Column("response_created_at", "datetime", instant.format(column="r.ended_at")),
        *(own[name] for name in _SAME),
        Column("proxy_key_id", "string", "r.key_id"),
        Column("prompt_audio_tokens", "integer", "r.prompt_audio_tokens"),
        Column("completion_audio_tokens", "integer", "r.completion_audio_tokens"),
        Column("cost", "integer", "r.cost_nano_usd"),
        Column("cache_enabled", "boolean", "r.cache_enabled"),
        Column("cache_reference_id", "string", "r.cache_reference_id"),
        Column("size_bytes", "integer", "r.request_size + r.response_size"),
        Column("properties", "string", pairs.format(key="key", table=f"{qualifier}.request_property")),
        Column("scores", "string", pairs.format(key="name", table=f"{qualifier}.request_score")),
    ]
