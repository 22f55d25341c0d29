"""OTLP as protobuf: ``TracesData``, which on the wire is the same as ``ExportTraceServiceRequest``.

Imported only where a call brings protobuf: it needs ``opentelemetry-proto``, the extra ``otlp`` of this plugin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from helicone_gw_logging.ingest.spans import (
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_EVENTS,
    MAX_SPANS,
    Malformed,
    Span,
    SpanEvent,
    seconds,
    too_many,
)

_ERROR = 2


def spans_of(body: bytes) -> list[Span]:
    """The spans in an encoded request. Raises `Malformed`."""
    message = ExportTraceServiceRequest()
    try:
        message.ParseFromString(body)
    except (DecodeError, RecursionError):
        raise Malformed("The body is not OTLP in protobuf.") from None
    found: list[Span] = []
    for group in message.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_spans:
            for raw in scope.spans:
                if len(found) == MAX_SPANS:
                    raise too_many()
                found.append(_span(raw, resource))
    return found


def answer(rejected: int, why: str) -> bytes:
    """An encoded answer; one that says nothing has no bytes."""
    made = ExportTraceServiceResponse()
    if rejected:
        made.partial_success.rejected_spans = rejected
        made.partial_success.error_message = why
    encoded: bytes = made.SerializeToString()
    return encoded


def _span(raw: Any, resource: dict[str, Any]) -> Span:
    started: int = raw.start_time_unix_nano
    return Span(
        trace_id=_id(raw.trace_id, 16) or "",
        span_id=_id(raw.span_id, 8) or "",
        parent_span_id=_id(raw.parent_span_id, 8),
        name=raw.name,
        started_at=seconds(started),
        ended_at=seconds(max(started, raw.end_time_unix_nano)),
        attributes=_attributes(raw.attributes),
        resource=resource,
        events=[
            SpanEvent(each.name, seconds(each.time_unix_nano or started), _attributes(each.attributes))
            for each in raw.events[:MAX_EVENTS]
        ],
        error=raw.status.message if raw.status.code == _ERROR else None,
    )


def _id(value: bytes, length: int) -> str | None:
    # One of nothing but zeros is none: whatever has it would be one trace.
    return value.hex() if len(value) == length and any(value) else None


def _attributes(raw: Iterable[Any], depth: int = MAX_DEPTH) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in raw:
        if len(found) == MAX_ATTRIBUTES:
            break
        value = _value(each.value, depth)
        if value is not None:
            found[each.key] = value
    return found


def _value(raw: Any, depth: int) -> Any:
    """An ``AnyValue`` as a plain value; ``None`` for what says nothing."""
    kind = raw.WhichOneof("value")
    if kind is None or not depth:
        return None
    if kind == "array_value":
        return [_value(each, depth - 1) for each in raw.array_value.values]
    if kind == "kvlist_value":
        return _attributes(raw.kvlist_value.values, depth - 1)
    if kind == "bytes_value":
        return raw.bytes_value.hex()
    return getattr(raw, kind)
