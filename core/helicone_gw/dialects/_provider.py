"""What the wire formats of dialects have in common that only providers speak: Bedrock, Cohere, Ollama, Replicate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from helicone_gw.dialects._envelope import read_fields
from helicone_gw.dialects._format import JsonFormat
from helicone_gw.dialects._json import Unreadable, count, decode, decode_exactly, mapping, text
from helicone_gw.dialects.base import Envelope, EventFacts, NeverRepeating, Reply
from helicone_gw.dialects.errors import encode, failure
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event, event_data, event_name


class _Body(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None


_BODY = msgspec.json.Decoder(_Body)


class ProviderFormat(JsonFormat):
    """Base of these formats: what a body says besides ``model`` and ``stream`` nobody asks before it is translated.

    ``streams``: also where the body says nothing of it.
    """

    streams: ClassVar[bool] = False

    def envelope(self, body: bytes) -> Envelope:
        """See `WireFormat.envelope`."""
        fields = read_fields(_BODY, body)
        return Envelope(model=fields.model, stream=self.streams if fields.stream is None else fields.stream)

    def reply(self, body: bytes) -> Reply:
        """See `WireFormat.reply`."""
        try:
            value = decode_exactly(body) or decode(body)
        except Unreadable:
            return Reply()
        return self._reply(value) if isinstance(value, dict) else Reply()

    def _reply(self, value: Mapping[str, Any]) -> Reply:
        raise NotImplementedError

    def stream_reader(self) -> ProviderReader:
        """See `WireFormat.stream_reader`; operations that do not stream have a reader that never sees an end."""
        return ProviderReader()


class ProviderReader(NeverRepeating):
    """Base of their stream readers: an event is a JSON object, an error an event of that name or with an ``error``."""

    sequence = 0

    def __init__(self) -> None:
        self.model: str | None = None
        self.stop_reason: str | None = None
        self.complete = False
        self._usage: Usage | None = None

    @property
    def usage(self) -> Usage | None:
        """The last usage reported."""
        return self._usage

    def feed(self, event: bytes) -> EventFacts:
        """See `StreamReader.feed`."""
        data = event_data(event)
        if not data:
            return EventFacts(preamble=True)
        name, value = event_name(event), decode_exactly(data)
        if not isinstance(value, dict):
            if name == "error":
                return EventFacts(error=data.decode("utf-8", "replace"))
            return self._other(name, data)
        if value.get("error") or name == "error":
            return failure(value.get("error") or value)
        return self._facts(text(value.get("type")) or name, value)

    def closing_events(self, reason: str) -> bytes:
        """See `StreamReader.closing_events`."""
        if self.complete:
            return b""
        return b"".join(encode_event(encode(value), name) for name, value in self._closing(reason))

    def _facts(self, kind: str | None, value: Mapping[str, Any]) -> EventFacts:
        """The facts of an event that is an object and no error."""
        return EventFacts()

    def _other(self, name: str | None, data: bytes) -> EventFacts:
        """The facts of an event that is no object."""
        return EventFacts()

    def _closing(self, reason: str) -> list[tuple[str | None, dict[str, Any]]]:
        """Name and data of the events that end this stream here."""
        return []


def first_count(*values: Any) -> int | None:
    """The first of ``values`` that is a count."""
    return next((number for value in values if (number := count(value)) is not None), None)


def total(*values: Any) -> int | None:
    """The sum of those that are counts; ``None`` when the first is not: the others are shares that it leaves out."""
    if count(values[0]) is None:
        return None
    return count(sum(number for value in values if (number := count(value)) is not None))


def cohere_billed(meta: Any, *, generates: bool = True) -> Usage | None:
    """Cohere's ``usage`` or ``meta``: the tokens that are billed, else those that were counted.

    ``generates`` is false for operations that only read.
    """
    raw = mapping(meta)
    billed, counted = mapping(raw.get("billed_units")), mapping(raw.get("tokens"))
    tokens_in = first_count(billed.get("input_tokens"), counted.get("input_tokens"))
    tokens_out = first_count(billed.get("output_tokens"), counted.get("output_tokens"))
    if tokens_in is None and tokens_out is None:
        return None
    cached = count(raw.get("cached_tokens"))
    return Usage(
        input_tokens=tokens_in,
        output_tokens=tokens_out if generates or tokens_out is not None else 0,
        # Counted beside the billed tokens; a share larger than its whole would be priced below zero.
        cache_read_tokens=cached if cached is not None and tokens_in is not None and cached <= tokens_in else None,
    )
