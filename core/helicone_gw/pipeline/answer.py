"""Answer: what an attempt, or a plugin, came back with; and LiveStream, an answer that is still arriving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from msgspec import Struct, field

from helicone_gw.dialects.base import EventFacts, StreamReader, WireFormat
from helicone_gw.dialects.translate.streaming import StreamTranslator
from helicone_gw.dialects.translate.translation import Translation
from helicone_gw.headers import Headers
from helicone_gw.model import Attempt, Response
from helicone_gw.sse import EventSplitter

SAMPLE_BYTES = 8 * 1024
"""Bytes of a stream that are kept, from where its content begins, should its tokens have to be estimated."""


async def _nothing() -> None:
    return None


class LiveStream(Struct):
    """A body that is still arriving, and what was read of it while waiting for the first real event.

    With ``events`` the body is server-sent events, framed by ``splitter`` and read by ``reader``, which ``wire`` made
    (``None``: nobody knows the format); otherwise it is opaque bytes. ``drop_usage_events``: the gateway asked for
    usage, not the client.
    """

    source: AsyncIterator[bytes]
    events: bool
    close: Callable[[], Awaitable[None]] = _nothing
    splitter: EventSplitter | None = None
    reader: StreamReader | None = None
    wire: WireFormat | None = None
    translator: StreamTranslator | None = None
    """What makes the client's events of the provider's; ``None``: they are the same."""
    translation: Translation | None = None
    drop_usage_events: bool = False
    head: list[tuple[bytes, EventFacts | None]] = field(default_factory=list)
    unread: bytes = b""
    """Whole events behind those of ``head``, which nobody has looked at yet."""
    pending: asyncio.Task[bytes | None] | None = None
    """A read that was under way when the commit gate gave up waiting."""
    ended: bool = False
    """Whether the provider closed the stream, as opposed to whoever stopped reading it."""
    torn: bool = False
    """Whether it closed it in the middle of an event."""
    size: int = 0
    """Bytes that were read."""
    begun: bool = False
    """Whether content was seen in them; whoever sees it says so."""
    before: int = 0
    """Bytes that came before ``sample``."""
    sample: list[bytes] = field(default_factory=list)
    """What was read last before ``begun`` was known, and what came then, `SAMPLE_BYTES` in all."""
    _room: int = 0

    async def read(self) -> bytes | None:
        """The next bytes off the wire, ``None`` at the end."""
        pending = self.pending
        if pending is None:
            data = await anext(self.source, None)
            if data and self.begun and self._room <= 0:
                self.size += len(data)
                return data
            return self._noted(data)
        self.pending = None
        try:
            return self._noted(await pending)
        except asyncio.CancelledError:
            pending.cancel()
            raise

    def taken_up(self) -> bytes | None:
        """What the read under way, which is done, came to."""
        assert self.pending is not None
        pending, self.pending = self.pending, None
        return self._noted(pending.result())

    def _noted(self, data: bytes | None) -> bytes | None:
        if data is None:
            self.ended = True
            return None
        if not self.events:
            return data
        if not self.begun:
            self.before, self.sample, self._room = self.size, [data[:SAMPLE_BYTES]], SAMPLE_BYTES - len(data)
        elif self._room > 0:
            self.sample.append(data[: self._room])
            self._room -= len(data)
        self.size += len(data)
        return data

    @property
    def whole(self) -> bool:
        """Whether everything came that the dialect needs for an answer, as far as anybody can tell."""
        reader = self.reader
        return reader is None or (not self.torn and (reader.complete or (self.ended and reader.finished)))

    @property
    def at_hand(self) -> bool:
        """Whether `read` would not wait, as far as the source can tell."""
        return self.pending is None and bool(getattr(self.source, "at_hand", False))

    def start_reading(self) -> asyncio.Task[bytes | None]:
        """The read under way, as a task that may be waited for with a timeout; `read` then takes it up."""
        if self.pending is None:
            self.pending = asyncio.ensure_future(_next(self.source))
        return self.pending

    async def aclose(self) -> None:
        """Stop reading and let go of the upstream."""
        if self.pending is not None:
            self.pending.cancel()
            await asyncio.wait({self.pending})
            self.pending = None
        await self.close()


async def _next(source: AsyncIterator[bytes]) -> bytes | None:
    return await anext(source, None)


class Answer(Struct):
    """An answer about to go up: its head, and a body or a live stream.

    ``layer`` is where it comes from: only layers outside (a smaller index) see it. ``attempt`` is the provider's call
    that made it, ``None`` for a plugin's own answer. ``tunnel`` runs a WebSocket once the client was let in and
    returns the bytes that the client was sent; ``close`` lets go of its connection.
    """

    status: int
    headers: Headers
    layer: int
    body: bytes | None = None
    live: LiveStream | None = None
    attempt: Attempt | None = None
    tunnel: Callable[[], Awaitable[int]] | None = None
    close: Callable[[], Awaitable[None]] = _nothing

    async def aclose(self) -> None:
        """Let go of whatever is still open behind it."""
        await self.close()
        if self.live is not None:
            await self.live.aclose()

    @classmethod
    def of_response(cls, response: Response, layer: int, max_event: int) -> Answer:
        """A plugin's `Response` on its way up from ``layer``."""
        live = None
        if response.stream is not None:
            events = (response.headers.get("content-type") or "").startswith("text/event-stream")
            live = LiveStream(
                response.stream, events, _closer(response.stream), EventSplitter(max_event) if events else None
            )
        return cls(response.status, response.headers, layer, None if live else response.body or b"", live)


def _closer(stream: AsyncIterator[bytes]) -> Callable[[], Awaitable[None]]:
    close: Callable[[], Awaitable[None]] | None = getattr(stream, "aclose", None)
    return close or _nothing
