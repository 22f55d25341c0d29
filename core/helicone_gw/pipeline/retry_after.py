"""When a provider wants to be asked again: ``Retry-After`` (RFC 9110 10.2.3) and ``retry-after-ms`` (OpenAI, Azure)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from helicone_gw.headers import Headers


def retry_after(headers: Headers, now: float) -> float | None:
    """Seconds to wait from ``now`` (epoch seconds), never negative; ``None`` when the provider did not say."""
    milliseconds = headers.get("retry-after-ms")
    if milliseconds is not None:
        try:
            return max(0.0, float(milliseconds) / 1000)
        except ValueError:
            pass
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None
