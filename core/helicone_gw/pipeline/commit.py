"""The commit gate: until its first real event is in hand, a stream has not succeeded and may still fall back."""

from __future__ import annotations

import asyncio

from helicone_gw.errors import UpstreamProtocolError, UpstreamStreamError
from helicone_gw.pipeline.answer import LiveStream
from helicone_gw.sse import EventTooLarge, first_event


async def hold_back(live: LiveStream, timeout: float) -> None:
    """Read ``live`` until its first real event, or until ``timeout`` seconds have passed.

    What was read is in ``live.head`` and ``live.unread`` then. Raises `UpstreamStreamError` for an error in place of
    that event, and `UpstreamProtocolError` for a stream that ends before it, in its dialect's own way or in any other,
    and for an event that is too large. An end that says why it came (a stop reason) is an answer, if an empty one.
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + timeout
    splitter, reader = live.splitter, live.reader
    assert splitter is not None
    assert reader is not None
    while True:
        if live.at_hand:
            data = await live.read()
        else:
            read = live.start_reading()
            done, _ = await asyncio.wait({read}, timeout=max(0.0, give_up - loop.time()))
            if not done:
                return
            data = live.taken_up()
        if data is None:
            raise UpstreamProtocolError("The provider's stream ended before its first event.")
        try:
            events = splitter.take(data)
        except EventTooLarge as problem:
            raise UpstreamProtocolError(str(problem)) from None
        while events:
            event, events = first_event(events)
            facts = reader.feed(event)
            if facts.error is not None:
                raise UpstreamStreamError(facts.error, event=event, status=facts.error_status)
            if facts.terminal and not facts.content and reader.stop_reason is None:
                raise UpstreamProtocolError("The provider's stream has nothing in it but its end.")
            live.head.append((event, facts))
            live.begun = live.begun or facts.content
            if not (facts.preamble or facts.usage_only):
                live.unread = events
                return
