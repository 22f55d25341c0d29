"""Selection: which entries are meant, what a backend must know of one to tell, and what there is of them in all."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

MAX_GROUPS = 50
"""Pairs of provider and model that `Stats` lists, largest first; the others are in the totals alone."""


class Described(Protocol):
    """What is known of an entry without reading it."""

    @property
    def organization(self) -> str:
        """Whose it is."""

    @property
    def owner(self) -> str:
        """Whose gateway key it was."""

    @property
    def provider(self) -> str | None:
        """Who answered."""

    @property
    def model(self) -> str | None:
        """What answered."""

    @property
    def stored_at(self) -> float:
        """When it was stored (epoch seconds)."""


class Summary(Struct, frozen=True):
    """An entry without its answer; ``size`` is the bytes that it takes where it is kept. Times are epoch seconds."""

    organization: str
    owner: str
    provider: str | None
    model: str | None
    stored_at: float
    stale_until: float
    size: int


class Selection(Struct, frozen=True):
    """Which entries are meant; every field that is not ``None`` narrows it. ``stored_before`` is in epoch seconds."""

    organization: str | None = None
    owner: str | None = None
    provider: str | None = None
    model: str | None = None
    stored_before: float | None = None

    def covers(self, entry: Described) -> bool:
        """Whether ``entry`` is meant."""
        return (
            self.organization in (None, entry.organization)
            and self.owner in (None, entry.owner)
            and self.provider in (None, entry.provider)
            and self.model in (None, entry.model)
            and (self.stored_before is None or entry.stored_at < self.stored_before)
        )


class Group(Struct, frozen=True):
    """The entries of one provider and model."""

    provider: str | None
    model: str | None
    entries: int
    bytes: int


class Stats(Struct, frozen=True):
    """What a backend holds of a selection.

    ``bytes`` are those that the entries take where they are, ``oldest`` and ``newest`` the times at which the first and
    the last of them were stored (epoch seconds, ``None`` without entries).
    """

    entries: int
    bytes: int
    oldest: float | None
    newest: float | None
    groups: tuple[Group, ...]


class Tally:
    """Counts entries, in all and by provider and model."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str | None, str | None], tuple[int, int]] = {}
        self._oldest: float | None = None
        self._newest: float | None = None

    def add(self, summary: Summary) -> None:
        """Count one more."""
        kind, stored_at = (summary.provider, summary.model), summary.stored_at
        entries, size = self._groups.get(kind, (0, 0))
        self._groups[kind] = entries + 1, size + summary.size
        self._oldest = stored_at if self._oldest is None else min(self._oldest, stored_at)
        self._newest = stored_at if self._newest is None else max(self._newest, stored_at)

    def stats(self) -> Stats:
        """What was counted; the groups largest first."""
        groups = [Group(provider, model, entries, size) for (provider, model), (entries, size) in self._groups.items()]
        groups.sort(key=lambda group: (-group.bytes, group.provider or "", group.model or ""))
        return Stats(
            entries=sum(group.entries for group in groups),
            bytes=sum(group.bytes for group in groups),
            oldest=self._oldest,
            newest=self._newest,
            groups=tuple(groups[:MAX_GROUPS]),
        )
