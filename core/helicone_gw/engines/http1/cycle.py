"""One request and its answer: the application's call, with its ``receive`` and its ``send`` (ASGI 3.0)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from helicone_gw.asgi.types import Message, Scope
from helicone_gw.engines.http1.errors import BadAnswer
from helicone_gw.engines.http1.head import Request
from helicone_gw.engines.http1.response import CONTINUE, Answer
from helicone_gw.headers import RawHeaders

if TYPE_CHECKING:
    from helicone_gw.engines.http1.connection import Connection

log = structlog.get_logger("helicone_gw.server")


class Cycle:
    """What a connection does from the end of a request's head to the end of the answer.

    ``gone``: the client left, or was refused, and nothing more reaches it; ``receive`` then says ``http.disconnect``,
    and ``send`` does nothing. ``over``: the answer was sent whole.
    """

    __slots__ = (
        "_connection",
        "_departed",
        "_told",
        "_waiters",
        "answer",
        "began",
        "begun",
        "gone",
        "over",
        "request",
        "scope",
        "task",
    )

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection = connection
        self.request = request
        self.scope: Scope = {}
        self.answer: Answer | None = None
        self.begun = False
        """Whether the head of the answer was sent."""
        self.over = False
        self.gone = False
        self.began = 0.0
        self.task: asyncio.Task[None] | None = None
        self._told = False
        self._departed: Callable[[], None] | None = None
        self._waiters: list[asyncio.Future[None]] = []

    async def run(self) -> None:
        """Call the application. An answer that it leaves unfinished is cut short, so that nobody takes it for whole."""
        connection = self._connection
        try:
            await connection.lane.app(self.scope, self.receive, self.send)
            if not (self.over or self.gone):
                connection.unanswered(self)
        except Exception as fault:
            if not (self.gone and isinstance(fault, OSError)):
                log.error("the application failed", exc_info=fault)
            if not (self.over or self.gone):
                connection.unanswered(self)
        finally:
            if not (self.over or self.gone):
                connection.cut(self)
            # Both know this cycle, and nothing is to be left to the garbage collector.
            self.scope, self._departed = {}, None
            connection.lane.finished(self)

    def wake(self) -> None:
        """Let ``receive`` look again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def leave(self) -> None:
        """The client is gone."""
        self.gone = True
        self.wake()
        if self._departed is not None:
            self._connection.lane.loop.call_soon(self._departed)
            self._departed = None

    def on_departure(self, departed: Callable[[], None]) -> None:
        """Have ``departed`` called once, if the client leaves before the answer is over: cheaper than ``receive``."""
        if self.gone:
            self._connection.lane.loop.call_soon(departed)
        else:
            self._departed = departed

    async def receive(self) -> Message:
        """What there is of the body, or that the client left, as soon as either is known."""
        while not (self.gone or self.over):
            if not self._told:
                connection = self._connection
                reader = connection.reader
                if reader.complete:
                    self._told = True
                    return {"type": "http.request", "body": connection.take_body(), "more_body": False}
                if reader.held:
                    return {"type": "http.request", "body": connection.take_body(), "more_body": True}
                if self.request.expects_continue:
                    self.request.expects_continue = False
                    if not self.begun:
                        connection.output.write_now(CONTINUE)
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                self._waiters.remove(waiter)
        return {"type": "http.disconnect"}

    def whole_body(self) -> bytes | None:
        """The body, where all of it has come and nobody took any of it: what `receive` would say, without waiting."""
        connection = self._connection
        if self._told or self.gone or not connection.reader.complete:
            return None
        self._told = True
        return connection.take_body()

    def answer_whole(self, status: int, fields: RawHeaders, body: bytes) -> None:
        """Send an answer whose body is known whole, as `send` would its start and its body. Raises `BadAnswer`."""
        if self.gone:
            return
        connection = self._connection
        if self.answer is not None:
            raise BadAnswer("the answer has begun already")
        if connection.fields:
            fields = (*fields, *connection.fields)
        close = connection.closing or not connection.reader.complete
        answer = self.answer = Answer(self.request, status, fields, close=close)
        try:
            framed = answer.begin(body, False)
        except BadAnswer:
            connection.unanswered(self)
            raise
        self.begun = self.over = True
        if self._waiters:
            self.wake()
        connection.output.write_now(framed)
        connection.answered(self)

    async def send(self, message: Message) -> None:
        """Send the head or a piece of the answer; waits while the client is slow. Raises `BadAnswer` for misuse."""
        if self.gone:
            return
        kind = message["type"]
        if kind == "http.response.body":
            answer = self.answer
            if answer is None or self.over:
                raise BadAnswer("the answer has not begun, or is over")
            data = message.get("body", b"")
            more = message.get("more_body", False)
            try:
                if self.begun:
                    framed = answer.piece(data, more)
                else:
                    if not self._connection.reader.complete:
                        answer.close = True
                    framed = answer.begin(data, more)
            except BadAnswer:
                self._connection.unanswered(self)
                raise
            output = self._connection.output
            self.begun = True
            if not more:
                self.over = True
                self.wake()
                output.write_now(framed)
                self._connection.answered(self)
            elif answer.complete:
                output.write_now(framed)
            else:
                output.write_soon(framed)
                if output.paused:
                    await output.drained()
        elif kind == "http.response.start":
            if self.answer is not None:
                raise BadAnswer("the answer has begun already")
            connection = self._connection
            close = connection.closing or (self.request.expects_continue and not connection.reader.complete)
            fields = message.get("headers", ())
            if connection.fields:
                fields = [*fields, *connection.fields]
            self.answer = Answer(self.request, message["status"], fields, close=close)
        else:
            raise BadAnswer("an answer over HTTP/1.1 has a start and a body, nothing else")
