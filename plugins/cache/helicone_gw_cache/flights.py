"""Flights: those of one worker, found by their keys, within bounds, counted."""

from __future__ import annotations

from msgspec import Struct

from helicone_gw import Exchange
from helicone_gw_cache.config import FlightsConfig
from helicone_gw_cache.flight import Flight

_REMEMBERED = 1024


class FlightCounters(Struct):
    """What became of flights.

    ``led`` and ``joined`` are requests; ``lost`` flights brought no answer for their followers; ``full`` requests found
    too many flights, or too many followers, and made calls of their own; ``too_long`` streams were longer than can be
    held; ``fell_behind`` followers were cut off; ``impatient`` ones waited too long.
    """

    led: int = 0
    joined: int = 0
    lost: int = 0
    full: int = 0
    too_long: int = 0
    fell_behind: int = 0
    impatient: int = 0


class Flights:
    """The flights of one worker, by key. ``held`` is how many bytes of streams they hold."""

    def __init__(self, config: FlightsConfig) -> None:
        self.config = config
        self.counters = FlightCounters()
        self.held = 0
        self._by_key: dict[str, Flight] = {}
        self._ended: dict[str, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str) -> Flight | None:
        """The flight of ``key`` that can be joined, or is not yet stored."""
        return self._by_key.get(key)

    def lead(self, key: str, exchange: Exchange, now: float, *, shared: bool) -> Flight:
        """A new flight. ``shared``: others may join it, if there is room for one more and none of this key."""
        flight = Flight(self, key, exchange, now)
        if shared and key not in self._by_key:
            if len(self._by_key) < self.config.max_flights:
                self._by_key[key] = flight
                self.counters.led += 1
            else:
                self.counters.full += 1
        return flight

    def remove(self, flight: Flight) -> None:
        """Nobody can join it any more: what it brought is stored, or it brought nothing."""
        flight.forget()
        if self._by_key.get(flight.key) is flight:
            del self._by_key[flight.key]
            self._count += 1
            self._ended.pop(flight.key, None)
            self._ended[flight.key] = self._count
            if len(self._ended) > _REMEMBERED:
                del self._ended[next(iter(self._ended))]

    @property
    def mark(self) -> int:
        """A point in time, for `ended_since`."""
        return self._count

    def ended_since(self, mark: int, key: str) -> bool:
        """Whether a flight of ``key`` has ended since then, so that it is worth to look for its answer once more."""
        return self._ended.get(key, 0) > mark

    def room(self, flight: Flight, size: int) -> bool:
        """Whether ``size`` more bytes of a stream can be held."""
        if flight.size + size <= int(self.config.max_bytes) and self.held + size <= int(self.config.max_total):
            return True
        self.counters.too_long += 1
        return False
