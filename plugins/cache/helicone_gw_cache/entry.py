"""Entry: one stored answer, with what a hit needs to be served, explained and accounted."""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct

from helicone_gw import Usage
from helicone_gw_cache.ready import Ready, ready


class Entry(Struct, frozen=True, kw_only=True, dict=True):
    """An answer as it was sent, under the key of the question.

    ``frames`` are the body: one element of a buffered answer, the events of a streamed one as they were sent.
    ``gaps_ms`` has as many elements for a stream: the milliseconds between the request, or the frame before, and each
    frame (empty when the pace was not kept). ``headers`` are lower-case names and values, in order.

    ``organization`` and ``owner`` say whose gateway key it was (``owner`` is "" on a gateway without keys); nobody else
    may see or clear the entry. ``request_id`` is what the client of the original request saw as ``Helicone-Id``.
    ``usage`` and ``cost_nano_usd`` are the original's, ``None`` when unknown, ``latency_ms`` how long it took.

    Times are epoch seconds: the answer is fresh before ``expires_at``, and kept until ``stale_until`` (never earlier),
    when a backend drops it.
    """

    key: str
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    frames: tuple[bytes, ...]
    gaps_ms: tuple[int, ...] = ()
    streamed: bool = False
    dialect: str
    operation: str
    provider: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    cost_nano_usd: int | None = None
    request_id: str
    latency_ms: int
    organization: str = "default"
    owner: str = ""
    stored_at: float
    expires_at: float
    stale_until: float

    @cached_property
    def ready(self) -> Ready:
        """What every hit on it says again. No field: nobody stores or compares it."""
        return ready(self)

    @property
    def size(self) -> int:
        """Bytes of memory that it takes, about: the frames, the headers and what holds them."""
        held = _OVERHEAD + _ITEM * (len(self.frames) + 2 * len(self.headers))
        held += sum(map(len, self.frames)) + 8 * len(self.gaps_ms)
        for name, value in self.headers:
            held += len(name) + len(value)
        return held

    def __repr__(self) -> str:
        # Not the frames: a representation ends up in logs and stack traces.
        return f"Entry({self.key!r}, {self.status}, {len(self.frames)} frames)"


_OVERHEAD = 3072  # the structs, strings and numbers of one entry, what is ready of it, and its place in a table
_ITEM = 48  # what Python adds to a short bytes object in a tuple
