"""Backend: what every place that keeps entries can do, and what it counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from helicone_gw_cache.backends.selection import Selection, Stats
from helicone_gw_cache.entry import Entry


class Counters(Struct):
    """What a backend did since it began.

    ``evicted`` went early for want of room, ``expired`` were dropped at their time, ``too_large`` were refused for
    their size, ``unreadable`` were found torn, or written by another version, and counted as absent, ``unavailable``
    are calls that the place behind could not answer, or not in time (a miss, or an entry not stored), ``busy`` were not
    stored because too much was waiting to be written.
    """

    stored: int = 0
    evicted: int = 0
    expired: int = 0
    too_large: int = 0
    unreadable: int = 0
    unavailable: int = 0
    busy: int = 0


class Backend(Protocol):
    """Keeps entries until they are ``stale_until``, or there is no room.

    Of the calls that a request makes (`get_many`, `put`, `delete`) none raises because of the place behind it: what
    cannot be read is absent, what cannot be written is not stored, and both are counted. The others say so, with
    `Unreachable`.
    """

    kind: str
    counters: Counters

    async def start(self) -> None:
        """Open what is to be opened. Raises `ConfigError` when that can never work."""

    def at_hand(self, key: str) -> Entry | None:
        """The entry of ``key``, where that takes no waiting; ``None``: ask `get_many`."""

    async def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """The entries of ``keys``, in their order; ``None`` for what is absent. Stale ones are among them."""

    async def put(self, entry: Entry, together: int = 1) -> bool:
        """Keep ``entry``, in place of one of the same key. Whether it was kept.

        ``together`` is how many entries are read in one go with it, itself included: the buckets of its question.
        """

    async def delete(self, key: str) -> bool:
        """Drop one entry. Whether it was there."""

    async def clear(self, selection: Selection) -> int:
        """Drop the entries of ``selection``. How many there were. Raises `Unreachable`."""

    async def stats(self, selection: Selection) -> Stats:
        """What there is of ``selection``. Raises `Unreachable`."""

    async def close(self) -> None:
        """Let go of files and connections. Twice is harmless."""


class Unreachable(Exception):
    """The place where entries are kept does not answer; says which and why, without an address."""
