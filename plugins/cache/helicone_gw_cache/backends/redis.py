"""Redis: entries in the gateway's store, which every worker and every gateway of a fleet shares.

Redis expires entries itself, and bounds them (``maxmemory``). Beside them stands an index per owner, so that they can
be counted and cleared: when each is due, and what it is. Every write drops what is overdue from it, and it goes with
the last of its entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from helicone_gw import Clock, Store, StoreOperation, StoreUnavailable
from helicone_gw_cache.backends.base import Counters, Unreachable
from helicone_gw_cache.backends.operations import DROP, FORGET, INDEX, KEEP, PAGE
from helicone_gw_cache.backends.selection import Selection, Stats, Summary, Tally
from helicone_gw_cache.compression import Codec
from helicone_gw_cache.entry import Entry

LARGEST: Final = 1 << 20
"""Bytes, as they travel, of all that one look may have to read: what takes longer than the store's deadline counts as
an outage, for every plugin. A larger entry is not kept, and counted as ``too_large``."""

PAGE_SIZE: Final = 500
"""Entries of an index that one round trip lists, or clears."""

_PASSES = 3  # a page may be missed while others write: what clears looks again, this often at most
_OWNERS = ("owners:{all}:due", "owners:{all}:facts")
_Call = tuple[StoreOperation, Sequence[str], Sequence[bytes | str | int | float]]
_summary = msgspec.msgpack.Decoder(Summary)
_owner = msgspec.msgpack.Decoder(tuple[str, str])


class RedisBackend:
    """A `Backend` in ``store``. Redis evicts as its ``maxmemory-policy`` says, and does not tell: not counted here."""

    kind = "redis"

    def __init__(self, store: Store, clock: Clock, *, max_entry: int, compress_above: int) -> None:
        self.counters = Counters()
        self._store = store
        self._clock = clock
        self._max_entry = max_entry
        self._codec = Codec(compress_above, max_entry)

    async def start(self) -> None:
        """Nothing is to be opened: the store is the gateway's."""

    def at_hand(self, key: str) -> Entry | None:
        """Nothing is."""
        return None

    async def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """The entries of ``keys``, in their order, in one round trip."""
        try:
            values = await self._store.get_many([_place(key) for key in keys])
        except StoreUnavailable:
            self.counters.unavailable += 1
            return [None] * len(keys)
        return [self._decoded(key, value) for key, value in zip(keys, values, strict=True)]

    def _decoded(self, key: str, value: bytes | None) -> Entry | None:
        if value is None:
            return None
        entry = self._codec.decode(value)
        if entry is None or entry.key != key:
            self.counters.unreadable += 1
            return None
        return entry if entry.stale_until > self._clock.now() else None

    async def put(self, entry: Entry, together: int = 1) -> bool:
        """Keep ``entry``, in one round trip."""
        now = self._clock.now()
        if entry.stale_until <= now:
            return False
        if entry.size > self._max_entry:
            self.counters.too_large += 1
            return False
        value = await self._codec.encode_aside(entry)
        if len(value) * together > LARGEST:
            self.counters.too_large += 1
            return False
        summary = Summary(
            entry.organization, entry.owner, entry.provider, entry.model, entry.stored_at, entry.stale_until, len(value)
        )
        lifetime = max(1, round((entry.stale_until - now) * 1000))
        tag = _tag(entry.organization, entry.owner)
        facts = msgspec.msgpack.encode(summary)
        owner = msgspec.msgpack.encode((entry.organization, entry.owner))
        try:
            await self._store.run_all(
                [
                    (KEEP, [_place(entry.key)], [value, lifetime]),
                    (INDEX, _index(tag), [entry.key, facts, entry.stale_until, now, lifetime, 0]),
                    (INDEX, _OWNERS, [tag, owner, entry.stale_until, now, lifetime, 1]),
                ]
            )
        except StoreUnavailable:
            self.counters.unavailable += 1
            return False
        self.counters.stored += 1
        return True

    async def delete(self, key: str) -> bool:
        """Drop one entry."""
        entry = (await self.get_many([key]))[0]
        if entry is None:
            return False
        try:
            dropped, _ = await self._store.run_all(
                [(DROP, [_place(key)], []), (FORGET, _index(_tag(entry.organization, entry.owner)), [key])]
            )
        except StoreUnavailable:
            self.counters.unavailable += 1
            return False
        return dropped == [1]

    async def clear(self, selection: Selection) -> int:
        """Drop the entries of ``selection``."""
        cleared = 0
        try:
            for tag in await self._tags(selection):
                for _ in range(_PASSES):
                    part = await self._clear_once(tag, selection)
                    cleared += part
                    if not part:
                        break
        except StoreUnavailable as problem:
            raise self._unreachable() from problem
        return cleared

    async def _clear_once(self, tag: str, selection: Selection) -> int:
        index, now, cleared, kept = _index(tag), self._clock.now(), 0, 0
        whole = selection == Selection(organization=selection.organization, owner=selection.owner)
        while page := await self._page(index, kept):
            # An entry whose facts are lost goes along where only its owner matters, who is known.
            summaries = {key: _summary_of(facts) for key, facts in page}
            keys = [key for key, found in summaries.items() if (selection.covers(found) if found else whole)]
            kept += len(page) - len(keys)
            if not keys:
                continue
            calls: list[_Call] = [(DROP, [_place(key)], []) for key in keys]
            results = await self._store.run_all([*calls, (FORGET, index, keys)])
            for key, dropped in zip(keys, results, strict=False):
                found = summaries[key]
                cleared += dropped == [1] and (found is None or found.stale_until > now)
        return cleared

    async def stats(self, selection: Selection) -> Stats:
        """What there is of ``selection``, as the index says: what Redis evicted is in it until it would be due."""
        now = self._clock.now()
        tally = Tally()
        try:
            for tag in await self._tags(selection):
                listed = 0
                while page := await self._page(_index(tag), listed):
                    listed += len(page)
                    for _, facts in page:
                        summary = _summary_of(facts)
                        if summary is not None and summary.stale_until > now and selection.covers(summary):
                            tally.add(summary)
        except StoreUnavailable as problem:
            raise self._unreachable() from problem
        return tally.stats()

    async def close(self) -> None:
        """Nothing: the store is the gateway's."""

    async def _tags(self, selection: Selection) -> list[str]:
        """The indexes that hold entries of ``selection``."""
        if selection.organization is not None and selection.owner is not None:
            return [_tag(selection.organization, selection.owner)]
        tags: list[str] = []
        listed = 0
        while page := await self._page(_OWNERS, listed):
            listed += len(page)
            for tag, facts in page:
                organization, owner = _owner_of(facts)
                if selection.organization in (None, organization) and selection.owner in (None, owner):
                    tags.append(tag)
        return tags

    async def _page(self, index: Sequence[str], start: int) -> list[tuple[str, bytes | None]]:
        """Some members of an index with their facts, in the order in which they are due; none: there are no more."""
        flat = await self._store.run(PAGE, index, [start, PAGE_SIZE])
        return [
            (_bytes(member).decode(), None if facts is None else _bytes(facts))
            for member, facts in zip(flat[::2], flat[1::2], strict=True)
        ]

    def _unreachable(self) -> Unreachable:
        self.counters.unavailable += 1
        return Unreachable("the gateway's store does not answer")


def _summary_of(facts: bytes | None) -> Summary | None:
    try:
        return None if facts is None else _summary.decode(facts)
    except msgspec.DecodeError:  # of another version
        return None


def _owner_of(facts: bytes | None) -> tuple[str | None, str | None]:
    try:
        return (None, None) if facts is None else _owner.decode(facts)
    except msgspec.DecodeError:
        return None, None


def _bytes(value: int | bytes | None) -> bytes:
    assert isinstance(value, bytes)
    return value


def _place(key: str) -> str:
    return f"entry:{key}"


def _index(tag: str) -> tuple[str, str]:
    """The two keys of an owner's index, which share a slot of a cluster."""
    return f"index:{{{tag}}}:due", f"index:{{{tag}}}:facts"


def _tag(organization: str, owner: str) -> str:
    # The length first, so that no two pairs are spelled the same.
    return hashlib.sha256(f"{len(organization)}:{organization}{owner}".encode()).hexdigest()[:32]
