"""Record: what is logged of one exchange, as plain values. Pure and cheap: it runs on the client's path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from helicone_gw_logging.measures import HOUR_MS, count, duration, milliseconds, tokens
from helicone_gw_logging.notes import noted
from helicone_gw_logging.texts import KEY_BYTES, NAME_BYTES, TEXT_BYTES, VALUE_START_BYTES, label, text, texts
from helicone_gw_logging.trace import trace_of

if TYPE_CHECKING:
    from helicone_gw import Attempt, Capture, Cost, Exchange, GatewayError, Headers

__all__ = [
    "HOUR_MS",
    "KEY_BYTES",
    "MAX_ANNOTATIONS",
    "MAX_PROPERTIES",
    "NAME_BYTES",
    "SHORTEST_SECRET",
    "TEXT_BYTES",
    "VALUE_START_BYTES",
    "LogRecord",
    "RawBody",
    "label",
    "record",
    "text",
]

MAX_PROPERTIES = 500
"""Most properties of one request."""
SHORTEST_SECRET = 8
"""Fewest characters of a gateway key that is looked for in what is stored."""
MAX_ANNOTATIONS = 65_536
"""Longest annotations, in bytes of JSON."""

_SURELY_START = VALUE_START_BYTES // 4  # characters, of up to four bytes of UTF-8 each
_ROW_BYTES = 2048  # about what a row without bodies takes in memory
_NO_COST: dict[str, Any] = {"cost_nano_usd": None, "cost_source": None, "cost_version": None, "cost_estimated": False}
_ELSEWHERE: dict[str, Any] = dict.fromkeys(("cost_recomputed_at", "country_code"))


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


def record(exchange: Exchange, *, bodies: bool = True, country: str | None = None) -> LogRecord:
    """The record of a finished exchange. Never raises for odd values: what a column cannot hold is unknown.

    ``country`` names the header field in which whoever stands before the gateway says where the client is.
    """
    organization = label(exchange.organization, 128) or "default"
    received_at = milliseconds(exchange.received_at) or 0
    used = exchange.usage
    counted = tokens(used)
    attempts = [
        _attempt(received_at, organization, attempt, counted if attempt.usage is used else tokens(attempt.usage))
        for attempt in exchange.attempts
    ]
    said = exchange.request.helicone.properties
    properties = _properties(said, organization, received_at) if said else []
    annotations = _annotations(exchange)
    size = _ROW_BYTES + len(annotations) + 512 * len(attempts)
    for row in properties:
        size += 128 + len(row["value"])
    kept = None
    if bodies:
        kept = _bodies(exchange)
        size += len(kept[0].data) + len(kept[1].data)
    request = _request(exchange, organization, received_at, counted)
    if country is not None:
        request["country_code"] = _country(exchange.original.headers.get(country))
    return LogRecord(request, attempts, properties, annotations, kept, _secrets(exchange), size)


def _country(said: str | None) -> str | None:
    """Two letters (ISO 3166-1); what proxies write for "unknown" (XX) and for Tor (T1) is unknown."""
    code = (said or "").strip().upper()
    return code if len(code) == 2 and code.isascii() and code.isalpha() and code != "XX" else None


def _secrets(exchange: Exchange) -> tuple[str, ...]:
    credential = exchange.credential
    # A shorter key would be found in innocent text.
    found = tuple([secret for secret in exchange.secrets if len(secret) >= SHORTEST_SECRET])
    if exchange.provider_keys:
        found += tuple(key.secret for key in exchange.provider_keys.values() if len(key.secret) >= SHORTEST_SECRET)
    if b"cookie" in exchange.original.headers.first:
        found += tuple(_cookies(exchange))
    return found if credential is None else (credential.value.split(" ", 1)[-1], *found)


def _cookies(exchange: Exchange) -> Iterator[str]:
    """The values of cookies that went on to the provider, which may repeat them."""
    for field in exchange.original.headers.get_all("cookie"):
        for pair in field.split(";"):
            value = pair.partition("=")[2].strip()
            if len(value) >= SHORTEST_SECRET:
                yield value


def _request(exchange: Exchange, organization: str, received: int, counted: dict[str, Any]) -> dict[str, Any]:
    asked, helicone, notes = exchange.original, exchange.request.helicone, exchange.annotations
    outcome, usage, error, key = exchange.outcome, exchange.usage, exchange.error, exchange.key
    received_at, ended_at = exchange.received_at, exchange.ended_at
    last = exchange.attempts[-1] if exchange.attempts else None
    first_token_at = exchange.first_chunk_at if asked.stream else None
    row = texts(
        {
            "request_id": exchange.request_id,
            "provider": exchange.provider,
            "request_model": asked.model,
            "model": exchange.model,
            "model_override": helicone.model_override,
            "dialect": asked.dialect,
            "operation": asked.operation,
            "method": asked.method,
            "path": asked.path,
            "error_code": (outcome.code if outcome else None) or (error.code if error else None),
            "error_message": (outcome.message if outcome else None) or (error.message if error else None),
            "stop_reason": exchange.stop_reason,
            "user_id": helicone.user_id or asked.user,
            "session_id": helicone.session_id,
            "session_path": helicone.session_path,
            "session_name": helicone.session_name,
            "prompt_id": helicone.prompt_id,
            "key_id": key.id if key else None,
            "key_name": key.name if key else None,
            "key_owner": key.owner if key else None,
            "target": str(last.target) if last else None,
            "provider_request_id": last.provider_request_id if last else None,
            "service_tier": usage.service_tier if usage else None,
        }
    )
    return {
        **row,
        "id": exchange.id,
        "organization_id": organization,
        "received_at": received,
        "hour": received // HOUR_MS,
        "source": "gateway",
        "first_byte_at": milliseconds(exchange.first_byte_at),
        "first_token_at": milliseconds(first_token_at),
        "ended_at": milliseconds(ended_at),
        "latency": duration(received_at, ended_at),
        "time_to_first_token": duration(received_at, first_token_at),
        "target_url": _target_url(exchange),
        "stream": bool(asked.stream),
        # An exchange without an outcome never finished: only a process that is being stopped lets that happen.
        "status": outcome.status if outcome else None,
        "outcome": outcome.kind if outcome else "interrupted",
        "attempt_count": len(exchange.attempts),
        "request_size": _size(exchange.request_capture, asked.body),
        "response_size": exchange.response_capture.size if exchange.response_capture else None,
        **counted,
        **_cost(exchange.cost),
        **_ELSEWHERE,
        **trace_of(exchange.id, asked.headers),
        **noted(notes, helicone.cache.enabled),
    }


def _attempt(received_at: int, organization: str, attempt: Attempt, counted: dict[str, Any]) -> dict[str, Any]:
    error: GatewayError | None = attempt.error
    target, usage = attempt.target, attempt.usage
    row = texts(
        {
            "provider": target.provider,
            "request_model": target.model,
            "model": attempt.model,
            "deployment": target.deployment,
            "error_code": error.code if error else None,
            "error_message": error.message if error else None,
            "service_tier": usage.service_tier if usage else None,
            "provider_request_id": attempt.provider_request_id,
        }
    )
    return {
        **row,
        "organization_id": organization,
        "received_at": received_at,
        "number": attempt.number,
        "status": attempt.status,
        "started_at": milliseconds(attempt.started_at) or 0,
        "first_byte_at": milliseconds(attempt.first_byte_at),
        "ended_at": milliseconds(attempt.ended_at),
        **counted,
        "provider_cost_nano_usd": count(usage.cost) if usage else None,
        **_cost(attempt.cost),
    }


def _properties(said: Mapping[str, str], organization: str, received_at: int) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for key, value in said.items():
        lower = label(key.lower(), KEY_BYTES) or ""
        if lower in rows or len(rows) == MAX_PROPERTIES:
            continue
        whole = text(value, TEXT_BYTES) or ""
        rows[lower] = {
            "key_lower": lower,
            "organization_id": organization,
            "key": label(key, KEY_BYTES),
            "value": whole,
            "value_start": whole if len(whole) <= _SURELY_START else text(whole, VALUE_START_BYTES),
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
    asked_model = label(exchange.original.model)
    return (
        _body(exchange.request_capture, helicone.omit_request, asked_model, exchange.original.headers),
        _body(
            exchange.response_capture,
            helicone.omit_response,
            label(exchange.model) or asked_model,
            response.headers if response is not None else None,
        ),
    )


def _body(capture: Capture | None, omitted: bool, model: str | None, headers: Headers | None) -> RawBody:
    return RawBody(
        data=b"" if omitted or capture is None else capture.data,
        cut=capture is not None and capture.cut,
        omitted=omitted,
        model=model,
        content_type=label(headers.get("content-type"), KEY_BYTES) if headers is not None else None,
        content_encoding=headers.get("content-encoding") if headers is not None else None,
    )


def _cost(cost: Cost | None) -> dict[str, Any]:
    if cost is None:
        return _NO_COST
    return {
        "cost_nano_usd": count(cost.nano_usd),
        "cost_source": label(cost.source) or None,
        "cost_version": label(cost.version) or None,
        "cost_estimated": cost.estimated,
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
