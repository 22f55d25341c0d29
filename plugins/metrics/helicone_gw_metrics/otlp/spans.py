"""Spans: an exchange and its attempts, in the words of OpenTelemetry's semantic conventions for generative AI.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans: the gateway's span is a server's, each call of a
provider a client's below it. What the conventions have no word for is named ``helicone.*``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from helicone_gw_metrics.otlp.context import attempt_span_id
from helicone_gw_metrics.otlp.facts import AttemptFacts, ExchangeFacts

OPERATIONS: Final = {
    "chat": "chat",
    "messages": "chat",
    "responses": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "generate_content": "generate_content",
    "stream_generate_content": "generate_content",
}
"""The gateway's operations that the conventions have a name for; the others keep theirs."""

PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""Providers whose name in the conventions is another than in the gateway."""

SCOPE = InstrumentationScope("helicone_gw_metrics")


def spans(facts: ExchangeFacts, resource: Resource) -> Iterator[ReadableSpan]:
    """The spans of an exchange, its own first."""
    trace_id, parent_id = facts.context.trace_id, facts.context.parent_id
    root = _context(trace_id, facts.context.span_id)
    yield ReadableSpan(
        name=_name(facts.operation, facts.model),
        context=root,
        parent=_context(trace_id, parent_id, remote=True) if parent_id else None,
        resource=resource,
        attributes=_of_exchange(facts),
        kind=SpanKind.SERVER,
        status=_status(facts.outcome == "ok", facts.code or facts.outcome),
        start_time=_nanoseconds(facts.received_at),
        end_time=_nanoseconds(max(facts.received_at, facts.ended_at)),
        instrumentation_scope=SCOPE,
    )
    for attempt in facts.attempts:
        yield ReadableSpan(
            name=_name(facts.operation, attempt.model),
            context=_context(trace_id, attempt_span_id(facts.context, attempt.number)),
            parent=root,
            resource=resource,
            attributes=_of_attempt(attempt, facts.operation),
            kind=SpanKind.CLIENT,
            status=_status(attempt.code is None, attempt.code or ""),
            start_time=_nanoseconds(attempt.started_at),
            end_time=_nanoseconds(max(attempt.started_at, attempt.ended_at)),
            instrumentation_scope=SCOPE,
        )


def operation_name(operation: str) -> str:
    """What the conventions call an operation of the gateway."""
    return OPERATIONS.get(operation, operation)


def provider_name(provider: str) -> str:
    """What the conventions call a provider of the gateway."""
    return PROVIDERS.get(provider, provider)


def _of_exchange(facts: ExchangeFacts) -> dict[str, Any]:
    first = None if facts.first_token_at is None else facts.first_token_at - facts.received_at
    return _known(
        {
            "gen_ai.operation.name": operation_name(facts.operation),
            "gen_ai.provider.name": None if facts.provider is None else provider_name(facts.provider),
            "gen_ai.request.model": facts.model,
            "gen_ai.response.model": facts.answered_model,
            "gen_ai.response.finish_reasons": None if facts.stop_reason is None else (facts.stop_reason,),
            "gen_ai.conversation.id": facts.session,
            "error.type": None if facts.outcome == "ok" else facts.code or facts.outcome,
            "http.response.status_code": facts.status,
            "enduser.id": facts.user,
            "helicone.request_id": facts.request_id,
            "helicone.organization": facts.organization,
            "helicone.outcome": facts.outcome,
            "helicone.dialect": facts.dialect,
            "helicone.stream": facts.stream,
            "helicone.session.path": facts.session_path,
            "helicone.cache": facts.cache,
            "helicone.attempts": len(facts.attempts),
            "helicone.cost_usd": None if facts.cost is None else facts.cost / 1_000_000_000,
            "helicone.time_to_first_token": None if first is None else max(0.0, first),
            **_tokens(facts.usage),
        }
    )


def _of_attempt(attempt: AttemptFacts, operation: str) -> dict[str, Any]:
    return _known(
        {
            "gen_ai.operation.name": operation_name(operation),
            "gen_ai.provider.name": provider_name(attempt.provider),
            "gen_ai.request.model": attempt.model,
            "gen_ai.response.model": attempt.answered_model,
            "error.type": attempt.code,
            "http.response.status_code": attempt.status,
            "helicone.attempt": attempt.number,
            "helicone.provider_request_id": attempt.request_id,
            **_tokens(attempt.usage),
        }
    )


def _tokens(usage: Any) -> dict[str, Any]:
    if usage is None:
        return {}
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "helicone.usage.reasoning_tokens": usage.reasoning_tokens,
        "helicone.usage.estimated": usage.estimated or None,
    }


def _known(attributes: dict[str, Any]) -> dict[str, Any]:
    """What is known of ``attributes``, as text that can be sent."""
    return {name: _sendable(value) for name, value in attributes.items() if value is not None}


def _sendable(value: Any) -> Any:
    # A lone surrogate cannot be written as UTF-8.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value


def _name(operation: str, model: str | None) -> str:
    name = operation_name(operation)
    return name if model is None else _sendable(f"{name} {model}")


def _context(trace_id: int, span_id: int, *, remote: bool = False) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=remote, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _status(ok: bool, description: str) -> Status:
    return Status(StatusCode.UNSET) if ok else Status(StatusCode.ERROR, description)


def _nanoseconds(seconds: float) -> int:
    return max(0, round(seconds * 1_000_000_000))
