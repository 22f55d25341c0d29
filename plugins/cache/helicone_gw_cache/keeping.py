"""Keeping: the way up. From an answer to an entry, to those who wait for it and to the backend."""

from __future__ import annotations

import asyncio

from helicone_gw import Background, Clock, Exchange, Headers, Response
from helicone_gw_cache.backends import Backend
from helicone_gw_cache.entry import Entry
from helicone_gw_cache.flight import Flight
from helicone_gw_cache.flights import Flights
from helicone_gw_cache.headers import kept
from helicone_gw_cache.storable import refusal, unfinished
from helicone_gw_cache.visit import CacheCounters, Visit

AT_ONCE = 64 << 10
"""Bytes of an entry up to which memory takes it without delay; larger ones, and other places, take it meanwhile."""


class Keeping:
    """Stores answers. `settle` is for the end: it waits for what is still being written."""

    def __init__(
        self,
        clock: Clock,
        backend: Backend,
        flights: Flights,
        background: Background,
        counters: CacheCounters,
        *,
        store_fallbacks: bool,
    ) -> None:
        self._clock = clock
        self._backend = backend
        self._flights = flights
        self._background = background
        self._counters = counters
        self._store_fallbacks = store_fallbacks
        self._writing: set[asyncio.Task[None]] = set()

    async def take(self, exchange: Exchange, visit: Visit, flight: Flight, response: Response) -> str | None:
        """Store the answer that came for ``flight``, if it is fit for that. Why it is not, in a word or two."""
        why = refusal(exchange, response, store_fallbacks=self._store_fallbacks)
        if response.streamed and not flight.cut:
            why = why or unfinished(b"".join(flight.frames))
        if response.streamed and flight.cut:
            why = why or "too long"
        elif response.streamed and flight.head is None:
            why = why or "not events"
        if why is not None:
            self._counters.refused += 1
            self._give_up(exchange, visit, flight, response)
            return why
        entry = self._entry(exchange, visit, flight, response)
        flight.land(entry)
        if self._backend.kind == "memory" and entry.size <= AT_ONCE:
            await self._put(flight, entry, len(visit.slots))
            return None
        try:
            task = self._background.spawn(self._put(flight, entry, len(visit.slots)), "cache: store an answer")
        except RuntimeError:  # too much runs in the background
            self._counters.unkept += 1
            self._flights.remove(flight)
            return "too busy"
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return None

    async def settle(self) -> None:
        """Wait until everything that was taken is stored."""
        if self._writing:
            await asyncio.wait(set(self._writing))

    async def _put(self, flight: Flight, entry: Entry, together: int) -> None:
        # Until it is stored, whoever asks the same finds it in the flight.
        try:
            await self._backend.put(entry, together)
        finally:
            self._flights.remove(flight)

    def _give_up(self, exchange: Exchange, visit: Visit, flight: Flight, response: Response) -> None:
        """Those who follow a whole stream have all of it, fit to be stored or not; everybody else asks again."""
        whole = exchange.error is None and not exchange.ended_early
        if response.streamed and flight.head is not None and whole:
            flight.land(None if flight.cut else self._entry(exchange, visit, flight, response))
            self._flights.remove(flight)
        else:
            flight.lose()

    def _entry(self, exchange: Exchange, visit: Visit, flight: Flight, response: Response) -> Entry:
        now, policy, key = self._clock.now(), visit.policy, exchange.key
        expires_at = now + policy.ttl
        settings = policy.settings
        fields: Headers = response.headers
        frames: tuple[bytes, ...] = (response.body or b"",)
        gaps: tuple[int, ...] = ()
        if response.streamed:
            frames, gaps = _recorded(flight, paced=settings.replay == "paced")
        return Entry(
            key=flight.key,
            status=response.status,
            headers=kept(fields.raw),
            frames=frames,
            gaps_ms=gaps,
            streamed=response.streamed,
            dialect=exchange.request.dialect,
            operation=exchange.request.operation,
            provider=exchange.provider,
            model=exchange.model,
            stop_reason=exchange.stop_reason,
            usage=exchange.usage,
            cost_nano_usd=None if exchange.cost is None else exchange.cost.nano_usd,
            request_id=exchange.request_id,
            latency_ms=max(0, round((now - exchange.received_at) * 1000)),
            organization=exchange.organization,
            owner="" if key is None else key.owner,
            stored_at=now,
            expires_at=expires_at,
            stale_until=expires_at + max(settings.stale_while_revalidate, settings.stale_if_error),
        )


def _recorded(flight: Flight, *, paced: bool) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """The stream's events, with the pauses before them where they are to come back in their pace.

    Otherwise as one: to read a hundred events from where they are kept, and to join them, would be most of what a hit
    costs.
    """
    if paced:
        return tuple(flight.frames), tuple(flight.gaps)
    return (b"".join(flight.frames),), ()
