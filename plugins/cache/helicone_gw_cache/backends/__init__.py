"""Backends: where entries are kept. What they have in common: `Backend`, `Selection`, `Stats`, `Counters`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from helicone_gw_cache.entry import Entry


class Selection(Struct, frozen=True):
    """Which entries are meant; every field that is not ``None`` narrows it. ``stored_before`` is in epoch seconds."""

    organization: str | None = None
    owner: str | None = None
    model: str | None = None
    provider: str | None = None
    stored_before: float | None = None

    def covers(self, entry: Entry) -> bool:
        """Whether ``entry`` is meant."""
        return (
            self.organization in (None, entry.organization)
            and self.owner in (None, entry.owner)
            and self.model in (None, entry.model)
            and self.provider in (None, entry.provider)
            and (self.stored_before is None or entry.stored_at < self.stored_before)
        )


class Stats(Struct, frozen=True):
    """What a backend holds of a selection: entries, and the bytes that they take where they are."""

    entries: int
    bytes: int


class Counters(Struct):
    """What a backend did since it began.

    ``evicted`` went early for want of room, ``expired`` at their time, ``too_large`` were refused for their size,
    ``unreadable`` were found torn, or written by another version, and counted as absent, ``unavailable`` are calls that
    the place behind could not answer (a miss, or an entry not stored).
    """

    stored: int = 0
    evicted: int = 0
    expired: int = 0
    too_large: int = 0
    unreadable: int = 0
    unavailable: int = 0


class Backend(Protocol):
    """Keeps entries until they are ``stale_until``, or there is no room.

    No method raises because of the place behind it: what cannot be read is absent, what cannot be written is not
    stored, and both are counted.
    """

    counters: Counters

    async def start(self) -> None:
        """Open what is to be opened. Raises `ConfigError` when that can never work."""

    async def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """The entries of ``keys``, in their order; ``None`` for what is absent. Stale ones are among them."""

    async def put(self, entry: Entry) -> bool:
        """Keep ``entry``, in place of one of the same key. Whether it was kept."""

    async def delete(self, key: str) -> bool:
        """Drop one entry. Whether it was there."""

    async def clear(self, selection: Selection) -> int:
        """Drop the entries of ``selection``. How many there were."""

    async def stats(self, selection: Selection) -> Stats:
        """What there is of ``selection``."""

    async def close(self) -> None:
        """Let go of files and connections. Twice is harmless."""
