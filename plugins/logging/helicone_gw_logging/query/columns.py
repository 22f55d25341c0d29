"""Columns: the tables and columns that a filter may name, as Helicone calls them, and what holds them here.

Helicone's own names come first in each table; every further column of a request can be asked by its name here, in
``request_response_rmt`` and in ``request``. Money is in dollars. What Helicone knows and this gateway does not (runs,
prompt inputs, ...) is unknown for every request: it equals ``"null"`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import JSON, Boolean, Integer

from helicone_gw_logging.query.nodes import Field, FilterError, Kind, Source, shown
from helicone_gw_logging.tables import REQUEST

NANO: Final = 1_000_000_000
FEEDBACK_SCORE: Final = "helicone-score-feedback"
"""The score that repeats a rating: 1 for good, 0 for bad."""

STATUS: Final = "logged_status"
ANSWERED_MODEL: Final = "answered_model"
"""Columns of a request that are made of several: see `helicone_gw_logging.query.where`."""

_RENAMED: Final[dict[str, tuple[Kind, str]]] = {
    "status": ("number", STATUS),
    "model": ("text", ANSWERED_MODEL),
    "request_created_at": ("timestamp", "received_at"),
    "response_created_at": ("timestamp", "ended_at"),
    "latency": ("number", "latency"),
    "size_bytes": ("number", "request_size"),
    "response_id": ("text", "provider_request_id"),
}
_ELSEWHERE: Final[dict[str, Kind]] = {
    "node_id": "text",
    "job_id": "text",
    "proxy_key_id": "text",
    "request_referrer": "text",
    "prompt_version": "text",
    "prompt_environment": "text",
    "gateway_router_id": "text",
    "gateway_deployment_target": "text",
    "experiment_column_id": "text",
    "assets": "text",
}
# What must not be asked: whose rows they are is not for a filter, and notes have no form.
_HIDDEN: Final = frozenset({"organization_id", "annotations", "hour"})


def _own() -> dict[str, tuple[Kind, str, int]]:
    """Every column of a request that may be asked by its own name: its kind, itself and its scale."""
    found: dict[str, tuple[Kind, str, int]] = {}
    for column in REQUEST.columns:
        kind: Kind = "text"
        if column.name in _HIDDEN or isinstance(column.type, JSON):
            continue
        if isinstance(column.type, Boolean):
            kind = "boolean"
        elif column.name.endswith("_at"):
            kind = "timestamp"
        elif isinstance(column.type, Integer):
            kind = "number"
        found[column.name] = (kind, column.name, 1)
    found |= {"cost": ("number", "cost_nano_usd", NANO), "saved": ("number", "saved_nano_usd", NANO)}
    return found


def _rmt() -> dict[str, Field]:
    table = "request_response_rmt"
    fields = _named(table, "request", _own())
    fields |= {name: Field(table, name, kind, "request", column) for name, (kind, column) in _RENAMED.items()}
    fields |= {name: Field(table, name, kind, "nothing") for name, kind in _ELSEWHERE.items()}
    fields["request_body"] = Field(table, "request_body", "body", "request", "request")
    fields["response_body"] = Field(table, "response_body", "body", "request", "response")
    fields[FEEDBACK_SCORE] = Field(table, FEEDBACK_SCORE, "boolean", "feedback", "rating")
    for name in ("properties", "search_properties"):
        fields[name] = Field(table, name, "text", "property", keyed=True)
    fields["property_keys"] = Field(table, "property_keys", "text", "property-key", "key_lower")
    fields["scores"] = Field(table, "scores", "number", "score", keyed=True)
    # All scores as one: clients ask whether it is "{}". Texts are looked for in their names.
    fields["scores_column"] = Field(table, "scores_column", "text", "score-name", "name", empty="{}")
    return fields


def _request() -> dict[str, Field]:
    table = "request"
    fields = _named(table, "request", _own())
    own: dict[str, tuple[Kind, str]] = {
        "created_at": ("timestamp", "received_at"),
        "id": ("text", "request_id"),
        "model": ("text", "request_model"),
        "modelOverride": ("text", "model_override"),
        "path": ("text", "path"),
    }
    fields |= {name: Field(table, name, kind, "request", column) for name, (kind, column) in own.items()}
    fields |= {name: Field(table, name, "text", "nothing") for name in ("node_id", "job_id", "prompt_version")}
    fields["prompt"] = Field(table, "prompt", "body", "request", "request")
    return fields


def _named(table: str, source: Source, columns: Mapping[str, tuple[Kind, str, int]]) -> dict[str, Field]:
    return {name: Field(table, name, kind, source, column, scale) for name, (kind, column, scale) in columns.items()}


def _sessions(table: str) -> dict[str, Field]:
    asked = {
        "session_session_id": Field(table, "session_session_id", "text", "request", "session_id"),
        "session_session_name": Field(table, "session_session_name", "text", "request", "session_name"),
        "session_tag": Field(table, "session_tag", "text", "tag", "tag"),
    }
    return asked | _named(
        table,
        "session",
        {
            "session_total_cost": ("number", "cost_nano_usd", NANO),
            "session_total_tokens": ("number", "total_tokens", 1),
            "session_prompt_tokens": ("number", "prompt_tokens", 1),
            "session_completion_tokens": ("number", "completion_tokens", 1),
            "session_total_requests": ("number", "requests", 1),
            "session_errors": ("number", "errors", 1),
            "session_created_at": ("timestamp", "first_at", 1),
            "session_latest_request_created_at": ("timestamp", "last_at", 1),
        },
    )


_USER_SUMS: Final[dict[str, tuple[Kind, str, int]]] = {
    "user_first_active": ("timestamp", "first_at", 1),
    "user_last_active": ("timestamp", "last_at", 1),
    "user_total_requests": ("number", "requests", 1),
    "user_total_completion_tokens": ("number", "completion_tokens", 1),
    "user_total_prompt_tokens": ("number", "prompt_tokens", 1),
    "user_cost": ("number", "cost_nano_usd", NANO),
}

TABLES: Final[Mapping[str, Mapping[str, Field]]] = {
    "request_response_rmt": _rmt(),
    "request": _request(),
    "response": {
        "status": Field("response", "status", "number", "request", STATUS),
        "model": Field("response", "model", "text", "request", ANSWERED_MODEL),
        "body_model": Field("response", "body_model", "text", "request", ANSWERED_MODEL),
        "created_at": Field("response", "created_at", "timestamp", "request", "ended_at"),
        "delay_ms": Field("response", "delay_ms", "number", "request", "latency"),
        "body_tokens": Field("response", "body_tokens", "number", "request", "total_tokens"),
        "prompt_tokens": Field("response", "prompt_tokens", "number", "request", "prompt_tokens"),
        "completion_tokens": Field("response", "completion_tokens", "number", "request", "completion_tokens"),
        "body_completion": Field("response", "body_completion", "body", "request", "response"),
    },
    "feedback": {
        "id": Field("feedback", "id", "text", "feedback", "id"),
        "rating": Field("feedback", "rating", "boolean", "feedback", "rating"),
        "created_at": Field("feedback", "created_at", "timestamp", "feedback", "created_at"),
    },
    "sessions_request_response_rmt": _sessions("sessions_request_response_rmt"),
    "users_view": {
        "user_user_id": Field("users_view", "user_user_id", "text", "request", "user_id"),
        **_named("users_view", "user", _USER_SUMS),
    },
    "user_metrics": {
        "user_id": Field("user_metrics", "user_id", "text", "request", "user_id"),
        **_named(
            "user_metrics",
            "user",
            {"last_active": ("timestamp", "last_at", 1), "total_requests": ("number", "requests", 1)},
        ),
    },
}
"""The tables that have columns."""

KEYED: Final[Mapping[str, Field]] = {
    "properties": Field("properties", "*", "text", "property", keyed=True),
    "values": Field("values", "*", "text", "nothing", keyed=True),
    "scores": Field("scores", "*", "number", "score", keyed=True),
}
"""The tables whose columns are keys: of properties, of prompt inputs, of scores."""


def field(table: str, column: str) -> Field:
    """The column of that name. Raises `FilterError`, naming what does not exist."""
    if table in KEYED:
        return KEYED[table]
    columns = TABLES.get(table)
    if columns is None:
        raise FilterError(f"filter: there is no table {shown(table)}; there are {', '.join((*TABLES, *KEYED))}")
    found = columns.get(column)
    if found is None:
        raise FilterError(f"filter: there is no column {shown(column)} in table {shown(table)}")
    return found
