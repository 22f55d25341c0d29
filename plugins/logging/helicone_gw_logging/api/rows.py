"""Rows: a request as Helicone's API shows it (``HeliconeRequest``), with what this gateway knows beside that."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from helicone_gw_logging.query.log import LoggedBody
from helicone_gw_logging.query.requests import Found
from helicone_gw_logging.query.sorts import HITS
from helicone_gw_logging.times import iso

_NANO = 1_000_000_000
_NEVER_SENT = {"timeout": -2, "client_disconnected": -3}


class HeliconeRequest(Struct, frozen=True):
    """One request. Times are ISO 8601 in UTC, durations milliseconds, money dollars; unknown is null.

    ``response_status`` is what the client was sent, or why it was sent nothing: -2 a timeout, -3 it left, -4 a threat,
    else -100. Tokens are the provider's totals: cached and audio input is part of ``prompt_tokens``, reasoning of
    ``completion_tokens``. Bodies are only where they were asked for; ``signed_body_url`` has them.
    """

    response_id: str | None
    response_created_at: str | None
    response_body: Any
    response_status: int
    response_model: str | None
    request_id: str
    request_created_at: str
    request_body: Any
    request_path: str
    request_user_id: str | None
    request_properties: dict[str, str]
    request_model: str | None
    model_override: str | None
    helicone_user: str | None
    provider: str | None
    delay_ms: int | None
    time_to_first_token: int | None
    total_tokens: int | None
    prompt_tokens: int | None
    prompt_cache_write_tokens: int | None
    prompt_cache_read_tokens: int | None
    completion_tokens: int | None
    prompt_audio_tokens: int | None
    completion_audio_tokens: int | None
    reasoning_tokens: int | None
    cost: float | None
    costUSD: float | None  # noqa: N815 - the contract's name
    prompt_id: str | None
    prompt_version: str | None
    feedback_created_at: str | None
    feedback_id: str | None
    feedback_rating: bool | None
    signed_body_url: str | None
    llmSchema: None  # noqa: N815 - the contract's name
    country_code: str | None
    asset_ids: list[str]
    asset_urls: dict[str, str]
    assets: list[str]
    scores: dict[str, float]
    properties: dict[str, str]
    target_url: str | None
    model: str | None
    cache_enabled: bool
    cache_reference_id: str | None
    updated_at: str | None
    request_referrer: None
    ai_gateway_body_mapping: None
    storage_location: None
    id: str
    outcome: str
    error_code: str | None
    error_message: str | None
    stop_reason: str | None
    stream: bool
    operation: str
    source: str
    attempts: int
    cached: bool
    saved: float | None
    usage_estimated: bool
    cost_estimated: bool
    cost_source: str | None
    session_id: str | None
    session_path: str | None
    session_name: str | None
    key_name: str | None
    trace_id: str | None
    translation_loss: str | None


class Bodies(Struct, frozen=True):
    """What was asked and what was answered: JSON where it is JSON, else text; null when it was not kept.

    ``..._state``: whole, truncated, omitted, unreadable or dropped.
    """

    request: Any
    response: Any
    request_state: str | None
    response_state: str | None


def shown(found: Found, origin: str, bodies: Bodies | None = None) -> HeliconeRequest:
    """``found`` as the API shows it. ``origin`` is the gateway's own address."""
    row = found.row
    rating = found.rating or {}
    cost = dollars(row["cost_nano_usd"])
    url = f"{origin}/v1/request/{row['id']}/body" if found.has_bodies else None
    same = {name: row[name] for name in HeliconeRequest.__struct_fields__ if name in row}
    made: dict[str, Any] = {
        "response_id": row["id"],
        "response_created_at": iso(row["ended_at"]),
        "response_body": bodies.response if bodies else None,
        "response_status": logged_status(row["status"], row["outcome"], row["threat"]),
        "response_model": row["model"],
        "request_created_at": iso(row["received_at"]) or "",
        "request_body": bodies.request if bodies else None,
        "request_path": row["path"],
        "request_user_id": row["user_id"],
        "request_properties": found.properties,
        "helicone_user": row["key_owner"],
        "delay_ms": row["latency"],
        "cost": cost,
        "costUSD": cost,
        "prompt_version": _text((row["annotations"] or {}).get("prompts.version_id")),
        "feedback_created_at": iso(rating.get("created_at")),
        "feedback_id": rating.get("id"),
        "feedback_rating": rating.get("rating"),
        "signed_body_url": url,
        "llmSchema": None,
        "asset_ids": [],
        "asset_urls": {},
        "assets": [],
        "scores": found.scores,
        "properties": found.properties,
        "model": row["model_override"] or row["model"] or row["request_model"],
        "updated_at": iso(row["cost_recomputed_at"]),
        "request_referrer": None,
        "ai_gateway_body_mapping": None,
        "storage_location": None,
        "attempts": row["attempt_count"],
        "cached": row["cache_status"] in HITS,
        "saved": dollars(row["saved_nano_usd"]),
    }
    return HeliconeRequest(**{**same, **made})


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def dollars(nano: int | None) -> float | None:
    """Nano-dollars as dollars."""
    return None if nano is None else nano / _NANO


def logged_status(status: int | None, outcome: str, threat: bool | None) -> int:
    """What the client was sent, or Helicone's number for why it was sent nothing."""
    if status is not None:
        return status
    return _NEVER_SENT.get(outcome, -4 if threat else -100)


def shown_bodies(request: LoggedBody | None, response: LoggedBody | None) -> Bodies:
    """Bodies as the API shows them."""
    return Bodies(
        _value(request), _value(response), request.state if request else None, response.state if response else None
    )


def _value(body: LoggedBody | None) -> Any:
    if body is None or body.data is None:
        return None
    try:
        msgspec.json.decode(body.data, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return body.data.decode("utf-8", "replace")
    return msgspec.Raw(body.data)
