"""Rendering: errors in the client's dialect, and the outcome headers of every answer."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from helicone_gw.dialects import error_format
from helicone_gw.dialects.base import ErrorFacts
from helicone_gw.dialects.errors import read_refusal
from helicone_gw.errors import GatewayError, TooManyRequests, UpstreamError, UpstreamStatus
from helicone_gw.exchange import Exchange
from helicone_gw.headers import Headers
from helicone_gw.model import Attempt, Response

NOT_THE_CLIENTS_FAULT = frozenset({401, 402, 403, 404})
"""Statuses of a fallback that say something of our configuration, not of the client's request."""

FORWARDED = ("retry-after", "retry-after-ms", "x-request-id", "x-should-retry")
"""Headers of a provider's error that SDKs act on, kept when the body is written anew."""


def error_facts(exchange: Exchange, error: GatewayError) -> ErrorFacts:
    """``error`` as a dialect needs it: what the client is told of it, and the attempts that led there."""
    targets = {attempt.target for attempt in exchange.attempts}
    details, told = error.details, _told(exchange, error)
    if details is None and len(targets) > 1 and _ended_an_attempt(exchange, error):
        details = [_attempt_details(attempt) for attempt in exchange.attempts]
    return ErrorFacts(
        status=told.status,
        type=told.type,
        code=told.code,
        message=_words(told),
        details=details,
        helicone_shape=told.shape == "helicone",
        request_id=exchange.request_id,
    )


def render_error(exchange: Exchange, error: GatewayError, *, same_dialect: bool) -> Response:
    """The answer for ``error``.

    One target that speaks the client's dialect: the provider's own status, headers and bytes. Otherwise the client's
    dialect with every attempt in ``error.details``.
    """
    targets = {attempt.target for attempt in exchange.attempts}
    told = _told(exchange, error)
    headers = {"content-type": "application/json", **told.headers}
    if isinstance(told, UpstreamStatus):
        if same_dialect and len(targets) == 1:
            return told.response
        headers |= {name: value for name in FORWARDED if (value := told.response.headers.get(name)) is not None}
    facts = error_facts(exchange, error)
    return Response(facts.status, Headers(headers), error_format(exchange.original.dialect).body(facts))


def _told(exchange: Exchange, error: GatewayError) -> GatewayError:
    """What the client is told: ``error``, unless that is about a fallback's own credentials or models.

    Then what the primary failed with, its words and its wish to be asked later as well as its status.
    """
    if error.status not in NOT_THE_CLIENTS_FAULT or not _ended_an_attempt(exchange, error):
        return error
    primary = exchange.attempts[0]
    if exchange.attempts[-1].target == primary.target:
        return error
    on_primary = [attempt.error for attempt in exchange.attempts if attempt.target == primary.target and attempt.error]
    return on_primary[-1] if on_primary else error


def _words(error: GatewayError) -> str:
    """An error in words: a provider's own, where it has some."""
    said = read_refusal(error.response.body or b"") if isinstance(error, UpstreamStatus) else None
    return error.message if said is None else said.message


def _ended_an_attempt(exchange: Exchange, error: GatewayError) -> bool:
    """Whether ``error`` is what a provider answered, or what kept the gateway from asking it."""
    return bool(exchange.attempts) and (
        isinstance(error, UpstreamError) or any(each.error is error for each in exchange.attempts)
    )


def _attempt_details(attempt: Attempt) -> dict[str, Any]:
    error = attempt.error
    return {
        "source": str(attempt.target),
        "statusCode": None if error is None else error.status,
        "type": None if error is None else error.code,
        "message": None if error is None else _words(error),
    }


def outcome_headers(
    exchange: Exchange, now: float, attempt: Attempt | None = None, *, unary: bool
) -> list[tuple[bytes, bytes]]:
    """What every answer says of itself: id, status, provider, model, attempts, cost (unary) and overhead.

    ``attempt`` is the one that answered, whose provider may have an id of its own for that.
    """
    attempts = exchange.attempts
    fields: list[tuple[bytes, bytes]] = [
        (b"helicone-id", _header_value(exchange.request_id)),
        (b"helicone-status", b"success" if _answered(exchange.error) else b"failed"),
        (b"helicone-attempts", b"%d" % len(attempts)),
    ]
    if exchange.provider is not None:
        fields.append((b"helicone-provider", _name_value(exchange.provider)))
    model = exchange.model or exchange.request.model
    if model is not None:
        fields.append((b"helicone-model", _name_value(model)))
    if attempt is not None and attempt.provider_request_id is not None:
        fields.append((b"helicone-provider-req-id", _header_value(attempt.provider_request_id)))
    if unary and exchange.cost is not None:
        fields.append((b"helicone-cost", nano_dollars(exchange.cost.nano_usd).encode()))
        if exchange.cost.estimated:
            fields.append((b"helicone-cost-estimated", b"true"))
    overhead = now - exchange.received_at
    for attempt in attempts:
        overhead -= (attempt.ended_at or now) - attempt.started_at
    fields.append((b"helicone-overhead-ms", b"%.2f" % (max(0.0, overhead) * 1000)))
    if exchange.request.helicone.warnings:
        fields += [(b"helicone-warning", _header_value(warning)) for warning in exchange.request.helicone.warnings]
    if exchange.headers:
        fields += map(_said_field, exchange.headers.items())
    return fields


def _answered(error: GatewayError | None) -> bool:
    # Helicone says "success" whenever a provider, a cache or a limit answered, whatever the HTTP status.
    return error is None or isinstance(error, (UpstreamStatus, TooManyRequests))


def nano_dollars(amount: int) -> str:
    """Nano-dollars as a decimal number of dollars without trailing zeros.

    >>> nano_dollars(1_500)
    '0.0000015'
    """
    text = f"{amount // 1_000_000_000}.{amount % 1_000_000_000:09d}".rstrip("0")
    return text.removesuffix(".")


def _header_value(value: str) -> bytes:
    # Model names and ids come from clients and providers: nothing of theirs may end a header line (RFC 9110 5.5).
    if value.isascii() and value.isprintable():
        return value.encode("ascii")
    clean = "".join(character if character.isprintable() else " " for character in value)
    return clean.encode("latin-1", "replace")


_name_value = lru_cache(maxsize=256)(_header_value)
"""The same for names, which come again and again."""


@lru_cache(maxsize=256)
def _said_field(said: tuple[str, str]) -> tuple[bytes, bytes]:
    """The field of a header that a plugin added; what plugins say of an answer, they say of many."""
    name, value = said
    return name.lower().encode("latin-1"), _header_value(value)
