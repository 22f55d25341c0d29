"""Trace: where an exchange stands in its client's trace (https://www.w3.org/TR/trace-context)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from helicone_gw import Headers

FIELD = b"traceparent"
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_NONE: dict[str, str | None] = {"trace_id": None, "span_id": None, "parent_span_id": None}


def trace_of(exchange_id: str, headers: Headers) -> dict[str, str | None]:
    """The columns ``trace_id``, ``span_id`` and ``parent_span_id``, in hexadecimal; a malformed field counts as none.

    The exchange's span is the second half of its id, as in the spans that the plugin ``metrics`` exports.
    """
    if FIELD not in headers.first:
        return _NONE
    match = _TRACEPARENT.fullmatch((headers.get("traceparent") or "").strip())
    if match is None or (match[1] == "00" and match[4]):
        return _NONE
    return {"trace_id": match[2], "span_id": exchange_id.replace("-", "")[16:], "parent_span_id": match[3]}
