"""Visit: what the cache knows of one exchange, from its question to its end; and what it counts of all."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from helicone_gw_cache.entry import Entry
from helicone_gw_cache.flight import Flight, Follower
from helicone_gw_cache.policy import Policy


@dataclass(slots=True)
class Visit:
    """One exchange's visit to the cache.

    ``slots`` are the keys of its buckets, the question's own key first. ``flight`` is the one that it leads,
    ``follower`` how it follows another; ``alone``: it will not wait for anybody. ``stale`` may be served if no provider
    answers. ``refreshes`` is the slot that an exchange without a client is there to fill again.
    """

    policy: Policy
    slots: tuple[str, ...]
    flight: Flight | None = None
    follower: Follower | None = None
    alone: bool = False
    stale: Entry | None = None
    refreshes: str | None = None

    @property
    def key(self) -> str:
        """The key of the question."""
        return self.slots[0]


def slots(key: str, buckets: int) -> tuple[str, ...]:
    """The keys of a question's buckets.

    >>> slots("abc", 3)
    ('abc', 'abc-1', 'abc-2')
    """
    return (key,) if buckets == 1 else (key, *(f"{key}-{index}" for index in range(1, buckets)))


class CacheCounters(Struct):
    """What the cache did since it began, beside `Savings`, `FlightCounters` and the backend's own.

    ``stale`` hits were past their lifetime; ``refreshes`` were begun in the background, ``refreshes_refused`` not, for
    too many were under way; ``refused`` answers were not fit to be stored; ``unkept`` ones were fit, and could not be
    handed to the backend.
    """

    stale: int = 0
    refreshes: int = 0
    refreshes_refused: int = 0
    refused: int = 0
    unkept: int = 0
