"""Record: what is logged of one exchange, as plain values. Pure and cheap: it runs on the client's path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from helicone_gw import Attempt, Capture, Cost, Exchange, GatewayError, Headers, Usage

NAME_BYTES = 1024
"""Longest identifier or name, in bytes of UTF-8; the rest is cut."""
TEXT_BYTES = 65_536
"""Longest message, path or property value."""
KEY_BYTES = 256
"""Longest property key."""
VALUE_START_BYTES = 512
"""How much of a property's value its index holds."""
MAX_PROPERTIES = 500
"""Most properties of one request."""
SHORTEST_SECRET = 8
"""Fewest characters of a gateway key that is looked for in what is stored."""
MAX_ANNOTATIONS = 65_536
"""Longest annotations, in bytes of JSON."""

_MAX_INTEGER = 2**63 - 1
_ROW_BYTES = 2048  # about what a row without bodies takes in memory


class RawBody(Struct, frozen=True):
    """A body as it was captured. ``omitted``: only ``model`` may be stored of it."""

    data: bytes
    cut: bool = False
    omitted: bool = False
    model: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None


class LogRecord(Struct, frozen=True):
    """Everything that is to be written about one exchange: values by column, not yet redacted.

    ``annotations`` is JSON. ``bodies`` are request and response, ``None`` when bodies are not stored at all.
    ``secrets`` are credentials of this exchange, to be found wherever they were repeated. ``size`` estimates the bytes
    of memory that the record takes.
    """

    request: dict[str, Any]
    attempts: list[dict[str, Any]]
    properties: list[dict[str, Any]]
    annotations: bytes
    bodies: tuple[RawBody, RawBody] | None
    secrets: tuple[str, ...]
    size: int
    dropped: bool = False

    def without_bodies(self) -> LogRecord:
        """The record without what makes it large; the row says "dropped"."""
        if self.bodies is None:
            return self
        lost = tuple(replace(body, data=b"") for body in self.bodies)
        size = self.size - sum(len(body.data) for body in self.bodies)
        return replace(self, bodies=(lost[0], lost[1]), size=size, dropped=True)

    def __repr__(self) -> str:
        return f"LogRecord({self.request['id']})"


def record(exchange: Exchange, *, bodies: bool = True) -> LogRecord:
    """The record of a finished exchange. Never raises for odd values: what a column cannot hold is unknown."""
    properties = _properties(exchange)
    attempts = [_attempt(exchange, attempt) for attempt in exchange.attempts]
    annotations = _annotations(exchange)
    kept = _bodies(exchange) if bodies else None
    credential = exchange.credential
    size = _ROW_BYTES + len(annotations) + 512 * len(attempts)
    size += sum(128 + len(row["value"]) for row in properties)
    if kept is not None:
        size += sum(len(body.data) for body in kept)
    return LogRecord(
        request=_request(exchange),
        attempts=attempts,
        properties=properties,
        annotations=annotations,
        bodies=kept,
        secrets=(
            *((credential.value.split(" ", 1)[-1],) if credential is not None else ()),
            # A shorter key would be found in innocent text.
            *(secret for secret in exchange.secrets if len(secret) >= SHORTEST_SECRET),
        ),
        size=size,
    )


def text(value: object, limit: int = NAME_BYTES) -> str | None:
    """``value`` as text that any database takes: no NUL, no lone surrogate, at most ``limit`` bytes of UTF-8."""
    if value is None:
        return None
    if value.__class__ is str and len(value) <= limit and value.isascii() and "\0" not in value:
        return value
    string = value if isinstance(value, str) else str(value)
    if len(string) <= limit and string.isascii() and "\0" not in string:
        return string
    data = string.replace("\0", "\ufffd").encode("utf-8", "replace")
    return data[:limit].decode("utf-8", "ignore")


