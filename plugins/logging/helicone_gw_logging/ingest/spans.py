"""Spans: what OpenTelemetry's trace protocol (OTLP 1.x) carries, as plain values, whatever its encoding was."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

MAX_SPANS = 2_000
"""Spans of one call; a call with more is refused as a whole. Exporters send 512 at most."""
MAX_ATTRIBUTES = 2_000
"""Attributes of one span that are read; what comes behind is left out."""
MAX_DEPTH = 16
"""Lists and maps inside one another in an attribute; what is deeper is left out."""
MAX_EVENTS = 1_000
"""Events of one span that are read."""
_NANOSECONDS = 1_000_000_000


class SpanEvent(Struct, frozen=True):
    """Something that happened within a span; ``at`` in epoch seconds."""

    name: str
    at: float
    attributes: dict[str, Any]


class Span(Struct, frozen=True):
    """One span. Ids are hex, times epoch seconds (a start of 0: the span does not say); ``error`` is the status message
    of a span that failed ("": none)."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    started_at: float
    ended_at: float
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[SpanEvent] = []
    error: str | None = None


class Malformed(ValueError):
    """The call is not OTLP, or has more spans than one call may."""


def too_many() -> Malformed:
    """More than `MAX_SPANS`."""
    return Malformed(f"One call may have up to {MAX_SPANS} spans.")


def seconds(nanoseconds: int) -> float:
    """Epoch seconds of OTLP's ``fixed64`` nanoseconds."""
    return nanoseconds / _NANOSECONDS
