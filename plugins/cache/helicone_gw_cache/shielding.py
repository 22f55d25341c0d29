"""Shielding: the failures after which an answer past its lifetime is better than none (RFC 5861 section 4)."""

from __future__ import annotations

from helicone_gw import DeadlineExceeded, GatewayError, UpstreamError

_STATUSES = frozenset({408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})


def shielded(error: GatewayError) -> bool:
    """Whether ``error`` is a provider's trouble, and neither the request's fault nor a refusal of ours."""
    return isinstance(error, DeadlineExceeded) or (isinstance(error, UpstreamError) and error.status in _STATUSES)
