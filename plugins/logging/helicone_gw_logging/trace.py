"""Trace: where an exchange stands in its client's trace (https://www.w3.org/TR/trace-context)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from helicone_gw import Headers

FIELD = b"traceparent"
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
TRACED = ("trace_id", "span_id", "parent_span_id")
"""Columns."""
_NONE = (None, None, None)


def trace_of(exchange_id: str, headers: Headers) -> tuple[str | None, str | None, str | None]:
    """Values of `TRACED`, in hexadecimal; a malformed field counts as none.

    The exchange's span is the second half of its id, as in the spans that the plugin ``metrics`` exports.
    """
    if FIELD not in headers.first:
        return _NONE
    match = _TRACEPARENT.fullmatch((headers.get("traceparent") or "").strip())
    if match is None or (match[1] == "00" and match[4]):
        return _NONE
    return match[2], exchange_id.replace("-", "")[16:], match[3]
