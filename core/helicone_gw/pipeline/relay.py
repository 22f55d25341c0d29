"""Relay: a live answer on its way to the client, event by event, through every layer outside its origin."""

from __future__ import annotations

import asyncio

import msgspec

from helicone_gw.chain import Chain, Hook
from helicone_gw.clock import Clock
from helicone_gw.dialects.base import EventFacts
from helicone_gw.errors import UpstreamProtocolError, UpstreamStreamError
from helicone_gw.exchange import Exchange
from helicone_gw.model import Chunk
from helicone_gw.pipeline.answer import Answer, LiveStream
from helicone_gw.pipeline.capture import CaptureBuffer
from helicone_gw.pipeline.hooks import HookCaller
from helicone_gw.pipeline.last_bytes import LastBytes
from helicone_gw.pipeline.listening import Listening
from helicone_gw.pipeline.sink import Sink
from helicone_gw.sse import EventTooLarge, event_data, split_events


class Relay:
    """Sends one live answer. After `run` returns or raises, ``capture`` holds what the client was sent.

    Where somebody wants to know of the ``last`` bytes, they are read before they are sent; all others are read after.
    """

    def __init__(
        self,
        chain: Chain,
        caller: HookCaller,
        clock: Clock,
        exchange: Exchange,
        answer: Answer,
        last: LastBytes | None = None,
    ) -> None:
        assert answer.live is not None
        self._live: LiveStream = answer.live
        self._last = last
        self._attempt = answer.attempt
        self._caller = caller
        self._clock = clock
        self._exchange = exchange
        watchers = exchange._watchers
        self._hooks = tuple(
            [hook for hook in chain.on_stream_chunk if hook.index < answer.layer and hook.wanted(watchers)]
        )
        self._changes = bool(self._hooks) or answer.live.translator is not None
        """Whether somebody may change events, so that they are handled one by one."""
        # A translator has given the client its end later than it saw the provider's.
        self._ends = answer.live.translator or answer.live.reader
        self._ticks = tuple([hook for hook in chain.ticks if hook in self._hooks])
        self.delivered = False
        """Whether the client was sent the dialect's own end: what it misses after that, it does not need."""
        self._too_large: EventTooLarge | None = None
        self.capture = CaptureBuffer(chain.capture_bytes)

    async def run(self, sink: Sink) -> None:
        """Relay everything, then the "end" chunk. Raises `Raised` from a hook, `UpstreamError` for a broken stream.

        Does not finish the sink: a broken stream must not look like a finished one.
        """
        live, exchange = self._live, self._exchange

        async def give_tick(hook: Hook) -> None:
            await self._send(sink, b"".join(self._tick(hook)))

        listening = Listening(live, exchange, self._ticks, give_tick)
        if not live.events:
            while (data := await listening.read()) is not None:
                self._first_content()
                await self._send(sink, data)
                if exchange._end_stream is not None:
                    return
            return
        if live.head:
            events = [piece for event, facts in live.head for piece in self._pass(event, facts)]
            live.head = []
            await self._send(sink, b"".join(events))
        if live.unread and exchange._end_stream is None:
            unread, live.unread = live.unread, b""
            if self._changes:
                await self._send(sink, b"".join(self._each(split_events(unread))))
            else:
                await self._pass_on(sink, unread)
        while exchange._end_stream is None:
            data = await listening.read()
            if data is None:
                break
            if self._changes:
                await self._send(sink, b"".join(self._each(self._framed(data))))
            else:
                await self._pass_on(sink, self._taken(data))
            if self._too_large is not None:
                raise UpstreamProtocolError(str(self._too_large))
        else:
            await self._end_early(sink)
            return
        if exchange._end_stream is not None:
            await self._end_early(sink)
            return
        if exchange._end_holds:
            await asyncio.gather(*exchange._end_holds, return_exceptions=True)
        rest, torn = self._rest()
        if live.translator is not None:
            rest += self._translated_end(torn)
        end = self._end()
        if rest and end:
            rest.append(b"\n\n")
        await self._send(sink, b"".join([*rest, *end]))
        reader = live.reader
        if exchange.error is not None:
            return  # The provider's own error event went through; nothing is to be added to it.
        if torn or (reader is not None and not reader.finished):
            raise UpstreamProtocolError("The provider's stream was cut before its end.")

    def over(self) -> None:
        """Nothing is relayed any more: whoever was to know of the last bytes is forgotten, as that knows this relay."""
        self._last = None

    def _translated_end(self, torn: bool) -> list[bytes]:
        """What the client's dialect still needs at the end of a stream that is whole."""
        live = self._live
        assert live.translator is not None
        data = live.translator.finish()
        whole = live.reader is not None and live.reader.finished
        if whole and not torn and not live.translator.ended and self._exchange.error is None:
            data += live.translator.closing_events("stop")
        return self._hooked(data)

    async def _end_early(self, sink: Sink) -> None:
        reader, exchange = self._live.reader, self._exchange
        closing = b""
        if reader is not None and not exchange._end_closed:
            closing = reader.closing_events(exchange._end_stream or "stop")
        await self._send(sink, b"".join([*self._end(), closing]), last=True)

    def _framed(self, data: bytes) -> list[bytes]:
        """The events that ``data`` completes."""
        assert self._live.splitter is not None
        try:
            return self._live.splitter.feed(data)
        except EventTooLarge as problem:
            self._too_large = problem
            return problem.events

    def _taken(self, data: bytes) -> bytes:
        """The same, joined."""
        assert self._live.splitter is not None
        try:
            return self._live.splitter.take(data)
        except EventTooLarge as problem:
            self._too_large = problem
            return b"".join(problem.events)

    def _each(self, events: list[bytes]) -> list[bytes]:
        """Events through the hooks, one by one."""
        out: list[bytes] = []
        reader = self._live.reader
        for event in events:
            out += self._pass(event, None if reader is None else reader.feed(event))
            if self._exchange._end_stream is not None:
                break
        return out

    async def _pass_on(self, sink: Sink, events: bytes) -> None:
        """What nobody changes: whole events at once, sent first and read after, unless one may be ours alone."""
        live = self._live
        if not events:
            return
        if live.drop_usage_events or (self._last is not None and self._last.may_be_in(events)):
            await self._send(sink, self._looked_through(events))
        else:
            self.capture.add(events)
            try:
                await sink.send(events)
            finally:
                # What they say counts, also where the client leaves before it took them.
                self._looked_through(events)
            if self._ends is not None and self._ends.complete:
                self.delivered = not sink.disconnected

    def _looked_through(self, events: bytes) -> bytes:
        """Read whole events, but for those that only repeat what was read; what is left of them for the client."""
        reader = self._live.reader
        if reader is None:
            self._first_content()
            return events
        if b"\r" in events:
            pieces = [kept for event in split_events(events) for kept in self._pass(event, reader.feed(event))]
            return b"".join(pieces)
        left: list[bytes] = []
        start = at = 0
        while (at := at + reader.repeated(events, at)) < len(events):
            end = events.find(b"\n\n", at) + 2
            event = events[at:end] if end > 1 else events[at:]
            if not self._pass(event, reader.feed(event)):
                left.append(events[start:at])
                start = at + len(event)
            at += len(event)
        return events if start == 0 else b"".join([*left, events[start:]])

    def _rest(self) -> tuple[list[bytes], bool]:
        """What no blank line has ended, and whether it is only the beginning of an event.

        A whole event without its blank line is still an event to the client's parser, or to ours. A beginning is kept
        back: glued to the error event that follows, it would make that one unreadable.
        """
        assert self._live.splitter is not None
        rest = self._live.splitter.flush()
        if not rest:
            return [], False
        reader = self._live.reader
        if reader is not None and _torn(rest):
            self._live.torn = True
            return [], True
        return self._pass(rest, None if reader is None else reader.feed(rest)), False

    def _pass(self, event: bytes, facts: EventFacts | None) -> list[bytes]:
        """One event through the hooks."""
        if facts is None or facts.content:
            self._first_content()
        if facts is not None:
            if facts.usage_only and self._live.drop_usage_events:
                return []
            if facts.error is not None:
                self._failed(UpstreamStreamError(facts.error, event=event, status=facts.error_status))
        if self._live.translator is not None:
            return self._hooked(self._live.translator.feed(event))
        if not self._hooks:
            return [event]
        return [chunk.data for chunk in self._caller.chunk(self._hooks, self._exchange, Chunk(event))]

    def _failed(self, error: UpstreamStreamError) -> None:
        """The provider said so itself; the first word counts, whether its client stays for the rest or not."""
        self._exchange.error = self._exchange.error or error
        if self._attempt is not None and self._attempt.error is None:
            error.target = self._attempt.target
            self._attempt.error = error

    def _hooked(self, data: bytes) -> list[bytes]:
        """What a translator made of one event, which may be several, through the hooks."""
        if not data:
            return []
        if not self._hooks:
            return [data]
        chunks = [self._caller.chunk(self._hooks, self._exchange, Chunk(event)) for event in split_events(data)]
        return [chunk.data for each in chunks for chunk in each]

    def _end(self) -> list[bytes]:
        if not self._hooks:
            return []
        chunks = self._caller.chunk(self._hooks, self._exchange, Chunk(b"", "end"))
        return [chunk.data for chunk in chunks if chunk.kind == "event"]

    def _first_content(self) -> None:
        if self._exchange.first_chunk_at is None:
            self._exchange.first_chunk_at = self._clock.now()
            self._live.begun = True

    async def _send(self, sink: Sink, data: bytes, *, last: bool = False) -> None:
        """Send what was read. ``last``: it ends the stream early."""
        if data:
            self.capture.add(data)
            if self._last is not None:
                self._last.sending(data, last=last)
            await sink.send(data)
            if self._ends is not None and self._ends.complete:
                self.delivered = not sink.disconnected

    def _tick(self, hook: Hook) -> list[bytes]:
        """A tick goes to the plugin that asked for it; what it emits goes on outwards."""
        emitted = self._caller.chunk((hook,), self._exchange, Chunk(b"", "tick"))
        outside = tuple(outer for outer in self._hooks if outer.index < hook.index)
        return [
            out.data
            for chunk in emitted
            if chunk.kind == "event"
            for out in self._caller.chunk(outside, self._exchange, chunk)
        ]


def _torn(event: bytes) -> bool:
    """Whether a dialect's event stops in the middle: in its data, neither JSON nor ``[DONE]``, or before there is any.

    A comment, and what begins like one, is nobody's loss.
    """
    data = event_data(event)
    if not data:
        return any(line and not line.startswith(b":") for line in event.splitlines())
    if data.startswith(b"[DONE]"):
        return False
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except ValueError:
        return True
    return False
