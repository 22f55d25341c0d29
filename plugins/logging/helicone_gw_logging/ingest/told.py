"""Told: what a client or a trace says of an exchange that did not go through the gateway, and its record."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from helicone_gw import (
    Attempt,
    Capture,
    Cost,
    Exchange,
    GatewayKey,
    Headers,
    HeliconeHeaders,
    Outcome,
    Prices,
    Request,
    Response,
    Target,
    UpstreamError,
    Usage,
    new_id,
)
from helicone_gw_logging.record import LogRecord, record

CUSTOM = "custom"
"""Provider and dialect of what nobody knows by name."""
EVENT = "helicone"
"""Dialect of events that are no exchange with a model: tools, vector databases, data, spans that hold others."""
UNKNOWN_PATH = "async-unknown-path"
"""Path of an exchange whose address was not told."""

_PRICED_AS = {"openai": "openai", "anthropic": "anthropic", "gemini": "gemini"}
_NOT_BILLED = Cost(0, source="no charge")
"""What the core says of an attempt that a provider refused."""
_STATUS_CANCELLED, _STATUS_TIMEOUT, _STATUS_THREAT = -3, -2, -4

_COARSE = 1.0
"""Seconds by which times may contradict each other: some clients round them to whole ones."""

Source = Literal["async", "trace"]


class Told(Struct, frozen=True):
    """One exchange as it was told. Times are epoch seconds.

    ``provider`` is the name to record, ``dialect`` and ``operation`` say how the bodies read ("custom" where nobody
    knows). ``status`` is the provider's, or one of Helicone's own below zero (-2 timeout, -3 the client left, -4 a
    threat); ``error`` is what went wrong, ``None`` where nothing did. ``secrets`` are credentials that came along, to
    be taken out wherever they were repeated. ``cost`` is a figure that came along, in nano-dollars. ``notes`` are what
    plugins would have noted, had it gone through.
    """

    source: Source
    provider: str
    dialect: str
    operation: str
    started_at: float
    ended_at: float
    helicone: HeliconeHeaders
    request: bytes = b""
    response: bytes = b""
    request_type: str = "application/json"
    response_type: str = "application/json"
    path: str = UNKNOWN_PATH
    url: str | None = None
    asked_model: str | None = None
    model: str | None = None
    stream: bool = False
    user: str | None = None
    status: int | None = 200
    error: str | None = None
    first_token_at: float | None = None
    usage: Usage | None = None
    stop_reason: str | None = None
    provider_request_id: str | None = None
    cost: int | None = None
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    country_code: str | None = None
    secrets: tuple[str, ...] = ()
    notes: Mapping[str, Any] = {}


def record_of(told: Told, key: GatewayKey | None, prices: Prices, *, max_body: int, bodies: bool) -> LogRecord:
    """The record of ``told``, which whoever holds ``key`` told of. Never raises for odd values.

    ``max_body`` is how much of each body is kept (bytes), ``bodies`` whether any is.
    """
    exchange = exchange_of(told, key, prices, max_body=max_body)
    made = record(exchange, bodies=bodies)
    said = {
        "source": told.source,
        "trace_id": told.trace_id,
        "span_id": told.span_id,
        "parent_span_id": told.parent_span_id,
        "country_code": told.country_code,
    }
    return replace(made, facts=replace(made.facts, known=made.facts.changed(said)))


def identifier(told: Told, organization: str) -> str:
    """The id of its row. A span's is always the same: exporters send again what they have no answer for.

    It is a UUID of version 8 (RFC 9562 section 5.8), which begins with the milliseconds of its start as all ids do.
    """
    if told.source != "trace" or not told.trace_id or not told.span_id:
        return new_id()
    names = "\0".join((organization, told.trace_id, told.span_id))
    hashed = int.from_bytes(sha256(names.encode("utf-8", "replace")).digest()[:10], "big")
    milliseconds = max(0, int(told.started_at * 1000)) % (1 << 48)
    version, variant = 0x8 << 76, 0b10 << 62
    return str(UUID(int=milliseconds << 80 | version | variant | hashed & ~(0xF << 76) & ~(0b11 << 62)))


def exchange_of(told: Told, key: GatewayKey | None, prices: Prices, *, max_body: int) -> Exchange:
    """The exchange as the core would have left it, had it gone through."""
    request = Request(
        method="POST",
        path=told.path,
        query="",
        headers=Headers([(b"content-type", told.request_type.encode("latin-1", "replace"))]),
        body=told.request,
        dialect=told.dialect,
        operation=told.operation,
        helicone=told.helicone,
        model=told.asked_model,
        stream=told.stream,
        provider=told.provider,
        user=told.helicone.user_id or told.user,
    )
    exchange = Exchange(identifier(told, "" if key is None else key.organization), request, told.started_at)
    if key is not None:
        exchange.key, exchange.organization = key, key.organization
    exchange.secrets = told.secrets
    exchange.annotate_all(told.notes)
    target, first = Target(told.provider, told.asked_model, base_url=told.url), _first_token(told)
    attempt = Attempt(1, target, told.started_at, first, told.ended_at, _http_status(told.status))
    attempt.model, attempt.url = told.model or told.asked_model, told.url
    attempt.usage, attempt.provider_request_id = told.usage, told.provider_request_id
    attempt.cost = _cost(told, prices)
    kind = _kind(told)
    if kind == "upstream_error":
        attempt.error = UpstreamError(_message(told), target=target, code="upstream_status")
    exchange.attempts = [attempt]
    exchange.provider, exchange.model = told.provider, attempt.model
    exchange.usage, exchange.cost, exchange.error = told.usage, attempt.cost, attempt.error
    exchange.stop_reason = told.stop_reason
    exchange.first_byte_at = exchange.first_chunk_at = first
    exchange.ended_at = told.ended_at
    headers = Headers([(b"content-type", told.response_type.encode("latin-1", "replace"))])
    exchange.response = Response(_http_status(told.status) or 200, headers, b"")
    exchange.request_capture = _captured(told.request, max_body)
    exchange.response_capture = _captured(told.response, max_body)
    exchange.outcome = Outcome(kind, _http_status(told.status), len(told.response))
    return exchange


def _first_token(told: Told) -> float | None:
    """When the first token came, unless that was before the start or after the end: then the client told a time in
    place of a duration, or in another unit, and years of waiting would be in everybody's averages."""
    first = told.first_token_at
    return first if first is not None and told.started_at <= first <= told.ended_at + _COARSE else None


