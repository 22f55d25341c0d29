"""A question on its way: how much of a stream is held for it."""

from __future__ import annotations

from helicone_gw_semantic_cache.pending import Pending
from helicone_gw_semantic_cache.policy import Policy


def test_of_a_stream_that_is_too_large_nothing_is_held() -> None:
    pending = Pending(b"", b"", "", Policy(True, 0.9, 1, frozenset()), "openai", "chat", 0.0)
    pending.add(b"x" * 60, 100)
    pending.add(b"x" * 40, 100)
    assert pending.frames == [b"x" * 60, b"x" * 40]
    pending.add(b"x", 100)
    assert pending.frames is None
    pending.add(b"x", 100)
    assert pending.frames is None
