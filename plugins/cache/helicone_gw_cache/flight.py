"""Flight: one call for many who ask the same at the same time. Who asked first leads, the others follow.

A flight ends in one of two ways. It *lands*: the answer is whole, followers have all of it. Or it is *lost*: who has
not begun to answer makes a call of its own (an error is nobody else's), who has breaks off as a broken stream does.

Its leader's client may leave: the exchange is held for as long as anybody follows (`Exchange.hold`).

Bounds: flights that others can join, followers of each, bytes of a stream held for each and for all. Where one is
reached, the flight takes no more followers, drops what all of them have had, and its answer is not stored; a follower
that falls behind by more than `WINDOW` bytes is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from helicone_gw import Exchange, Headers, UpstreamProtocolError
from helicone_gw_cache.entry import Entry

if TYPE_CHECKING:
    from helicone_gw_cache.flights import Flights

WINDOW: Final = 1 << 20
"""Bytes of a stream too long to hold that a follower may be behind."""


class Flight:
    """One call, and what came of it so far.

    ``frames`` are the events of a stream from number ``first`` on, ``gaps`` the milliseconds before each. When it has
    ``landed``, ``entry`` is the answer, ``None`` for a stream that was too long to hold (``cut``).
    """

    __slots__ = (
        "_flights", "_followers", "_last", "_release", "_waiting", "cut", "entry", "first", "frames", "gaps", "head",
        "key", "landed", "leader", "lost", "provider", "request_id", "shielded", "size", "tidy",
    )  # fmt: skip

    def __init__(self, flights: Flights, key: str, exchange: Exchange, now: float) -> None:
        self.key = key
        self.leader: Exchange | None = exchange
        self.request_id = exchange.request_id
        self.head: tuple[int, Headers] | None = None
        self.frames: list[bytes] = []
        self.gaps: list[int] = []
        self.first = 0
        self.size = 0
        self.cut = False
        self.landed = False
        self.lost = False
        self.shielded = False
        """Whether it was lost to a failure after which a stale answer may be served."""
        self.tidy = True
        """Whether the last frame ended with a blank line."""
        self.entry: Entry | None = None
        self.provider: str | None = None
        self._flights = flights
        self._followers: list[Follower] = []
        self._release: Callable[[], None] | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._last = now

    @property
    def over(self) -> bool:
        """Whether nothing more is to come."""
        return self.lost or self.landed

    @property
    def joinable(self) -> bool:
        """Whether one more can follow it."""
        return not self.lost and not self.cut

    @property
    def end(self) -> int:
        """Number of the next frame."""
        return self.first + len(self.frames)

    def add(self, frame: bytes, head: tuple[int, Headers], now: float) -> None:
        """One more event of the stream, ``now`` being in seconds."""
        if self.over:
            return
        if self.head is None:
            self.head = head
            leader = self.leader
            self.provider = None if leader is None else leader.provider
        if not self.tidy:
            frame = b"\n\n" + frame  # what came before was an event without its end
        self.tidy = frame.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
        if not self.cut and not self._flights.room(self, len(frame)):
            self.cut = True
        if self.cut and not self._followers:
            self._drop(len(self.frames))
            return
        self.frames.append(frame)
        self.gaps.append(max(0, round((now - self._last) * 1000)))
        self._last = now
        self._account(len(frame))
        if self.cut:
            self._make_room()
        self._wake()

    def join(self) -> Follower | None:
        """Follow it; ``None`` when there are too many who do."""
        if not self.over and len(self._followers) >= self._flights.config.max_waiters:
            self._flights.counters.full += 1
            return None
        self._flights.counters.joined += 1
        follower = Follower(self)
        if not self.over:
            self._followers.append(follower)
            if self._release is None and self.leader is not None:
                self._release = self.leader.hold()
        return follower

    def land(self, entry: Entry | None) -> None:
        """The answer is whole; `Flights.remove` is for when it is stored."""
        if not self.over:
            self.entry, self.landed = entry, True
            self._end()

    def lose(self, *, shielded: bool = False) -> None:
        """There will be no answer to share. Twice, or after `land`, changes nothing."""
        if not self.over:
            self.lost = True
            self.shielded = shielded
            self._flights.counters.lost += bool(self._followers)
            self._flights.remove(self)
            self._end()

    async def news(self) -> None:
        """Wait until something changes."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)

    def left(self, follower: Follower) -> None:
        """A follower has gone; when it was the last, the leader is alone again."""
        if follower not in self._followers:
            return
        self._followers.remove(follower)
        if self.cut and not self.over:
            self._make_room()
        if not self._followers:
            self._let_go()

    def _end(self) -> None:
        self._followers.clear()
        self._let_go()
        self.leader = None
        self._wake()

    def _let_go(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _account(self, by: int) -> None:
        self.size += by
        self._flights.held += by

    def _make_room(self) -> None:
        """Drop what every follower has had, and the followers who are too far behind."""
        while self._followers:
            slowest = min(self._followers, key=lambda follower: follower.at)
            self._drop(slowest.at - self.first)
            if self.size <= WINDOW:
                return
            slowest.behind = True
            self._followers.remove(slowest)
            self._flights.counters.fell_behind += 1
        self._drop(len(self.frames))
        self._let_go()

    def _drop(self, count: int) -> None:
        if count > 0:
            self._account(-sum(map(len, self.frames[:count])))
            del self.frames[:count], self.gaps[:count]
            self.first += count

    def forget(self) -> None:
        """Give back the room of its frames; those who still follow keep what there is."""
        self._flights.held -= self.size
        self.size = 0


class Follower:
    """One who follows a flight: its stream, an asynchronous iterator over the events as they come.

    Raises `UpstreamProtocolError` when the stream breaks off.
    """

    __slots__ = ("at", "behind", "flight")

    def __init__(self, flight: Flight) -> None:
        self.flight = flight
        self.at = 0
        self.behind = False

    async def begun(self) -> bool:
        """Wait until there is an answer, or the beginning of one. Whether there is."""
        flight = self.flight
        while flight.head is None and not flight.over:
            await flight.news()
        return not flight.lost and self.at >= flight.first

    def __aiter__(self) -> Follower:
        return self

    async def __anext__(self) -> bytes:
        """Whatever has come since the last time."""
        flight = self.flight
        while True:
            if self.behind:
                raise UpstreamProtocolError("This client took its answer too slowly to share it with others.")
            if self.at < flight.end:
                data = b"".join(flight.frames[self.at - flight.first :])
                self.at = flight.end
                return data
            if flight.lost:
                raise UpstreamProtocolError("The provider's stream was cut before its end.")
            if flight.landed:
                raise StopAsyncIteration
            await flight.news()

    async def aclose(self) -> None:
        """Follow no longer."""
        self.close()

    def close(self) -> None:
        """Follow no longer. Twice is harmless."""
        self.flight.left(self)
