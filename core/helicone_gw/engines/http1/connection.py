"""One client's connection: reads requests one at a time, runs a cycle for each, and writes what the cycles send."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from typing import TYPE_CHECKING, cast

from helicone_gw.engines.http1.cycle import Cycle
from helicone_gw.engines.http1.errors import BadMessage
from helicone_gw.engines.http1.head import Request
from helicone_gw.engines.http1.output import Output
from helicone_gw.engines.http1.refusal import refusal
from helicone_gw.engines.http1.request import CRLF, PREFACE, RequestReader
from helicone_gw.engines.http1.scope import Address, http_scope
from helicone_gw.scope_extensions import ANSWER_WHOLE, HEAD, LENGTH, MEMORY, ON_DEPARTURE, WHOLE_BODY

if TYPE_CHECKING:
    from helicone_gw.engines.http1.lane import Lane

_RESET = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """An ``asyncio.Protocol`` for plain HTTP/1.1.

    While a request is answered, later ones wait unread by anybody; so answers go out in the order of the requests, and
    what a client can send ahead is bounded by ``limits.body`` and one read.
    """

    transport: asyncio.Transport
    output: Output

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.reader = RequestReader(lane.limits)
        self.cycle: Cycle | None = None
        self.closing = False
        """Whether the connection ends with the answer under way."""
        self.lost = False
        self.deadline = math.inf
        """When the connection is closed unless something happens, on the loop's clock."""
        self._loop = lane.loop
        self._fresh = True
        self._ahead = b""
        self._reading = True
        self._lingering = False
        self._idle = False

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self.transport = cast("asyncio.Transport", transport)
        self.output = Output(self.transport, self._loop, self.lane.limits.output)
        self._client = _address(transport.get_extra_info("peername"))
        self._server = _address(transport.get_extra_info("sockname"))
        tls = transport.get_extra_info("ssl_object")
        self._scheme = "http" if tls is None else "https"
        self.fields = () if tls is None else self.lane.secure_fields
        self.deadline = self._loop.time() + self.lane.limits.header_timeout
        if not self.lane.admit(self):
            self._refuse(BadMessage(503, "The server takes no more connections."))
        elif tls is not None and tls.selected_alpn_protocol() == "h2":
            self._hand_over(b"")

    def data_received(self, data: bytes) -> None:
        """Bytes of a request, or of a later one."""
        if self._lingering or self.lost:
            return
        if self.output.paused if self.cycle is None else self.reader.complete:
            self._keep_for_later(data)
            return
        if self._fresh:
            data = self._ahead + data
            if data.startswith(PREFACE):
                self._hand_over(data)
                return
            if PREFACE.startswith(data):
                self._ahead = data
                return
            self._fresh = False
            self._ahead = b""
        self._read(data)

    def eof_received(self) -> None:
        """The client will send nothing more: it counts as gone, and asyncio closes the connection."""
        self.output.flush()
        self._forget_cycle()
        self._lasts(self.lane.limits.stall)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over, however it came."""
        self.lost = True
        self._forget_cycle()
        self.output.drop()
        self.lane.lost(self)

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self.output.pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.output.resume()
        if self.cycle is None:
            limits = self.lane.limits
            self._lasts(limits.linger if self._lingering else limits.stall if self.closing else limits.keep_alive)
            if self._ahead:
                self._proceed()

    # Reading.

    def _read(self, data: bytes) -> None:
        reader = self.reader
        try:
            rest = reader.feed(data)
        except BadMessage as problem:
            self.lane.counters.malformed += 1
            self._refuse(problem)
            return
        if self.cycle is not None:
            self.cycle.wake()
        elif reader.request is not None:
            if reader.websocket:
                self._hand_over(reader.head + rest)
                return
            self._begin(reader.request)
        elif reader.started and self._idle:
            self._idle = False
            self._lasts(self.lane.limits.header_timeout)
        if rest:
            self._keep_for_later(rest)
        elif reader.held > self.lane.limits.body:
            self._pause_reading()

    def _begin(self, request: Request) -> None:
        lane = self.lane
        self.deadline = math.inf
        self.cycle = cycle = Cycle(self, request)
        cycle.scope = http_scope(
            request,
            {
                HEAD: self.reader.head,
                ON_DEPARTURE: cycle.on_departure,
                WHOLE_BODY: cycle.whole_body,
                ANSWER_WHOLE: cycle.answer_whole,
                MEMORY: request.memory,
                LENGTH: request.length,
            },
            scheme=self._scheme,
            client=self._client,
            server=self._server,
            root_path=lane.root_path,
            state=lane.state,
        )
        lane.begin(cycle)

    def take_body(self) -> bytes:
        """What has arrived of the request's body and was not taken before."""
        body = self.reader.take()
        if not self._reading and not self._ahead:
            self._resume_reading()
        return body

    def _keep_for_later(self, data: bytes) -> None:
        if not self._ahead:
            data = data.lstrip(CRLF)  # which some clients send after a body
        if data:
            self._ahead += data
            if len(self._ahead) > self.lane.limits.body:
                self._pause_reading()  # up to there it goes on, so that a client is seen to leave

    def _proceed(self) -> None:
        """Read the request that waits, unless the client has yet to take the answer to the one before."""
        if not (self.closing or self.output.paused or self.lost):
            data, self._ahead = self._ahead, b""
            self._resume_reading()
            self._read(data)

    def _pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()

    # Endings.

    def answered(self, cycle: Cycle) -> None:
        """The answer was sent whole: go on to the next request, or close."""
        self.cycle = None
        lane = self.lane
        if lane.access is not None:
            lane.access(cycle)
        assert cycle.answer is not None
        if self.closing or cycle.answer.close or not self.reader.complete:
            self._end(linger=bool(self._ahead) or not self.reader.complete)
            return
        self.reader.next()
        self._idle = True
        self.deadline = self._loop.time() + lane.limits.keep_alive
        if self._ahead:
            self._proceed()

    def unanswered(self, cycle: Cycle) -> None:
        """The application has no answer, or no end of one: 500, or a connection that breaks off."""
        if cycle.begun:
            self.cut(cycle)
        else:
            self._refuse(BadMessage(500, "The server failed to answer."))

    def cut(self, cycle: Cycle) -> None:
        """Break the answer off, so that the client sees that it is not whole."""
        self.lane.counters.broken += 1
        answer = cycle.answer
        self._forget_cycle()
        if cycle.begun and answer is not None and answer.ends_with_connection:
            self.output.flush()
            if self._scheme == "https":
                self.transport.abort()  # without TLS's own sign of the end
                return
            # The end of the connection would be the end of the answer: reset it.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._close()
        else:
            self._end(linger=not self.reader.complete)

    def retire(self) -> None:
        """The server stops: close now, or with the answer under way."""
        if self.cycle is None:
            self._close()
        self.closing = True

    def check(self, now: float) -> None:
        """Close what has taken too long."""
        late = now >= self.deadline
        if not (late or self.output.paused):
            return
        silence = self.output.stalled_for(now)
        if silence is None:
            if late:
                self._expire()
        elif silence >= self.lane.limits.stall:
            # However long it takes, nothing else is expected of a client that has yet to take what it was sent.
            self.lane.counters.stalls += 1
            self.transport.abort()

    def _expire(self) -> None:
        counters = self.lane.counters
        if self.transport.is_closing():
            counters.stalls += 1
            self.transport.abort()
        elif self._lingering:
            self._close()
        elif self._idle:
            counters.idle_timeouts += 1
            self._close()
        else:
            counters.header_timeouts += 1
            if self.reader.started:
                self._refuse(BadMessage(408, "The request's head took too long."))
            else:
                self._close()

    def _refuse(self, problem: BadMessage) -> None:
        """Answer for the application, and close."""
        cycle = self.cycle
        if cycle is not None and cycle.begun:
            self.cut(cycle)
            return
        self._forget_cycle()
        self.output.write_now(refusal(problem))
        self._end(linger=True)

    def _end(self, *, linger: bool) -> None:
        """Close. ``linger``: the client may be sending, and closing on it might cost it the answer (RFC 9112 9.6)."""
        self.output.flush()
        self._ahead = b""
        if not linger or self.transport.is_closing():
            self._close()
            return
        self.closing = self._lingering = True
        self._lasts(self.lane.limits.linger)
        self._resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _close(self) -> None:
        self.closing = True
        self._lasts(self.lane.limits.stall)
        self.transport.close()

    def _lasts(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds

    def _forget_cycle(self) -> None:
        cycle, self.cycle = self.cycle, None
        if cycle is not None:
            cycle.leave()

    def _hand_over(self, data: bytes) -> None:
        """Let the server that knows HTTP/2 and WebSockets go on, from ``data``."""
        self.lost = True
        self._resume_reading()
        self.lane.hand_over(self, data)


def _address(address: object) -> Address | None:
    """Host and port of a socket's address; ``None`` for a unix socket."""
    return cast("Address", address[:2]) if isinstance(address, tuple) else None
