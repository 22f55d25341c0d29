"""Counts: what became of requests and answers since the start, of one worker."""

from __future__ import annotations

from msgspec import Struct


class CacheCounts(Struct):
    """Plain counters. Those of the parts (embeddings, index, lookup, meter) are theirs."""

    hits: int = 0
    exact: int = 0
    """Found by the very same text, without a vector. These are never asked again: they are no guesses."""
    shadowed: int = 0
    """Would-be hits while ``serve`` is false."""
    misses: int = 0
    without_vector: int = 0
    """Not looked up, or not kept, for want of a vector."""
    stopped: int = 0
    """Not looked up, because the meter stopped their scope or model."""
    unsuitable: int = 0
    """Not looked up: no question of a user at the end, too long or too large, or the client said no."""
    stored: int = 0
    not_stored: int = 0
    """Not fit to be kept: failed, cut, filtered, refused, calls of tools, too large, another target's, or no time."""
    saved_nano_usd: int = 0
    saved_ms: int = 0
    saved_tokens: int = 0
