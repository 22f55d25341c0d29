"""Facts: what a span needs of a finished exchange. It runs on the client's path, and keeps nothing of the exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from helicone_gw_metrics.otlp.context import TraceContext

if TYPE_CHECKING:
    from helicone_gw import Attempt, Exchange, Usage

LONGEST = 1024
"""Characters of a name or id that are kept."""


class AttemptFacts(Struct, frozen=True):
    """One call of a provider. Times are epoch seconds."""

    number: int
    provider: str
    model: str | None
    answered_model: str | None
    started_at: float
    ended_at: float
    status: int | None
    code: str | None
    usage: Usage | None
    request_id: str | None


class ExchangeFacts(Struct, frozen=True):
    """One exchange. Times are epoch seconds, money is nano-dollars."""

    context: TraceContext
    request_id: str
    organization: str
    received_at: float
    first_token_at: float | None
    ended_at: float
    operation: str
    dialect: str
    stream: bool
    model: str | None
    answered_model: str | None
    provider: str | None
    status: int | None
    outcome: str
    code: str | None
    stop_reason: str | None
    usage: Usage | None
    cost: int | None
    user: str | None
    session: str | None
    session_path: str | None
    cache: str | None
    attempts: tuple[AttemptFacts, ...]


def facts_of(exchange: Exchange, context: TraceContext) -> ExchangeFacts:
    """The facts of a finished exchange."""
    request, helicone, outcome = exchange.original, exchange.request.helicone, exchange.outcome
    assert outcome is not None
    ended = exchange.ended_at or exchange.received_at
    cache = exchange.annotations.get("cache.status")
    return ExchangeFacts(
        context=context,
        request_id=_cut(exchange.request_id) or "",
        organization=exchange.organization,
        received_at=exchange.received_at,
        first_token_at=exchange.first_chunk_at if request.stream else None,
        ended_at=ended,
        operation=request.operation,
        dialect=request.dialect,
        stream=request.stream,
        model=_cut(request.model),
        answered_model=_cut(exchange.model),
        provider=exchange.provider,
        status=outcome.status,
        outcome=outcome.kind,
        code=outcome.code,
        stop_reason=_cut(exchange.stop_reason),
        usage=exchange.usage,
        cost=None if exchange.cost is None else exchange.cost.nano_usd,
        user=_cut(helicone.user_id or request.user),
        session=_cut(helicone.session_id),
        session_path=_cut(helicone.session_path),
        cache=cache if isinstance(cache, str) else None,
        attempts=tuple([_attempt(attempt, ended) for attempt in exchange.attempts]),
    )


def _attempt(attempt: Attempt, ended: float) -> AttemptFacts:
    return AttemptFacts(
        attempt.number,
        attempt.target.provider,
        _cut(attempt.target.model),
        _cut(attempt.model),
        attempt.started_at,
        attempt.ended_at or ended,
        attempt.status,
        None if attempt.error is None else attempt.error.code,
        attempt.usage,
        _cut(attempt.provider_request_id),
    )


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= LONGEST else text[:LONGEST]
