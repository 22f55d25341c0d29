"""An ASGI client in memory: no socket, and yet answers come piece by piece and a client can leave in the middle."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import unquote

import msgspec

from helicone_gw.asgi.types import Message, Scope
from helicone_gw.headers import Headers, RawHeaders
from helicone_gw.sse import EventSplitter, event_data, event_name

HOST = "127.0.0.1:8787"
WINDOW = 64 * 1024
"""Bytes of an answer that may wait unread; the application then waits for the client, as it would with a socket."""


class NoAnswer(Exception):
    """The application ended without so much as the head of an answer."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One server-sent event."""

    data: bytes
    name: str | None = None

    def json(self) -> Any:
        """The decoded data. Raises msgspec's `DecodeError` for anything but JSON (OpenAI's ``[DONE]``)."""
        return msgspec.json.decode(self.data)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, as far as it came. ``aborted``: the connection broke before its end."""

    status: int
    headers: Headers
    body: bytes
    aborted: bool = False

    def json(self) -> Any:
        """The decoded body. Raises msgspec's `DecodeError` for anything but JSON."""
        return msgspec.json.decode(self.body)

    def events(self) -> list[ServerSentEvent]:
        """The body's server-sent events, comments left out; also an event that its blank line is missing from."""
        splitter = EventSplitter(max(1, len(self.body)))
        blocks = [*splitter.feed(self.body), splitter.flush()]
        return [ServerSentEvent(event_data(block), event_name(block)) for block in blocks if event_data(block)]


class LiveReply:
    """An answer that is still coming; use it as an asynchronous context. Iterate over it for the pieces of its body.

    At the end of the block a client that has not had the whole answer leaves, and the application has ended; what that
    raised is raised here. ``await head()`` before reading ``status`` and ``headers``.
    """

    def __init__(self, app: Any, scope: Scope, body: bytes | AsyncIterator[bytes]) -> None:
        self._app = app
        self._scope = scope
        self._body = body
        self._sent = False
        self._head: tuple[int, Headers] | None = None
        self._pieces: deque[bytes] = deque()
        self._unread = 0
        self._complete = False
        self._left = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def status(self) -> int:
        """The status. Raises `NoAnswer` while it has not come."""
        return self._arrived()[0]

    @property
    def headers(self) -> Headers:
        """The header fields. Raises `NoAnswer` while they have not come."""
        return self._arrived()[1]

    @property
    def aborted(self) -> bool:
        """Whether the application ended without ending its answer."""
        return self._ended and not self._complete

    async def head(self) -> None:
        """Wait for status and headers. Raises `NoAnswer` when the application ends without any, or what it raised."""
        while self._head is None:
            if self._ended:
                self._raise()
                raise NoAnswer("the application ended without an answer")
            await self._wait()

    async def read(self) -> bytes:
        """The rest of the body."""
        return b"".join([piece async for piece in self])

    async def leave(self) -> None:
        """Close the connection, as a client that goes away does, and wait until the application is done with it."""
        self._left = True
        self._over.set()
        self._room.set()
        await self._done()

    def __aiter__(self) -> LiveReply:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._complete or self._left:
                raise StopAsyncIteration
            if self._ended:
                self._raise()
                raise StopAsyncIteration
            await self._wait()
        piece = self._pieces.popleft()
        self._unread -= len(piece)
        self._room.set()
        return piece

    async def __aenter__(self) -> LiveReply:
        call = self._app(self._scope, self._receive, self._send)
        self._task = asyncio.get_running_loop().create_task(call, name=f"ASGI {self._scope['path']}")
        self._task.add_done_callback(lambda _: self._news.set())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._complete:
            await self._done()
        else:
            await self.leave()

    @property
    def _ended(self) -> bool:
        return self._task is not None and self._task.done()

    def _arrived(self) -> tuple[int, Headers]:
        if self._head is None:
            raise NoAnswer("no head of an answer has come yet")
        return self._head

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def _done(self) -> None:
        if self._task is not None:
            await asyncio.wait({self._task})
            self._raise()

    def _raise(self) -> None:
        assert self._task is not None
        # A cancelled call is an aborted answer: nobody in the test was cancelled.
        if not self._task.cancelled() and (problem := self._task.exception()) is not None:
            raise problem

    async def _receive(self) -> Message:
        if not self._sent:
            if isinstance(self._body, bytes):
                self._sent = True
                return {"type": "http.request", "body": self._body, "more_body": False}
            piece = await anext(self._body, None)
            self._sent = piece is None
            return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._left:
            return
        if message["type"] == "http.response.start":
            assert self._head is None, "the application began its answer twice"
            fields: RawHeaders = tuple((bytes(name), bytes(value)) for name, value in message["headers"])
            self._head = message["status"], Headers(fields)
        else:
            assert message["type"] == "http.response.body", f"unknown ASGI message {message['type']!r}"
            assert self._head is not None, "the application sent a body before any head"
            assert not self._complete, "the application went on after the end of its answer"
            if piece := bytes(message.get("body", b"")):
                self._pieces.append(piece)
                self._unread += len(piece)
            if not message.get("more_body", False):
                self._complete = True
                self._over.set()
        self._news.set()
        while self._unread > WINDOW and not self._left:
            self._room.clear()
            await self._room.wait()


def http_scope(method: str, target: str, headers: Mapping[str, str]) -> Scope:
    """The ASGI scope of a request for ``target`` (path and query) by a client on this machine."""
    path, _, query = target.partition("?")
    fields = Headers({"host": HOST, **{name.lower(): value for name, value in headers.items()}})
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        "headers": list(fields.raw),
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8787),
        "extensions": {},
    }