def _request(exchange: Exchange) -> dict[str, Any]:
    asked, helicone = exchange.original, exchange.request.helicone
    outcome, usage, cost, error = exchange.outcome, exchange.usage, exchange.cost, exchange.error
    first_token_at = exchange.first_chunk_at if asked.stream else None
    notes = exchange.annotations
    row: dict[str, Any] = {
        "id": exchange.id,
        "organization_id": text(exchange.organization, 128) or "default",
        "request_id": text(exchange.request_id),
        "received_at": _milliseconds(exchange.received_at) or 0,
        "first_byte_at": _milliseconds(exchange.first_byte_at),
        "first_token_at": _milliseconds(first_token_at),
        "ended_at": _milliseconds(exchange.ended_at),
        "latency": _duration(exchange.received_at, exchange.ended_at),
        "time_to_first_token": _duration(exchange.received_at, first_token_at),
        "provider": text(exchange.provider),
        "request_model": text(asked.model),
        "model": text(exchange.model),
        "model_override": text(helicone.model_override),
        "dialect": text(asked.dialect),
        "operation": text(asked.operation),
        "method": text(asked.method),
        "path": text(asked.path, TEXT_BYTES),
        "target_url": _target_url(exchange),
        "stream": bool(asked.stream),
        # An exchange without an outcome never finished: only a process that is being stopped lets that happen.
        "status": outcome.status if outcome else None,
        "outcome": outcome.kind if outcome else "interrupted",
        "error_code": text((outcome.code if outcome else None) or (error.code if error else None)),
        "error_message": text((outcome.message if outcome else None) or (error.message if error else None), TEXT_BYTES),
        "stop_reason": text(exchange.stop_reason),
        "user_id": text(helicone.user_id or asked.user),
        "session_id": text(helicone.session_id),
        "session_path": text(helicone.session_path),
        "session_name": text(helicone.session_name),
        "prompt_id": text(helicone.prompt_id),
        "key_id": text(exchange.key.id) if exchange.key else None,
        "key_name": text(exchange.key.name) if exchange.key else None,
        "attempt_count": len(exchange.attempts),
        "cache_status": text(notes.get("cache.status")),
        "ratelimit_status": text(notes.get("ratelimit.status")),
        "request_size": _size(exchange.request_capture, asked.body),
        "response_size": exchange.response_capture.size if exchange.response_capture else None,
    }
    row.update(_tokens(usage))
    row.update(
        prompt_cache_write_1h_tokens=_count(usage.cache_write_1h_tokens) if usage else None,
        prompt_audio_tokens=_count(usage.input_audio_tokens) if usage else None,
        completion_audio_tokens=_count(usage.output_audio_tokens) if usage else None,
        prompt_cache_audio_tokens=_count(usage.cache_audio_read_tokens) if usage else None,
        prompt_image_tokens=_count(usage.input_image_tokens) if usage else None,
        completion_image_tokens=_count(usage.output_image_tokens) if usage else None,
        total_tokens=_count(usage.total_tokens) if usage else None,
        web_searches=_count(usage.web_searches) if usage else None,
        service_tier=text(usage.service_tier) if usage else None,
    )
    row.update(_cost(cost))
    return row


def _attempt(exchange: Exchange, attempt: Attempt) -> dict[str, Any]:
    error: GatewayError | None = attempt.error
    row: dict[str, Any] = {
        "row_id": exchange.id,
        "number": attempt.number,
        "organization_id": text(exchange.organization, 128) or "default",
        "provider": text(attempt.target.provider),
        "request_model": text(attempt.target.model),
        "model": text(attempt.model),
        "deployment": text(attempt.target.deployment),
        "status": attempt.status,
        "error_code": text(error.code) if error else None,
        "error_message": text(error.message, TEXT_BYTES) if error else None,
        "started_at": _milliseconds(attempt.started_at) or 0,
        "first_byte_at": _milliseconds(attempt.first_byte_at),
        "ended_at": _milliseconds(attempt.ended_at),
    }
    row.update(_tokens(attempt.usage))
    row.update(_cost(attempt.cost))
    return row


