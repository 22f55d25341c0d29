"""The reply to one request: its head, and its body as it arrives or as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from helicone_gw.upstream.http1.parser import ReplyParser

if TYPE_CHECKING:
    from helicone_gw.upstream.http1.connection import Connection


class WireReply(AsyncIterator[bytes]):
    """A reply. ``headers`` have lower-case names; ``buffered`` is the whole body where all of it had come when the head
    was looked at; its connection then serves others already, and iterating yields the same.

    Iterating gives what has come since the last step, joined. `aclose` must be called unless the body was read to its
    end or is ``buffered``; the connection of a reply that is forgotten instead is closed when it is collected.
    """

    __slots__ = ("_connection", "_parser", "buffered", "headers", "status")

    def __init__(self, parser: ReplyParser, connection: Connection) -> None:
        self.status = parser.status
        self.headers = parser.headers
        self.buffered: bytes | None = None
        self._parser = parser
        self._connection = connection
        if parser.complete:
            pieces = parser.pieces
            if len(pieces) != 1:
                pieces[:] = [b"".join(pieces)]
            self.buffered = pieces[0]

    @property
    def body(self) -> AsyncIterator[bytes]:
        """The body: this object."""
        return self

    @property
    def at_hand(self) -> bool:
        """Whether the next step of iterating will not wait."""
        return bool(self._parser.pieces) or self._parser.complete

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """What has come; waits when nothing has. Raises `httpx.TransportError` when the body breaks off."""
        parser = self._parser
        pieces = parser.pieces
        while True:
            if pieces:
                data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                pieces.clear()
                if not parser.complete:
                    self._connection.drained()
                if data:
                    return data
            if parser.complete:
                raise StopAsyncIteration
            await self._connection.readable(parser)

    async def read(self, limit: int) -> bytes:
        """The whole (rest of the) body, waited for once; or, as soon as it is more than ``limit`` bytes, what there is
        of it: iterating then goes on behind that. Raises `httpx.TransportError` when the body breaks off."""
        parser = self._parser
        if not parser.complete:
            await self._connection.collected(parser, limit)
        data = b"".join(parser.pieces)
        parser.pieces.clear()
        if not parser.complete:
            self._connection.drained()
        return data

    async def aclose(self) -> None:
        """Close the connection unless the body is complete. What was not read of it is gone."""
        parser = self._parser
        parser.pieces.clear()
        if not parser.complete:
            parser.complete = True
            await self._connection.leave()

    def __del__(self) -> None:
        if not self._parser.complete:
            self._connection.forgotten()
