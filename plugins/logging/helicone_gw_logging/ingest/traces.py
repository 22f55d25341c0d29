"""Traces: spans as exchanges that were told, so that a trace becomes a session and its spans the session's tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from helicone_gw import Headers, parse_helicone_headers
from helicone_gw_logging.ingest import conventions
from helicone_gw_logging.ingest.chunks import as_json
from helicone_gw_logging.ingest.conventions import EMBEDDING, LLM, TOOL, VECTOR_DB
from helicone_gw_logging.ingest.conversation import messages, with_content
from helicone_gw_logging.ingest.helicone_log import Catalogue, provider_name
from helicone_gw_logging.ingest.spans import Span
from helicone_gw_logging.ingest.told import CUSTOM, EVENT, Told
from helicone_gw_logging.query.tree import ABOVE

ById = Mapping[tuple[str, str], Span]
"""Spans by trace and id."""

_MAX_LEVELS = 32
_PATH_FIELD = "helicone-session-path"
_PATH = "/v1/trace/log"
_FIRST_TOKEN = frozenset(
    {"llm.content.completion.chunk", "gen_ai.content.completion.chunk", "First Token Stream Event", "first_token"}
)
_PROVIDERS = {
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "gcp.vertex_ai": "vertex",
    "vertexai": "vertex",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "aws.bedrock": "bedrock",
    "mistral_ai": "mistral",
    "x_ai": "xai",
}
"""Names of providers in OpenTelemetry's conventions that are no name of the catalogue's."""


def told_of_spans(
    spans: Sequence[Span], headers: Headers, catalogue: Catalogue, secrets: tuple[str, ...] = ()
) -> Iterator[Told]:
    """Each of ``spans`` as an exchange. ``headers`` are the call's; ``secrets`` credentials that came with it.

    The session is the trace unless the program named one; its path is made of the names from the root down, as far as
    the call, or OpenLLMetry's own attributes, say them. A span ends, and is sent, before the one it is part of: which
    one that is is noted where the call does not bring it, so that the tree can be put together later.
    """
    by_id = {(span.trace_id, span.span_id): span for span in spans if span.span_id}
    for span in spans:
        yield _told(span, by_id, headers, catalogue, secrets)


def _told(span: Span, by_id: ById, headers: Headers, catalogue: Catalogue, secrets: tuple[str, ...]) -> Told:
    attributes = with_content(span.attributes, span.events)
    kind = conventions.kind(attributes)
    model_call = kind in (LLM, EMBEDDING)
    asked = conventions.text(attributes, "request_model") if model_call else None
    usage = conventions.usage(attributes) if model_call else None
    reason = conventions.finish_reason(attributes)
    request, response = _bodies(kind, span, attributes, asked)
    if usage is not None:
        response["usage"] = {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
        }
    if reason is None and model_call:
        reason = next((one["finish_reason"] for one in response.get("choices", ()) if one.get("finish_reason")), None)
    names, above = _path(span, by_id)
    said = conventions.associated(attributes)
    if headers.get(_PATH_FIELD) is not None or any(name.lower() == _PATH_FIELD for name in said):
        above = None
    first = next((event.at for event in span.events if event.name in _FIRST_TOKEN), None)
    status = 200 if span.error is None else _status(attributes)
    return Told(
        source="trace",
        provider=_provider(attributes, catalogue) if model_call else CUSTOM,
        dialect="openai" if model_call else EVENT,
        operation=kind,
        started_at=span.started_at,
        ended_at=span.ended_at,
        helicone=parse_helicone_headers(headers, _metadata(span, names, attributes, said)),
        request=msgspec.json.encode(request),
        response=msgspec.json.encode(response),
        path=_PATH,
        asked_model=asked,
        model=conventions.text(attributes, "response_model") if model_call else _name(kind, span, attributes),
        stream=conventions.first(attributes, "stream") is True or first is not None,
        user=conventions.text(attributes, "user"),
        status=status,
        error=None if span.error is None else span.error or "The span ended with an error.",
        first_token_at=first,
        usage=usage,
        stop_reason=reason if model_call else None,
        trace_id=span.trace_id or None,
        span_id=span.span_id or None,
        parent_span_id=span.parent_span_id,
        secrets=secrets,
        notes={} if above is None else {ABOVE: above},
    )


def _bodies(
    kind: str, span: Span, attributes: Mapping[str, Any], model: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    given, made = _value(attributes, "input"), _value(attributes, "output")
    if kind == EMBEDDING:
        return {"model": model, "input": given}, {"model": conventions.text(attributes, "response_model")}
    if kind == LLM:
        asked = messages(attributes, span.events, "input")
        answered = messages(attributes, span.events, "output")
        request = {"model": model, "messages": asked or _as_message("user", given)}
        choices = [
            {
                "index": number,
                "message": {name: value for name, value in message.items() if name != "finish_reason"},
                "finish_reason": message.get("finish_reason"),
            }
            for number, message in enumerate(answered or _as_message("assistant", made))
        ]
        response = {
            "id": conventions.text(attributes, "response_id"),
            "object": "chat.completion",
            "model": conventions.text(attributes, "response_model"),
            "choices": choices,
        }
        return {**request, **conventions.parameters(attributes)}, response
    described = {"_type": kind, "name": span.name, "input": given}
    if kind == TOOL:
        described["toolName"] = _tool(span, attributes)
    return described, {"_type": kind, "output": made}


def _as_message(role: str, value: Any) -> list[dict[str, Any]]:
    return [] if value is None else [{"role": role, "content": value}]


def _value(attributes: Mapping[str, Any], meaning: str) -> Any:
    value = conventions.first(attributes, meaning)
    decoded = as_json(value) if isinstance(value, str) and value[:1] in ("{", "[") else None
    return value if decoded is None else decoded


def _name(kind: str, span: Span, attributes: Mapping[str, Any]) -> str | None:
    """What stands for a model in the rows of what is none (contract 10.4)."""
    if kind == TOOL:
        return f"tool:{_tool(span, attributes)}"
    return "vector_db" if kind == VECTOR_DB else None


def _tool(span: Span, attributes: Mapping[str, Any]) -> str:
    return conventions.text(attributes, "tool_name") or span.name


def _provider(attributes: Mapping[str, Any], catalogue: Catalogue) -> str:
    said = conventions.text(attributes, "provider")
    if said is not None:
        lower = said.strip().lower()
        return _PROVIDERS.get(lower) or provider_name(lower, catalogue)
    address = conventions.text(attributes, "address")
    if address is not None:
        known = catalogue.provider_for_url(address if "://" in address else f"https://{address}/")
        if known is not None:
            return known.name
    return CUSTOM


def _status(attributes: Mapping[str, Any]) -> int:
    status = conventions.first(attributes, "http_status")
    return status if isinstance(status, int) and 400 <= status <= 599 else 500


def _metadata(span: Span, names: list[str], attributes: Mapping[str, Any], said: Mapping[str, str]) -> dict[str, str]:
    """What the span says in the way of ``Helicone-*`` headers; what its program ``said`` itself wins."""
    found = {
        "Helicone-Session-Id": conventions.text(attributes, "session_id") or span.trace_id,
        "Helicone-Session-Name": conventions.text(attributes, "session_name") or _service(span),
        "Helicone-Session-Path": "/" + "/".join(names),
        "Helicone-User-Id": conventions.text(attributes, "user"),
    }
    named = {name.lower() for name in said}
    return {**said, **{header: value for header, value in found.items() if value and header.lower() not in named}}


def _path(span: Span, by_id: ById) -> tuple[list[str], str | None]:
    """Names from the root of the trace down to ``span``; and where that is not known, the id of the span above them."""
    workflow = span.attributes.get("traceloop.workflow.name")
    if isinstance(workflow, str) and workflow:
        if span.attributes.get("traceloop.span.kind") == "workflow":
            return [_segment(span)], None
        between = span.attributes.get("traceloop.entity.path")
        steps = between.split(".")[:_MAX_LEVELS] if isinstance(between, str) and between else []
        return [*map(_plain, (workflow, *steps)), _segment(span)], None
    chain, above = [span], span.parent_span_id
    while above is not None and len(chain) < _MAX_LEVELS:
        parent = by_id.get((span.trace_id, above))
        if parent is None:
            break
        if any(parent is each for each in chain):
            above = None
            break
        chain.append(parent)
        above = parent.parent_span_id
    return [_segment(each) for each in reversed(chain)], above


def _service(span: Span) -> str | None:
    """The program's own name: the same in every span of a session, unlike a root that may come in another call."""
    name = span.resource.get("service.name")
    return name if isinstance(name, str) and not name.startswith("unknown_service") else None


def _segment(span: Span) -> str:
    entity = span.attributes.get("traceloop.entity.name")
    return _plain(entity if isinstance(entity, str) and entity else span.name)


def _plain(name: str) -> str:
    """A name as one segment of a path."""
    return name.replace("/", "_").strip() or "span"