def _properties(exchange: Exchange) -> list[dict[str, Any]]:
    if not exchange.request.helicone.properties:
        return []
    rows: dict[str, dict[str, Any]] = {}
    received_at = _milliseconds(exchange.received_at) or 0
    for key, value in exchange.request.helicone.properties.items():
        lower = text(key.lower(), KEY_BYTES) or ""
        if lower in rows or len(rows) == MAX_PROPERTIES:
            continue
        rows[lower] = {
            "row_id": exchange.id,
            "key_lower": lower,
            "organization_id": text(exchange.organization, 128) or "default",
            "key": text(key, KEY_BYTES),
            "value": text(value, TEXT_BYTES) or "",
            "value_start": text(value, VALUE_START_BYTES) or "",
            "received_at": received_at,
        }
    return list(rows.values())


def _annotations(exchange: Exchange) -> bytes:
    notes: Mapping[str, Any] = exchange.annotations
    warnings = exchange.request.helicone.warnings
    if warnings:
        notes = {**notes, "helicone.warnings": list(warnings)}
    if not notes:
        return b"{}"
    try:
        data = msgspec.json.encode(notes, enc_hook=_not_json)
    except (TypeError, ValueError, RecursionError) as problem:
        return msgspec.json.encode({"logging.unreadable_annotations": type(problem).__name__})
    return data if len(data) <= MAX_ANNOTATIONS else msgspec.json.encode({"logging.annotations_too_large": len(data)})


def _not_json(value: object) -> str:
    # Not its representation: that may hold anything, a credential for one.
    return f"<{type(value).__name__}>"


def _bodies(exchange: Exchange) -> tuple[RawBody, RawBody]:
    helicone = exchange.request.helicone
    response = exchange.response
    asked_model = text(exchange.original.model)
    return (
        _body(exchange.request_capture, helicone.omit_request, asked_model, exchange.original.headers),
        _body(
            exchange.response_capture,
            helicone.omit_response,
            text(exchange.model) or asked_model,
            response.headers if response is not None else None,
        ),
    )


def _body(capture: Capture | None, omitted: bool, model: str | None, headers: Headers | None) -> RawBody:
    return RawBody(
        data=b"" if omitted or capture is None else capture.data,
        cut=capture is not None and capture.cut,
        omitted=omitted,
        model=model,
        content_type=text(headers.get("content-type"), KEY_BYTES) if headers is not None else None,
        content_encoding=headers.get("content-encoding") if headers is not None else None,
    )


def _tokens(usage: Usage | None) -> dict[str, int | None]:
    return {
        "prompt_tokens": _count(usage.input_tokens) if usage else None,
        "completion_tokens": _count(usage.output_tokens) if usage else None,
        "reasoning_tokens": _count(usage.reasoning_tokens) if usage else None,
        "prompt_cache_read_tokens": _count(usage.cache_read_tokens) if usage else None,
        "prompt_cache_write_tokens": _count(usage.cache_write_tokens) if usage else None,
    }


def _cost(cost: Cost | None) -> dict[str, Any]:
    return {
        "cost_nano_usd": _count(cost.nano_usd) if cost else None,
        "cost_source": (text(cost.source) or None) if cost else None,
        "cost_version": (text(cost.version) or None) if cost else None,
    }


def _target_url(exchange: Exchange) -> str | None:
    """The URL that the client chose as its target, without credentials, query and fragment."""
    url = exchange.attempts[-1].target.base_url if exchange.attempts else None
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        return text(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")), TEXT_BYTES)
    except ValueError:
        return None


def _size(capture: Capture | None, body: bytes | None) -> int | None:
    if capture is not None:
        return capture.size
    return len(body) if body is not None else None


def _milliseconds(seconds: float | None) -> int | None:
    # Not a number is not between anything.
    return round(seconds * 1000) if seconds is not None and -1e12 < seconds < 1e12 else None


def _duration(start: float, end: float | None) -> int | None:
    if end is None or not -1e12 < end - start < 1e12:
        return None
    # A wall clock may be set back in the meantime; no answer is ready before its request.
    return max(0, round((end - start) * 1000))


def _count(value: int | None) -> int | None:
    return value if value is None or (isinstance(value, int) and 0 <= value <= _MAX_INTEGER) else None
