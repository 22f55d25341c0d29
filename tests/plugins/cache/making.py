"""Entries for the tests of the cache's backends."""

from __future__ import annotations

from typing import Any

from helicone_gw import Usage
from helicone_gw.testing.clock import EPOCH
from helicone_gw_cache.entry import Entry


def an_entry(key: str = "k", **fields: Any) -> Entry:
    """An entry stored at the epoch of the virtual clock, fresh for a minute and kept for two."""
    given: dict[str, Any] = {
        "status": 200,
        "headers": ((b"content-type", b"application/json"),),
        "frames": (b'{"answer": "Hello!"}',),
        "dialect": "openai",
        "operation": "chat",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "stop_reason": "stop",
        "usage": Usage(input_tokens=9, output_tokens=12),
        "cost_nano_usd": 8_550,
        "request_id": "019ac0de-0000-7000-8000-000000000001",
        "latency_ms": 812,
        "owner": "alice",
        "stored_at": EPOCH,
        "expires_at": EPOCH + 60,
        "stale_until": EPOCH + 120,
    }
    return Entry(key=key, **{**given, **fields})
