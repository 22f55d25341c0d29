"""The load generator: an exact number of requests, in a closed loop or at a fixed rate, every answer checked.

At a fixed rate the latency of a request counts from when it was due. A request that no connection is free for waits in
a queue, and that wait is part of its latency: a stall is felt by all who would have called, not by the one that hit it
(coordinated omission).

``python -m helicone_gw.bench.load`` reads plans from standard input and answers each with an outcome, a line of JSON.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from typing import cast

import httptools
import msgspec

from helicone_gw.bench.checks import Check
from helicone_gw.bench.loops import run
from helicone_gw.bench.plan import Outcome, Plan, quantiles
from helicone_gw.bench.workload import request_body

EARLY = 0.002
"""Seconds that the generator wakes before a request is due, to watch the clock: loops round timers to milliseconds."""

AGENT = {
    "user-agent": "OpenAI/Python 1.99.0",
    "accept": "application/json",
    "content-type": "application/json",
    "x-stainless-lang": "python",
    "x-stainless-package-version": "1.99.0",
    "x-stainless-os": "Linux",
    "x-stainless-arch": "x64",
    "x-stainless-runtime": "CPython",
    "x-stainless-retry-count": "0",
}
"""What an OpenAI SDK sends beside the request."""


class CannotConnect(Exception):
    """The program under test does not accept connections."""


def request_bytes(plan: Plan) -> bytes:
    """The request of ``plan``, head and body."""
    body = request_body(plan.body_size, plan.script)
    fields = {"host": f"{plan.host}:{plan.port}", "authorization": "Bearer sk-bench", **AGENT}
    fields |= {name.lower(): value for name, value in plan.headers.items()}
    fields["content-length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {plan.path} HTTP/1.1\r\n{head}\r\n".encode() + body


class Load:
    """One run of a plan. ``clock`` tells seconds; ``early`` is `EARLY`, or 0 where the loop's timers are exact."""

    def __init__(self, plan: Plan, *, clock: Callable[[], float] = time.monotonic, early: float = EARLY) -> None:
        self._plan = plan
        self.clock = clock  # not the loop's: uvloop's own has milliseconds
        self._early = early
        self._loop = asyncio.get_running_loop()
        self._request = request_bytes(plan)
        self._check = Check(plan.script, exact=plan.exact)
        self._due: deque[float] = deque()
        self._idle: list[_Connection] = []
        self._connections: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._scheduled = self._answered = self._events = self._reconnects = 0
        self._faults: Counter[str] = Counter()
        self._latency, self._first_byte = array("d"), array("d")
        self._over: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> Outcome:
        """Send all, wait for all. Raises `CannotConnect`."""
        await asyncio.gather(*(self._connect() for _ in range(self._plan.connections)))
        self._begun = self.clock()
        if self._plan.rate is None:
            for connection in list(self._idle):
                self._take_next(connection)
        else:
            self._schedule()
        try:
            # Not what is awaited is cancelled at the end of patience, but the wait: the rest is counted.
            await asyncio.wait({self._over}, timeout=self._plan.patience)
            if self._over.done():
                self._over.result()
        finally:
            self._close()
        seconds = self.clock() - self._begun
        if missing := self._plan.requests - self._answered:
            self._faults["no answer"] += missing
        return Outcome(
            requests=self._plan.requests,
            bad=sum(self._faults.values()),
            faults=dict(self._faults),
            events=self._events,
            reconnects=self._reconnects,
            seconds=seconds,
            latency=quantiles(self._latency),
            first_byte=quantiles(self._first_byte),
        )

    def _schedule(self) -> None:
        """Queue what is due by now, and come back for what is next."""
        rate = self._plan.rate or 0.0
        now = self.clock()
        while self._scheduled < self._plan.requests and (due := self._begun + self._scheduled / rate) <= now:
            self._scheduled += 1
            self._due.append(due)
        while self._due and self._idle:
            self._idle.pop().send(self._request, self._due.popleft())
        if self._scheduled < self._plan.requests and not self._over.done():
            if due - now > self._early:
                self._loop.call_later(due - now - self._early, self._schedule)
            else:
                self._loop.call_soon(self._schedule)

    def _take_next(self, connection: _Connection) -> None:
        """Give a free connection something to do."""
        if self._plan.rate is not None:
            if self._due:
                connection.send(self._request, self._due.popleft())
                return
        elif self._scheduled < self._plan.requests:
            self._scheduled += 1
            if connection in self._idle:
                self._idle.remove(connection)
            connection.send(self._request, self.clock())
            return
        if connection not in self._idle:
            self._idle.append(connection)

    def answered(self, connection: _Connection, status: int, body: bytes, *, reusable: bool) -> None:
        """An answer is complete."""
        now = self.clock()
        self._latency.append(now - connection.due)
        self._first_byte.append((connection.first_byte or now) - connection.due)
        self._events += self._check.events(body)
        self._count(self._check.fault(status, body))
        if self._over.done():
            return
        if reusable:
            self._take_next(connection)
        else:
            connection.close()
            self._reconnect()

    def lost(self, connection: _Connection, *, busy: bool) -> None:
        """A connection ended by itself; ``busy``: with an answer outstanding."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._over.done():
            return
        if busy:
            self._count("connection lost")
        if not self._over.done():
            self._reconnect()

    def _count(self, fault: str | None) -> None:
        self._answered += 1
        if fault is not None:
            self._faults[fault] += 1
        if self._answered == self._plan.requests and not self._over.done():
            self._over.set_result(None)

    def _reconnect(self) -> None:
        self._reconnects += 1

        async def again() -> None:
            try:
                await self._connect()
            except CannotConnect as problem:
                if not self._over.done():
                    self._over.set_exception(problem)
                return
            if not self._over.done():
                self._take_next(self._idle[-1])

        task = asyncio.ensure_future(again())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        try:
            _, connection = await self._loop.create_connection(
                lambda: _Connection(self), self._plan.host, self._plan.port
            )
        except OSError as problem:
            raise CannotConnect(problem.strerror or "no connection") from problem
        self._connections.add(connection)
        self._idle.append(connection)

    def _close(self) -> None:
        if not self._over.done():
            self._over.set_result(None)
        for task in self._opening:
            task.cancel()
        for connection in self._connections:
            connection.close()


TOKEN = b"token-"
"""What every token of the mock provider begins with."""


class _Connection(asyncio.Protocol):
    """One kept-alive connection, one request at a time."""

    due = 0.0
    first_byte = 0.0
    _busy = False
    _closing = False

    def __init__(self, load: Load) -> None:
        self._load = load
        self._pieces: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without inheriting from it
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: bytes, due: float) -> None:
        self.due, self.first_byte, self._busy = due, 0.0, True
        self._transport.write(request)

    def close(self) -> None:
        self._closing = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_body(self, piece: bytes) -> None:
        # Of a stream, not the event that only names the role: nobody reads anything in it, and gateways hold it back
        # until there is a token, so that an overloaded provider can still be replaced.
        if not self.first_byte and TOKEN in piece:
            self.first_byte = self._load.clock()
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        body = b"".join(self._pieces)
        self._pieces.clear()
        self._busy = False
        self._load.answered(self, status, body, reusable=self._parser.should_keep_alive())

    def connection_lost(self, problem: Exception | None) -> None:
        if not self._closing:
            self._load.lost(self, busy=self._busy)


async def _execute(plan: Plan) -> Outcome:
    return await Load(plan).run()


def main() -> None:
    """Carry out the plans that standard input brings, one a line."""
    for line in sys.stdin.buffer:
        try:
            outcome = run(_execute(msgspec.json.decode(line, type=Plan)))
        except CannotConnect as problem:
            answer = msgspec.json.encode({"problem": str(problem)})
        else:
            answer = msgspec.json.encode(outcome)
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
