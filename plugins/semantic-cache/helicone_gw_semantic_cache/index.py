"""Index: the questions that were answered, by scope, with their vectors and answers; bounded in every direction."""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct

from helicone_gw import Usage
from helicone_gw_semantic_cache.facts import Facts
from helicone_gw_semantic_cache.vectors import Vector, Vectors

OVERHEAD, OF_WORD, OF_FRAME = 2_048, 112, 40
"""Bytes that an entry takes beside its frames, about: the structures and its places in tables; each word of its facts;
each frame."""

SWEPT = 32
"""Entries that one `Index.sweep` takes out at most, so that no request waits for it."""


class Kept(Struct, frozen=True):
    """An answer as it was sent, and what is told of it at a hit. ``frames``: the body, or a stream's events."""

    status: int
    content_type: str
    frames: tuple[bytes, ...]
    streamed: bool
    request_id: str
    provider: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    cost_nano_usd: int | None = None
    latency_ms: int = 0


class Entry(Struct, eq=False):
    """A question that was answered. ``exact`` is the digest of its text; times are epoch seconds."""

    exact: bytes
    facts: Facts
    kept: Kept
    stored_at: float
    expires_at: float
    row: int = -1

    @property
    def size(self) -> int:
        """Bytes of memory, about, without the vector."""
        facts, frames = self.facts, self.kept.frames
        verbatim = sum(map(len, facts.quotes)) + sum(map(len, facts.code))
        return OVERHEAD + OF_WORD * len(facts.words) + verbatim + OF_FRAME * len(frames) + sum(map(len, frames))


class Scope:
    """The questions of one scope. ``entries`` are by row of ``vectors``."""

    __slots__ = ("by_text", "entries", "key", "vectors")

    def __init__(self, key: bytes, dimensions: int) -> None:
        self.key = key
        self.vectors = Vectors(dimensions)
        self.entries: list[Entry] = []
        self.by_text: OrderedDict[bytes, Entry] = OrderedDict()
        """By digest of the text, used longest ago first."""


class Counts(Struct):
    """What left the index, and why."""

    replaced: int = 0
    expired: int = 0
    evicted: int = 0
    """Used longest ago, when ``max_entries``, ``max_scopes`` or ``max_bytes`` was reached."""
    discarded: int = 0
    """Found to be wrong by the meter."""


class Index:
    """Everything that is kept, of one worker. Owned by the event loop; only `Vectors.search` may run elsewhere.

    What was used longest ago goes first: the entry within a full scope, the scope among too many, and of the scope used
    longest ago entry after entry when memory is short.
    """

    def __init__(self, max_scopes: int, max_entries: int, max_bytes: int) -> None:
        self._max_scopes, self._max_entries, self._max_bytes = max_scopes, max_entries, max_bytes
        self._scopes: OrderedDict[bytes, Scope] = OrderedDict()
        self._ages: OrderedDict[Entry, Scope] = OrderedDict()  # kept longest first
        self.counts = Counts()
        self.nbytes = 0
        """Bytes of memory, about."""

    def __len__(self) -> int:
        return len(self._ages)

    @property
    def scopes(self) -> int:
        """How many scopes there are."""
        return len(self._scopes)

    def scope(self, key: bytes) -> Scope | None:
        """The scope of ``key``, now the one used last."""
        found = self._scopes.get(key)
        if found is not None:
            self._scopes.move_to_end(key)
        return found

    def used(self, scope: Scope, entry: Entry) -> None:
        """``entry`` was a hit."""
        scope.by_text.move_to_end(entry.exact)

    def holds(self, key: bytes, entry: Entry) -> bool:
        """Whether ``entry`` is still there."""
        scope = self._scopes.get(key)
        return scope is not None and scope.by_text.get(entry.exact) is entry

    def put(self, key: bytes, vector: Vector, entry: Entry) -> None:
        """Keep ``entry``, in place of one with the same text."""
        scope = self.scope(key)
        if scope is not None and scope.vectors.dimensions != len(vector):
            # The model answers with vectors of another length than before: nothing here can be compared with them.
            self._drop(scope)
            scope = None
        if scope is None:
            scope = self._scopes[key] = Scope(key, len(vector))
        if (before := scope.by_text.get(entry.exact)) is not None:
            self.counts.replaced += 1
            self._take_out(scope, before)
        self.nbytes += entry.size - scope.vectors.nbytes
        entry.row = scope.vectors.append(vector)
        self.nbytes += scope.vectors.nbytes
        scope.entries.append(entry)
        scope.by_text[entry.exact] = entry
        self._ages[entry] = scope
        if len(scope.entries) > self._max_entries:
            self._evict(scope)
        while len(self._scopes) > self._max_scopes:
            self.counts.evicted += len(next(iter(self._scopes.values())).entries)
            self._drop(next(iter(self._scopes.values())))
        while self.nbytes > self._max_bytes and self._scopes:
            self._evict(next(iter(self._scopes.values())))

    def expire(self, scope: Scope, entry: Entry) -> None:
        """``entry`` is too old."""
        self.counts.expired += 1
        self._remove(scope, entry)

    def discard(self, key: bytes, entry: Entry) -> None:
        """``entry`` answered what it should not have; gone already is well, too."""
        scope = self._scopes.get(key)
        if scope is not None and scope.by_text.get(entry.exact) is entry:
            self.counts.discarded += 1
            self._remove(scope, entry)

    def sweep(self, now: float) -> None:
        """Take out what has expired, kept longest first; where lifetimes differ, some of it only later."""
        for _ in range(SWEPT):
            oldest = next(iter(self._ages), None)
            if oldest is None or oldest.expires_at > now:
                return
            self.expire(self._ages[oldest], oldest)

    def _evict(self, scope: Scope) -> None:
        self.counts.evicted += 1
        self._remove(scope, next(iter(scope.by_text.values())))

    def _remove(self, scope: Scope, entry: Entry) -> None:
        self._take_out(scope, entry)
        if not scope.entries:
            self._drop(scope)

    def _take_out(self, scope: Scope, entry: Entry) -> None:
        self.nbytes -= entry.size + scope.vectors.nbytes
        last = scope.vectors.remove(entry.row)
        self.nbytes += scope.vectors.nbytes
        moved = scope.entries[last]
        scope.entries[entry.row] = moved
        moved.row, entry.row = entry.row, -1
        scope.entries.pop()
        del scope.by_text[entry.exact], self._ages[entry]

    def _drop(self, scope: Scope) -> None:
        self.nbytes -= scope.vectors.nbytes + sum(entry.size for entry in scope.entries)
        for entry in scope.entries:
            del self._ages[entry]
        del self._scopes[scope.key]
