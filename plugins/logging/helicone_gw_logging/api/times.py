"""Times in bodies: from when to when, as Helicone's clients write it."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from helicone_gw_logging.api.routes import Refused
from helicone_gw_logging.query.spans import Span


class TimeFilter(Struct, frozen=True, forbid_unknown_fields=True):
    """From ``start`` (inclusive) to ``end`` (exclusive): ISO 8601, in UTC unless they say otherwise."""

    start: str
    end: str

    def span(self) -> Span:
        """As a span. Raises `Refused` for what is no time, and for an end before its start."""
        start, end = moment("timeFilter.start", self.start), moment("timeFilter.end", self.end)
        if end < start:
            raise Refused(400, "timeFilter: the end is before the start.")
        return Span(start, end)


def moment(name: str, text: str) -> int:
    """Epoch milliseconds of an ISO 8601 date or time. Raises `Refused`, saying that it is ``name``."""
    try:
        found = datetime.fromisoformat(text.strip())
        at = round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Refused(400, f"{name}: {text[:100]!r} is not an ISO 8601 time.") from None
    return at
