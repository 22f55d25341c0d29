"""Serving: a hit as an answer to the exchange that asked, with what is told of it to the client and the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from helicone_gw import Cost, Exchange, Headers, Response, Usage
from helicone_gw_semantic_cache.counts import CacheCounts
from helicone_gw_semantic_cache.lookup import Found

CACHE: Final = "Helicone-Cache"
SIMILARITY: Final = "Helicone-Cache-Semantic"
LATENCY: Final = "Helicone-Cache-Latency"

NO_TOKENS: Final = Usage(input_tokens=0, output_tokens=0)
"""The usage of a hit: no provider was asked for an answer, so these zeros are known."""

NO_CHARGE: Final = Cost(0, source="cache")

PIECE: Final = 64 << 10
"""Bytes of a replayed stream that are handed on at once."""


def serve(exchange: Exchange, found: Found, name: str, counts: CacheCounts, waited_ms: int) -> Response:
    """The answer of ``found``, streamed as it was. ``waited_ms``: how long the hit took. ``name`` is the plugin's.

    In the log: ``<name>.status``, ``.similarity``, ``.reference_id`` (the original's ``Helicone-Id``) and what was
    saved: ``.saved_ms``, ``.saved_nano_usd``, ``.saved_prompt_tokens``, ``.saved_completion_tokens`` (``None``:
    unknown).
    """
    kept = found.entry.kept
    exchange.provider, exchange.model, exchange.stop_reason = kept.provider, kept.model, kept.stop_reason
    exchange.usage, exchange.cost = NO_TOKENS, NO_CHARGE
    exchange.headers[CACHE] = "HIT"
    exchange.headers[SIMILARITY] = f"{found.similarity:.4f}"
    exchange.headers[LATENCY] = str(kept.latency_ms)
    saved_ms = max(0, kept.latency_ms - waited_ms)
    usage = kept.usage or Usage()
    note_found(exchange, found, name, "hit")
    exchange.annotate(f"{name}.saved_ms", saved_ms)
    exchange.annotate(f"{name}.saved_nano_usd", kept.cost_nano_usd)
    exchange.annotate(f"{name}.saved_prompt_tokens", usage.input_tokens)
    exchange.annotate(f"{name}.saved_completion_tokens", usage.output_tokens)
    counts.hits += 1
    counts.saved_ms += saved_ms
    counts.saved_nano_usd += kept.cost_nano_usd or 0
    counts.saved_tokens += usage.total_tokens or 0
    headers = Headers({"content-type": kept.content_type})
    if kept.streamed:
        return Response(kept.status, headers, None, _replayed(kept.frames))
    return Response(kept.status, headers, kept.frames[0])


def note_found(exchange: Exchange, found: Found, name: str, status: str) -> None:
    """Note for the log what was found, and what became of it."""
    exchange.annotate(f"{name}.status", status)
    exchange.annotate(f"{name}.similarity", round(found.similarity, 4))
    exchange.annotate(f"{name}.reference_id", found.entry.kept.request_id)


async def _replayed(frames: Sequence[bytes]) -> AsyncIterator[bytes]:
    """The events of a stream, as they were sent, a few at a time."""
    pieces: list[bytes] = []
    size = 0
    for frame in frames:
        pieces.append(frame)
        size += len(frame)
        if size >= PIECE:
            yield b"".join(pieces)
            pieces, size = [], 0
    if pieces:
        yield b"".join(pieces)
