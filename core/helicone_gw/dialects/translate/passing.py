"""Passing: answers that are in the client's dialect already, because a cloud hosts what the client speaks."""

from __future__ import annotations

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.translate.streaming import JsonArray


class PassingTranslator:
    """A `streaming.StreamTranslator` that changes nothing: every event goes on as the provider's own bytes.

    ``as_array``: the client asked Gemini's dialect for one long JSON array instead of server-sent events.
    """

    def __init__(self, dialect: str, operation: str, *, as_array: bool = False) -> None:
        wire = wire_format(dialect, operation)
        assert wire is not None
        self._reader = wire.stream_reader()
        self._array = JsonArray() if as_array else None
        self._failed = False

    @property
    def media_type(self) -> str:
        """See `StreamTranslator.media_type`."""
        return "text/event-stream" if self._array is None else "application/json"

    @property
    def sequence(self) -> int:
        """See `StreamTranslator.sequence`."""
        return self._reader.sequence

    @property
    def ended(self) -> bool:
        """See `StreamTranslator.ended`."""
        return self._reader.complete

    @property
    def complete(self) -> bool:
        """See `StreamTranslator.complete`."""
        return self._reader.complete

    def feed(self, event: bytes) -> bytes:
        """See `StreamTranslator.feed`."""
        self._failed = self._reader.feed(event).error is not None or self._failed
        return event if self._array is None else self._array.write(event, ended=self._failed)

    def finish(self) -> bytes:
        """See `StreamTranslator.finish`."""
        # Usage may follow the event that ends a stream of Gemini's: the array is closed with the connection.
        return b"" if self._array is None else self._array.write(b"", ended=self.ended)

    def closing_events(self, reason: str) -> bytes:
        """See `StreamTranslator.closing_events`."""
        closing = self._reader.closing_events(reason)
        return closing if self._array is None else self._array.write(closing, ended=True)

    def failure(self, event: bytes) -> bytes:
        """See `StreamTranslator.failure`."""
        self._failed = True
        return event if self._array is None else self._array.write(event, ended=True)
