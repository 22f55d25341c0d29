"""Signatures of webhooks, as Helicone makes them, and which requests are sampled."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

SIGNATURE: Final = "helicone-signature"


def signature(key: str, body: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) of ``body`` with the UTF-8 text of ``key``, as lower-case hex.

    >>> signature("secret", b"{}")[:16]
    '77325902caca812d'
    """
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def sampled(rate: float, target: str, request: str) -> bool:
    """Whether ``request`` is among the ``rate`` per cent that ``target`` gets: always the same answer for the same ids.

    >>> sampled(100, "w", "r"), sampled(0, "w", "r")
    (True, False)
    """
    digest = hashlib.sha256(f"{target}:{request}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < rate / 100 * 2**64
