"""Trace context: which trace an exchange belongs to, taken in and passed on (https://www.w3.org/TR/trace-context).

Ids are made of the exchange's own, so that nothing has to be remembered between its beginning and its end, and that
``Helicone-Id`` leads to the trace of an exchange whose client brought none.
"""

from __future__ import annotations

import hashlib
import re

from msgspec import Struct

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_ALL = 1 << 64


class TraceContext(Struct, frozen=True):
    """The trace of an exchange, its span there, and the client's span above it (0: there is none)."""

    trace_id: int
    span_id: int
    parent_id: int = 0
    sampled: bool = True

    @property
    def traceparent(self) -> str:
        """The field that says all that to whoever is called next."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{'01' if self.sampled else '00'}"


def context_of(exchange_id: str, traceparent: str | None, share: float) -> TraceContext:
    """The context of an exchange. ``traceparent`` is the client's field; one that is malformed counts as none.

    The client decides whether its traces are kept; of the others a ``share`` (0 to 1) is, chosen by the trace's id.
    """
    own = int(exchange_id.replace("-", ""), 16)
    span_id = (own % _ALL) or 1
    brought = parse(traceparent)
    if brought is None:
        return TraceContext(own, span_id, 0, own % _ALL < share * _ALL)
    trace_id, parent_id, sampled = brought
    return TraceContext(trace_id, span_id, parent_id, sampled)


def parse(traceparent: str | None) -> tuple[int, int, bool] | None:
    """Trace, span and whether it is kept; ``None`` for what is no traceparent.

    >>> parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    (14571139014268439519012428461283504540, 13235353014750950193, True)
    """
    match = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent.strip())
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    trace_id, span_id = int(match[2], 16), int(match[3], 16)
    return (trace_id, span_id, bool(int(match[4], 16) & 1)) if trace_id and span_id else None


def attempt_span_id(context: TraceContext, number: int) -> int:
    """The id of the span of an exchange's attempt."""
    digest = hashlib.blake2b(b"%d %d %d" % (context.trace_id, context.span_id, number), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1
