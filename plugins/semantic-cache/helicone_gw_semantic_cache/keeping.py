"""Keeping: answers that came from a provider, into the index or into a comparison, after the client has them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from helicone_gw_semantic_cache.counts import CacheCounts
from helicone_gw_semantic_cache.facts import Facts, facts_of
from helicone_gw_semantic_cache.index import Entry, Index, Kept
from helicone_gw_semantic_cache.lookup import SMALL
from helicone_gw_semantic_cache.pending import Pending, text_of
from helicone_gw_semantic_cache.trials import Trials

if TYPE_CHECKING:
    from helicone_gw import Exchange, Gateway

SMALL_ANSWER = 32 << 10
"""Bytes of an answer up to which it is read in the event loop, in about a millisecond; a thread reads larger ones."""


class _Read(NamedTuple):
    """What was read of an answer: its text, the text that was served instead of it, the facts of its question."""

    text: str | None
    served: str | None
    facts: Facts | None


_NOTHING = _Read(None, None, None)


class Keeping:
    """Takes answers over from their exchanges. ``name`` is the plugin's, ``limit`` the largest answer in bytes."""

    def __init__(
        self, gateway: Gateway, name: str, limit: int, index: Index, trials: Trials, counts: CacheCounts
    ) -> None:
        self._gateway = gateway
        self._name = name
        self._limit = limit
        self._index = index
        self._trials = trials
        self._counts = counts

    def take(self, exchange: Exchange, pending: Pending) -> None:
        """Keep, or compare, what ``exchange`` was answered. Holds nothing of it afterwards."""
        if pending.trial is not None:
            pending.trial.judged = True  # by us, whatever comes
        kept = pending.answer(exchange, self._limit)
        if kept is None:
            if pending.coming is not None:
                pending.coming.cancel()  # nobody needs it any more
            self._settle(pending, None, _NOTHING)
            return
        if pending.coming is not None and pending.coming.done():
            pending.arrived()
        small = sum(map(len, kept.frames)) <= SMALL_ANSWER and len(pending.text) <= SMALL
        if small and pending.coming is None:
            self._settle(pending, kept, _read(pending, kept))
            return
        try:
            self._gateway.background.spawn(self._settle_aside(pending, kept), f"{self._name}: keep an answer")
        except RuntimeError:
            self._settle(pending, None, _NOTHING)

    async def _settle_aside(self, pending: Pending, kept: Kept) -> None:
        if pending.coming is not None:
            await asyncio.wait({pending.coming})
            pending.arrived()
        self._settle(pending, kept, await asyncio.to_thread(_read, pending, kept))

    def _settle(self, pending: Pending, kept: Kept | None, read: _Read) -> None:
        trial = pending.trial
        if trial is not None:
            if read.text is None or read.served is None:
                self._trials.judge(trial, "unknown")
            else:
                self._trials.begin(trial, read.served, read.text)
            return
        if kept is None or read.text is None:
            self._counts.not_stored += 1
        elif pending.vector is None or read.facts is None:
            self._counts.without_vector += 1
        else:
            now = self._gateway.clock.now()
            entry = Entry(pending.exact, read.facts, kept, now, now + pending.policy.ttl)
            self._index.put(pending.key, pending.vector, entry)
            self._counts.stored += 1


def _read(pending: Pending, kept: Kept) -> _Read:
    trial, dialect, operation = pending.trial, pending.dialect, pending.operation
    return _Read(
        text=text_of(kept, dialect, operation),
        served=None if trial is None else text_of(trial.entry.kept, dialect, operation),
        facts=None if pending.vector is None else facts_of(pending.text),
    )
