"""OTLP as JSON: ``resourceSpans[].scopeSpans[].spans[]`` (opentelemetry.io, "OTLP/HTTP JSON protobuf encoding")."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

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

_HEX = re.compile(r"[0-9a-fA-F]+")
_ERROR = (2, "STATUS_CODE_ERROR", "2")
_LATEST = 1 << 63


def spans_of(body: Any) -> list[Span]:
    """The spans in a decoded ``ExportTraceServiceRequest``. Raises `Malformed`.

    One without ``resourceSpans`` has none: in protobuf's JSON what is empty may be left out, or be null.
    """
    groups = body.get("resourceSpans") if isinstance(body, dict) else body
    if not isinstance(body, dict) or not isinstance(groups, list | None):
        raise Malformed("The body must be an object with resourceSpans, an array.")
    found: list[Span] = []
    for group in _objects(groups):
        resource = _attributes(_object(group.get("resource")).get("attributes"))
        for scope in _objects(group.get("scopeSpans") or group.get("instrumentationLibrarySpans")):
            for raw in _objects(scope.get("spans")):
                if len(found) == MAX_SPANS:
                    raise too_many()
                found.append(_span(raw, resource))
    return found


def _span(raw: dict[str, Any], resource: dict[str, Any]) -> Span:
    status = _object(raw.get("status"))
    failed = status.get("code") in _ERROR
    started = _nanoseconds(raw.get("startTimeUnixNano")) or 0
    ended = _nanoseconds(raw.get("endTimeUnixNano"))
    return Span(
        trace_id=_id(raw.get("traceId"), 32) or "",
        span_id=_id(raw.get("spanId"), 16) or "",
        parent_span_id=_id(raw.get("parentSpanId"), 16),
        name=_text(raw.get("name")),
        started_at=seconds(started),
        ended_at=seconds(max(started, ended or started)),
        attributes=_attributes(raw.get("attributes")),
        resource=resource,
        events=[_event(each, started) for each in _objects(raw.get("events"))[:MAX_EVENTS]],
        error=_text(status.get("message")) if failed else None,
    )


def _event(raw: dict[str, Any], started: int) -> SpanEvent:
    at = _nanoseconds(raw.get("timeUnixNano"))
    return SpanEvent(_text(raw.get("name")), seconds(started if at is None else at), _attributes(raw.get("attributes")))


def _attributes(raw: Any) -> dict[str, Any]:
    return dict(_pairs(raw, MAX_DEPTH))


def _pairs(raw: Any, depth: int) -> Iterator[tuple[str, Any]]:
    for each in _objects(raw)[:MAX_ATTRIBUTES]:
        key = each.get("key")
        if isinstance(key, str):
            value = _value(each.get("value"), depth)
            if value is not None:
                yield key, value


def _value(raw: Any, depth: int) -> Any:
    """An ``AnyValue`` as a plain value; ``None`` for what says nothing."""
    if not isinstance(raw, dict) or not depth:
        return None
    for name in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
        if name in raw:
            return raw[name] if isinstance(raw[name], str | bool | int | float) else None
    if "intValue" in raw:
        return _integer(raw["intValue"])
    if "arrayValue" in raw:
        return [_value(each, depth - 1) for each in _objects(_object(raw["arrayValue"]).get("values"))]
    if "kvlistValue" in raw:
        return dict(_pairs(_object(raw["kvlistValue"]).get("values"), depth - 1))
    return None


def _integer(value: Any) -> int | None:
    """64-bit integers are strings in this encoding, and some write numbers all the same."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and len(value) <= 20 and value.removeprefix("-").isdecimal():
        return int(value)
    return int(value) if isinstance(value, int | float) and -_LATEST < value < _LATEST else None


def _nanoseconds(value: Any) -> int | None:
    whole = _integer(value)
    return whole if whole is not None and 0 < whole < _LATEST else None


def _id(value: Any, length: int) -> str | None:
    if not isinstance(value, str) or len(value) != length or _HEX.fullmatch(value) is None or not value.strip("0"):
        return None
    return value.lower()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
