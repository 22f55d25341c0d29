"""Lookup: the nearest question that may lend its answer, found without holding up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from helicone_gw_semantic_cache.facts import facts_of
from helicone_gw_semantic_cache.guard import CHECKS, Check, difference
from helicone_gw_semantic_cache.index import Entry, Index, Scope
from helicone_gw_semantic_cache.policy import Policy
from helicone_gw_semantic_cache.vectors import Vector

INLINE: Final = 2_000_000
"""Numbers (rows times dimensions) up to which a search runs in the event loop: below a millisecond. A thread costs a
tenth of one by itself, and waits its turn."""

CANDIDATES: Final = 8
"""Nearest questions that are shown to the guard."""

SMALL: Final = 500
"""Characters of a question up to which its facts are read in the event loop, in less than a millisecond."""

EXACT: Final = 1.0
"""Similarity of the same text."""


class Found(Struct, frozen=True):
    """An entry that may answer, and how alike its question is (a cosine)."""

    entry: Entry
    similarity: float
    exact: bool = False
    """The very same text."""


class LookupCounts(Struct):
    """What became of candidates. ``refused`` is by the guard's check; ``threads`` are searches outside the loop."""

    refused: dict[Check, int]
    too_old: int = 0
    threads: int = 0


class Lookup:
    """Finds answers in an index."""

    def __init__(self, index: Index, now: Callable[[], float]) -> None:
        self._index = index
        self._now = now
        self.counts = LookupCounts(dict.fromkeys(CHECKS, 0))

    def same_text(self, key: bytes, exact: bytes, max_age: float | None) -> Found | None:
        """The entry of the very same text in the scope of ``key``."""
        scope = self._index.scope(key)
        entry = None if scope is None else scope.by_text.get(exact)
        if scope is None or entry is None or not self._fresh(scope, entry, max_age):
            return None
        self._index.used(scope, entry)
        return Found(entry, EXACT, exact=True)

    async def like(
        self, key: bytes, vector: Vector, text: str, policy: Policy, max_age: float | None
    ) -> tuple[Found | None, Check | None]:
        """The nearest entry that ``policy`` accepts for ``text``; what the guard said of the first that it refused."""
        scope = self._index.scope(key)
        if scope is None or scope.vectors.dimensions != len(vector):
            return None, None
        vectors = scope.vectors
        if vectors.count * vectors.dimensions <= INLINE:
            rows = vectors.search(vector, policy.threshold, CANDIDATES)
        else:
            self.counts.threads += 1
            rows = await asyncio.to_thread(vectors.search, vector, policy.threshold, CANDIDATES)
        if not rows:
            return None, None
        facts = facts_of(text) if len(text) <= SMALL else await asyncio.to_thread(facts_of, text)
        refused: Check | None = None
        # Rows may have moved while a thread read them: what counts is what stands there now.
        entries = [scope.entries[row] for row in rows if row < len(scope.entries)]
        for entry in entries:
            if not self._index.holds(key, entry):
                continue  # gone while a thread searched, or too old as was found out just now
            similarity = vectors.similarity(entry.row, vector)
            if similarity < policy.threshold or not self._fresh(scope, entry, max_age):
                continue
            check = difference(facts, entry.facts, policy.guard)
            if check is None:
                self._index.used(scope, entry)
                return Found(entry, min(similarity, EXACT)), refused
            self.counts.refused[check] += 1
            refused = refused or check
        return None, refused

    def _fresh(self, scope: Scope, entry: Entry, max_age: float | None) -> bool:
        now = self._now()
        if entry.expires_at <= now:
            self._index.expire(scope, entry)
            return False
        if max_age is not None and now - entry.stored_at > max_age:
            self.counts.too_old += 1
            return False
        return True
