"""LastBytes: which bytes of a live answer tell its client that it has everything, and who is to know before it does."""

from __future__ import annotations

from collections.abc import Callable

from helicone_gw.dialects import wire_format
from helicone_gw.exchange import Exchange
from helicone_gw.pipeline.answer import LiveStream


class LastBytes:
    """Calls ``before`` ahead of the last bytes of ``live``, the answer to ``exchange``, where they can be told.

    Those are the event that ends the client's dialect, or the last byte of a body whose length was told. Where only the
    end of the body says that it is over, nothing is called here. A plugin's own stream, which nobody reads, is searched
    for the words of that event: a text with the same words has ``before`` called too early.
    """

    __slots__ = ("_before", "_ends", "_left", "_marks", "_translated")

    def __init__(self, live: LiveStream, exchange: Exchange, before: Callable[[], None]) -> None:
        self._before = before
        self._ends = live.translator or live.reader
        self._translated = live.translator is not None
        self._left = float("inf")
        self._marks: tuple[bytes, ...] = ()
        if not live.events:
            told = "" if exchange.response is None else exchange.response.headers.get("content-length") or ""
            if told.isdecimal() and len(told) < 20:
                self._left = int(told)
        elif live.reader is not None:
            self._marks = live.reader.ends_with
        elif (wire := wire_format(exchange.original.dialect, exchange.original.operation)) is not None:
            self._marks = wire.stream_reader().ends_with

    def may_be_in(self, events: bytes) -> bool:
        """Whether ``events`` are to be read before they are sent: the last one may be among them."""
        return any(mark in events for mark in self._marks)

    def sending(self, data: bytes, *, last: bool = False) -> None:
        """``data``, which was read, is about to be sent. ``last``: it is what ends the stream early."""
        self._left -= len(data)
        if last or self._left <= 0 or self._is_last(data):
            self._before()

    def _is_last(self, data: bytes) -> bool:
        if self._ends is None:
            return self.may_be_in(data)
        # In some dialects something that counts may follow their end; their clients read on.
        return self._ends.complete and (self._translated or bool(self._marks))
