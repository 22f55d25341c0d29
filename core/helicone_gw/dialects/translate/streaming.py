"""StreamTranslator: one streamed answer of a provider, event by event, in the client's dialect."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from helicone_gw.dialects import _words, error_format
from helicone_gw.dialects.base import ErrorFacts
from helicone_gw.dialects.translate.base import StreamReader, StreamWriter
from helicone_gw.dialects.translate.custom_tools import unwrapped
from helicone_gw.dialects.translate.names import Renaming
from helicone_gw.dialects.translate.reply import (
    Ended,
    Failed,
    PartEnded,
    PartStarted,
    Started,
    Stopped,
    StopReason,
    StreamEvent,
    ToolArgumentsDelta,
)

_STOPS: dict[str, StopReason] = {"stop": "stop", "length": "length", "content_filter": "content_filter"}


class StreamTranslator:
    """Feeds a reader's events to a writer, and knows what is open, so that the stream can be closed at any point."""

    def __init__(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        names: Renaming,
        *,
        dialect: str,
        operation: str,
        id: str,
        created: int,
        custom: frozenset[str] = frozenset(),
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._names = names
        self._errors = error_format(dialect)
        self._operation = operation
        self._id = id
        self._created = created
        self._custom = custom
        self._texts: dict[tuple[int, int], list[str]] = {}
        """Arguments of open calls of custom tools, whose text is inside an object: it is known when that is whole."""
        self._open: dict[tuple[int, int], None] = {}
        self._choices: dict[int, bool] = {0: True}
        """Every choice seen, and whether it has not stopped yet."""
        self._failed = False
        self.ended = False
        """Whether the client was given the end of its dialect."""

    @property
    def complete(self) -> bool:
        """The same, by the name that readers of streams have for it."""
        return self.ended

    @property
    def sequence(self) -> int:
        """Number that the next event of our own would carry."""
        return self._writer.sequence

    def feed(self, event: bytes) -> bytes:
        """The client's events for one whole event of the provider; nothing follows an error."""
        return self._write(self._reader.feed(event))

    def finish(self) -> bytes:
        """What is left when the provider closed the connection. A stream that was cut is not made to look ended."""
        return self._write(self._reader.finish())

    def closing_events(self, reason: str) -> bytes:
        """What ends the stream cleanly here; see `StreamReader.closing_events` of `dialects.base`."""
        if self.ended or self._failed:
            return b""
        stop = _STOPS[_words.stop_word(reason)]
        events: list[StreamEvent] = [PartEnded(index, choice) for choice, index in self._open]
        events += (Stopped(stop, choice=choice) for choice, is_open in self._choices.items() if is_open)
        return self._write([*events, Ended()])

    def _write(self, events: Sequence[StreamEvent]) -> bytes:
        out = [self._one(event) for event in events]
        return out[0] if len(out) == 1 else b"".join(out)

    def _one(self, event: StreamEvent) -> bytes:
        if self._failed or self.ended:
            return b""
        match event:
            case Started():
                event = replace(event, id=event.id or self._id, created=event.created or self._created)
            case PartStarted():
                self._open[event.choice, event.index] = None
                self._choices.setdefault(event.choice, True)
                if event.name is not None:
                    event = self._named(event, self._names.original(event.name))
            case ToolArgumentsDelta() if self._texts and (event.choice, event.index) in self._texts:
                self._texts[event.choice, event.index].append(event.text)
                return b""
            case PartEnded():
                self._open.pop((event.choice, event.index), None)
                if self._texts and (held := self._texts.pop((event.choice, event.index), None)) is not None:
                    text = ToolArgumentsDelta(event.index, unwrapped("".join(held)), event.choice)
                    return self._writer.feed(text) + self._writer.feed(event)
            case Stopped():
                self._choices[event.choice] = False
            case Failed():
                self._failed = True
                facts = ErrorFacts(event.status, "upstream_error", "upstream_stream_error", event.message)
                return self._errors.event(facts, self._operation, self._writer.sequence)
            case Ended():
                self.ended = True
            case _:
                pass
        return self._writer.feed(event)

    def _named(self, event: PartStarted, name: str) -> PartStarted:
        if name not in self._custom:
            return replace(event, name=name)
        self._texts[event.choice, event.index] = []
        return replace(event, name=name, custom=True)
