"""CachedKeys: what the database said of gateway keys, believed for a few seconds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cachetools import TLRUCache

from helicone_gw_security.keys import StoredKey

if TYPE_CHECKING:
    from helicone_gw import Clock
    from helicone_gw_security.store import KeyTable

STALE_AFTER = 5.0
"""Seconds for which an answer of the database is believed: how long a revoked key may still work."""

CACHED_KEYS = 10_000
"""Bound on cached keys, and again on cached secrets that are no key; the least recently used one goes first."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the database said, and when it was asked (monotonic seconds): it may have changed from then on."""

    stored: StoredKey | None
    asked_at: float


class CachedKeys:
    """`KeyTable.find` behind a cache: both "yes" and "no" are believed for `STALE_AFTER` seconds.

    Callers that miss on the same secret share one query. A failed query is not remembered and reaches every caller
    that waited for it. Keys and unknown secrets are bounded apart, so that guessing cannot push real keys out.
    """

    def __init__(self, table: KeyTable, clock: Clock, *, size: int = CACHED_KEYS, timeout: float = 5.0) -> None:
        self._table = table
        self._clock = clock
        self._timeout = timeout
        self._known = self._cache(size)
        self._unknown = self._cache(size)
        self._queries: dict[str, asyncio.Task[StoredKey | None]] = {}

    def _cache(self, size: int) -> TLRUCache[str, _Answer, float]:
        return TLRUCache(size, ttu=_stale_at, timer=self._clock.monotonic)

    def __len__(self) -> int:
        return len(self._known) + len(self._unknown)

    async def find(self, sha256: str) -> StoredKey | None:
        """The key with this hash, valid or not. Raises `TimeoutError` or SQLAlchemy's errors."""
        answer = self._known.get(sha256) or self._unknown.get(sha256)
        if answer is not None:
            return answer.stored
        query = self._queries.get(sha256)
        if query is None:
            query = self._queries[sha256] = asyncio.create_task(self._ask(sha256), name="security.find")
            query.add_done_callback(lambda done: self._asked(sha256, done))
        # Shielded: a caller that leaves must not take the answer from those who wait beside it.
        return await asyncio.shield(query)

    async def close(self) -> None:
        """Stop queries that are still under way."""
        queries = list(self._queries.values())
        for query in queries:
            query.cancel()
        await asyncio.gather(*queries, return_exceptions=True)

    async def _ask(self, sha256: str) -> StoredKey | None:
        asked_at = self._clock.monotonic()
        async with asyncio.timeout(self._timeout):
            stored = await self._table.find(sha256)
        cache, other = (self._unknown, self._known) if stored is None else (self._known, self._unknown)
        cache[sha256] = _Answer(stored, asked_at)
        other.pop(sha256, None)
        return stored

    def _asked(self, sha256: str, query: asyncio.Task[Any]) -> None:
        self._queries.pop(sha256, None)
        if not query.cancelled():
            query.exception()  # read, so that asyncio does not report it as lost when every caller has left


def _stale_at(_sha256: str, answer: _Answer, _now: float) -> float:
    return answer.asked_at + STALE_AFTER
