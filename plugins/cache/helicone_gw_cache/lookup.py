"""Lookup: the way down. A stored answer, or somebody else's that is under way, or the lead of a new call."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from helicone_gw import Clock, Exchange, Headers, Response
from helicone_gw_cache import headers, names, replay
from helicone_gw_cache.backends import Backend
from helicone_gw_cache.config import CacheConfig
from helicone_gw_cache.entry import Entry
from helicone_gw_cache.flight import Flight
from helicone_gw_cache.flights import Flights
from helicone_gw_cache.policy import Policy
from helicone_gw_cache.refresh import Refreshes
from helicone_gw_cache.savings import NO_CHARGE, NO_TOKENS, Savings
from helicone_gw_cache.visit import CacheCounters, Visit

SHARE = "cache.share"
"""The annotation by which a plugin outside says (``False``) that it may end this exchange's stream for a reason that
concerns nobody else: no other request waits for its answer."""

MOST_JOINS = 2
"""Flights that one request waits for; when both are lost, it makes a call of its own."""


class Lookup:
    """Finds answers. ``random`` gives whole numbers below its argument, to choose among buckets."""

    def __init__(
        self,
        config: CacheConfig,
        clock: Clock,
        backend: Backend,
        flights: Flights,
        refreshes: Refreshes,
        savings: Savings,
        counters: CacheCounters,
    ) -> None:
        self._config = config
        self._clock = clock
        self._backend = backend
        self._flights = flights
        self._refreshes = refreshes
        self._savings = savings
        self._counters = counters
        self.random: Callable[[int], int] = random.randrange

    async def answer(self, exchange: Exchange, visit: Visit) -> Response | None:
        """The answer to ``exchange``; ``None``: it has to be asked for, and ``visit.flight`` is ready to be filled."""
        policy = visit.policy
        looks = policy.read or (policy.save and len(visit.slots) > 1)
        reason, slot, shared = "not read", visit.key, False
        for tries in range(MOST_JOINS + 1):
            mark = self._flights.mark
            found: Sequence[Entry | None] = (None,) * len(visit.slots)
            if looks:
                found = await self._backend.get_many(visit.slots)
            if policy.read:
                response = self._hit(exchange, visit, found)
                if response is not None:
                    return response
            reason = self._why(visit, found)
            slot, flight = self._place(visit, found)
            if flight is None:
                if policy.read and self._flights.ended_since(mark, slot):
                    continue  # it was stored while we looked
                shared = True
                break
            if not policy.read or not flight.joinable or tries == MOST_JOINS:
                break
            response = await self._follow(exchange, visit, flight, slot)
            if response is not None:
                return response
            if visit.alone:
                break
        self._lead(exchange, visit, slot, shared=shared)
        if policy.asked:
            self._miss(exchange, visit, policy.reason or reason)
        return None

    # Hits

    def at_once(self, exchange: Exchange, policy: Policy, key: str) -> Response | None:
        """The answer of a question with one bucket, where it is at hand and fresh: what `answer` would come to."""
        entry = self._backend.at_hand(key)
        if entry is None:
            return None
        now = self._clock.now()
        if now >= entry.expires_at:
            return None
        self._savings.hit(exchange, entry, max(0, round((now - exchange.received_at) * 1000)))
        ready, said = entry.ready, exchange.headers
        said.update(ready.said)
        if policy.debug:
            said[names.REASON] = "hit"
        return ready.response or self._streamed(entry, policy, "hit")

    def _hit(self, exchange: Exchange, visit: Visit, found: Sequence[Entry | None]) -> Response | None:
        """An answer out of ``found``, if every bucket has one."""
        now = self._clock.now()
        still = now - visit.policy.settings.stale_while_revalidate
        for entry in found:
            if entry is None or entry.expires_at <= still:
                return None
        index = self.random(len(found)) if len(found) > 1 else 0
        chosen = found[index]
        assert chosen is not None
        if now < chosen.expires_at:
            return self.serve(exchange, visit, chosen, "hit")
        self._refreshes.begin(exchange, chosen.key)
        return self.serve(exchange, visit, chosen, "stale")

    def serve(self, exchange: Exchange, visit: Visit, entry: Entry, status: str) -> Response:
        """The response that ``entry`` makes, accounted for. ``status`` is "hit", "joined", "stale" or "error"."""
        billed = exchange.usage, exchange.cost
        self._savings.hit(exchange, entry, self._waited(exchange), status)
        if exchange.attempts:
            exchange.usage, exchange.cost = billed  # what failed may have cost something all the same
        self._counters.stale += status in ("stale", "error")
        self._tell(exchange, visit, entry.latency_ms, entry.key, status)
        return entry.ready.response or self._streamed(entry, visit.policy, status)

    def _streamed(self, entry: Entry, policy: Policy, status: str) -> Response:
        fields = entry.ready.fields
        if policy.settings.replay == "paced" and status == "hit":
            stream = replay.paced(entry, self._clock.sleep, self._config.longest_gap)
            return Response(entry.status, fields, None, stream)
        return Response(entry.status, fields, None, replay.AtOnce(entry))

    def account(self, exchange: Exchange, flight: Flight) -> None:
        """Account for a stream that ``exchange`` got by following ``flight``, at its end."""
        if flight.entry is not None and exchange.outcome is not None and exchange.outcome.kind == "ok":
            self._savings.hit(exchange, flight.entry, self._waited(exchange), "joined")

    def _waited(self, exchange: Exchange) -> int:
        return max(0, round((self._clock.now() - exchange.received_at) * 1000))

    def _tell(self, exchange: Exchange, visit: Visit, latency_ms: int | None, slot: str, status: str) -> None:
        said = exchange.headers
        said[names.CACHE] = "HIT"
        said[names.BUCKET] = str(visit.slots.index(slot)) if slot in visit.slots else "0"
        if latency_ms is not None:  # of a stream that is still under way nobody knows
            said[names.LATENCY] = str(latency_ms)
        if visit.policy.debug:
            said[names.REASON] = status

    # Misses

    def _why(self, visit: Visit, found: Sequence[Entry | None]) -> str:
        """Why ``found`` is no hit; on the way, what of it may be served if no provider answers."""
        now, settings = self._clock.now(), visit.policy.settings
        fresh = 0
        stale = None
        for entry in found:
            if entry is not None and now < entry.expires_at:
                fresh += 1
            if entry is not None and now < entry.expires_at + settings.stale_if_error:
                stale = entry
        visit.stale = stale if settings.stale_if_error and visit.policy.read else None
        if len(found) > 1:
            return f"{fresh} of {len(found)} buckets are filled"
        return "absent" if found[0] is None else "expired"

    def _miss(self, exchange: Exchange, visit: Visit, reason: str) -> None:
        self._savings.miss(exchange, "refresh" if visit.refreshes is not None else reason)
        if visit.policy.debug:
            exchange.headers[names.REASON] = reason

    def pass_by(self, exchange: Exchange, policy: Policy) -> None:
        """Account for a request that the cache has nothing to do with, although it was asked to."""
        reason = policy.reason or "neither read nor saved"
        if policy.asked:
            self._savings.miss(exchange, reason)
        if policy.debug:
            exchange.headers[names.REASON] = reason

    def _place(self, visit: Visit, found: Sequence[Entry | None]) -> tuple[str, Flight | None]:
        """The slot that the answer is to fill, and the flight that is about to fill it, if there is one."""
        wanted = visit.slots
        if visit.refreshes in wanted:
            wanted = (visit.refreshes,)
        elif len(wanted) > 1:
            now = self._clock.now()
            free = [slot for slot, entry in zip(wanted, found, strict=True) if entry is None or entry.expires_at <= now]
            # The lowest first, as at Helicone. Where all are filled, `no-cache` asked for one to be filled anew.
            wanted = tuple(free) or (self._any(wanted),)
        for slot in wanted:
            if self._flights.get(slot) is None:
                return slot, None
        slot = self._any(wanted)
        return slot, self._flights.get(slot)

    def _any(self, slots: Sequence[str]) -> str:
        return slots[self.random(len(slots))] if len(slots) > 1 else slots[0]

    def _lead(self, exchange: Exchange, visit: Visit, slot: str, *, shared: bool) -> None:
        policy = visit.policy
        if not policy.save:
            return
        shared = shared and policy.settings.single_flight and exchange.annotations.get(SHARE) is not False
        visit.flight = self._flights.lead(slot, exchange, self._clock.monotonic(), shared=shared)
        exchange.read_answer()
        if exchange.request.stream:
            exchange.watch_stream()

    async def _follow(self, exchange: Exchange, visit: Visit, flight: Flight, slot: str) -> Response | None:
        """The answer of a call that somebody else makes; ``None`` when there is none to be had."""
        follower = flight.join()
        if follower is None:
            visit.alone = True
            return None
        visit.follower = follower
        begun = False
        try:
            async with asyncio.timeout(self._config.single_flight.wait):
                begun = await follower.begun()
        except TimeoutError:
            self._flights.counters.impatient += 1
            visit.alone = True
        finally:
            if not begun:
                follower.close()
                visit.follower = None
        if not begun:
            if flight.shielded and visit.stale is not None:
                return self.serve(exchange, visit, visit.stale, "error")
            return None
        if flight.landed:
            visit.follower = None
            entry = flight.entry
            # It may have been waiting to be written for longer than it lives.
            fresh = entry is not None and self._clock.now() < entry.expires_at
            return self.serve(exchange, visit, entry, "joined") if entry is not None and fresh else None
        assert flight.head is not None
        status, fields = flight.head
        exchange.usage, exchange.cost = NO_TOKENS, NO_CHARGE
        exchange.provider = flight.provider
        exchange.annotate("cache.status", "joined")
        exchange.annotate("cache.reference_id", flight.request_id)
        self._tell(exchange, visit, None, slot, "joined")
        return Response(status, Headers.of_lower_case(headers.kept(fields.raw)), None, follower)