def _captured(body: bytes, most: int) -> Capture:
    return Capture(body[:most], len(body) > most, len(body))


def _http_status(status: int | None) -> int | None:
    return status if status is not None and 100 <= status <= 599 else None


def _kind(told: Told) -> Literal["ok", "upstream_error", "client_disconnected", "timeout", "refused"]:
    if told.status == _STATUS_CANCELLED:
        return "client_disconnected"
    if told.status == _STATUS_TIMEOUT:
        return "timeout"
    if told.status == _STATUS_THREAT:
        return "refused"
    good = told.status is not None and 100 <= told.status < 400
    return "ok" if good and told.error is None else "upstream_error"


def _message(told: Told) -> str:
    return told.error or f"The provider answered {told.status}."


def _cost(told: Told, prices: Prices) -> Cost | None:
    if told.cost is not None:
        return Cost(told.cost, source="cache" if told.notes.get("cache.status") == "hit" else "provider")
    if told.usage is None:
        return _NOT_BILLED if _refused(told) else None
    # A client that says no provider tells of a model of its dialect's own, as far as there is a price under that name.
    provider = _PRICED_AS.get(told.dialect, told.provider) if told.provider == CUSTOM else told.provider
    override = told.helicone.model_override
    if override is not None:
        return prices.cost(provider, override, told.usage)
    return prices.cost(provider, told.model or told.asked_model, told.usage, asked=told.asked_model)


def _refused(told: Told) -> bool:
    """Whether the provider answered with an error in place of a reply.

    Text, or the beginning of a stream, may be what a program made of an exception; so may the 500 of a span.
    """
    status = _http_status(told.status)
    if status is None or status < 400 or told.dialect == EVENT:
        return False
    return status != 500 if told.source == "trace" else told.response_type == "application/json"
