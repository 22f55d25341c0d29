"""The bounds of a lane, and the counters of what was done where one was reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may cost; sizes in bytes, times in seconds."""

    head: int = 64 * 1024
    """A request line with its fields; past it 431."""
    target: int = 16 * 1024
    """A request target; past it 414."""
    fields: int = 256
    """Fields of a request; past it 431."""
    framing: int = 64 * 1024
    """What the chunks of a body may take beside eight times their data: sizes, extensions, trailers; past it 400."""
    body: int = 64 * 1024
    """A request's body that the application has not taken; past it nothing more is read until it does."""
    output: int = 64 * 1024
    """Pieces of an answer that are held for one write within a turn of the loop; past it they are written."""
    connections: int = 10_000
    """Connections at a time; past it 503, and the connection is closed."""
    keep_alive: float = 15.0
    """How long a connection may be idle; past it, it is closed."""
    header_timeout: float = 15.0
    """How long a request's head may take, from its first byte or from the connection's start; past it 408."""
    stall: float = 60.0
    """How long a client may take nothing of what is to be sent to it; past it the connection is broken."""
    linger: float = 2.0
    """How long what a client still sends is thrown away after its last answer, so that it gets to see it."""

    @property
    def tick(self) -> float:
        """How often the times are looked at."""
        return min(1.0, max(0.01, min(self.keep_alive, self.header_timeout, self.stall, self.linger) / 4))


@dataclass(slots=True)
class Counters:
    """What a lane has done since it began."""

    connections: int = 0
    requests: int = 0
    handed_over: int = 0
    """Connections that went on as HTTP/2 or as a WebSocket."""
    malformed: int = 0
    """Requests refused for what they are: 400, 414, 431, 501, 505."""
    turned_away: int = 0
    """Connections past the bound, or made when the server was stopping already."""
    header_timeouts: int = 0
    idle_timeouts: int = 0
    stalls: int = 0
    broken: int = 0
    """Answers cut short, by the application or because it failed."""
