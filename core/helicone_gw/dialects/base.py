"""What the core asks of a wire format: `WireFormat`, and the facts it reads (`Envelope`, `Reply`, `EventFacts`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from helicone_gw.model import Usage


class Envelope(Struct, frozen=True):
    """What routing needs of a request body, read without decoding the rest.

    ``include_usage`` is ``stream_options.include_usage`` (``None``: not said). ``metadata`` is the body's own object
    of strings, ``max_tokens`` the largest completion asked for. ``prompt`` is that of a chat without messages.
    """

    model: str | None = None
    stream: bool = False
    user: str | None = None
    metadata: Mapping[str, Any] | None = None
    include_usage: bool | None = None
    max_tokens: int | None = None
    prompt: str | None = None


class Reply(Struct, frozen=True):
    """What the core reads of a complete (unary) reply body; ``None`` where the body does not say.

    ``error`` is the provider's error message where the body is one instead of an answer, ``error_status`` the status
    that it amounts to.
    """

    model: str | None = None
    usage: Usage | None = None
    stop_reason: str | None = None
    error: str | None = None
    error_status: int = 502


class EventFacts(Struct):
    """What one event of a stream says.

    ``preamble``: carries no content yet (a role-only delta, ``message_start``, a ping): the commit gate waits on.
    ``content``: carries content (text, tool arguments, reasoning): the first one is the first token.
    ``usage_only``: exists only to carry usage (openai's ``choices: []`` chunk).
    ``terminal``: the dialect's last event (``[DONE]``, ``message_stop``, ``response.completed``).
    ``error``: the provider's error message, if this is an error event; ``error_status`` the status it amounts to.
    """

    preamble: bool = False
    content: bool = False
    usage_only: bool = False
    terminal: bool = False
    error: str | None = None
    error_status: int = 502


class NeverRepeating:
    """Base of readers that have to see every event, and of whose dialects not every one has an event for its end."""

    ends_with: tuple[bytes, ...] = ()
    """See `StreamReader.ends_with`."""
    complete = False
    """See `StreamReader.complete`."""

    @property
    def finished(self) -> bool:
        """See `StreamReader.finished`: clients wait for the dialect's own end."""
        return self.complete

    def repeated(self, events: bytes, start: int = 0) -> int:
        """See `StreamReader.repeated`."""
        return 0


class StreamReader(Protocol):
    """Reads one stream, event by event; what it knows so far is in its attributes."""

    @property
    def ends_with(self) -> tuple[bytes, ...]:
        """Words of which one is in the event behind which nothing follows that counts, and from which a client knows
        that it has everything. Empty where only the end of the body says so."""

    @property
    def model(self) -> str | None:
        """The model that answers, as its provider names it."""

    @property
    def stop_reason(self) -> str | None:
        """Why it stopped, in the dialect's words."""

    @property
    def complete(self) -> bool:
        """Whether the dialect's own end was seen; a stream that stops before is broken, not finished."""

    @property
    def finished(self) -> bool:
        """Whether nothing that a client needs is missing if the body ends here: the dialect's own end was seen, or what
        clients do without it. How the body ended is no proof: one without length or chunks ends wherever it is cut."""

    def feed(self, event: bytes) -> EventFacts:
        """Read one whole event (bytes with its blank line). Never raises: what is not understood says nothing."""

    def repeated(self, events: bytes, start: int = 0) -> int:
        """How many bytes of ``events`` (whole ones, one behind the other) from ``start`` on need not be fed.

        They are events that carry content, and say nothing else that an event before them has not said.
        """

    @property
    def usage(self) -> Usage | None:
        """Usage as far as it was reported."""

    @property
    def sequence(self) -> int:
        """Number that the next event of our own would carry (openai's responses count theirs); 0 in other dialects."""

    def closing_events(self, reason: str) -> bytes:
        """Whole events that end this stream cleanly here, from the client's view; empty when it has ended already.

        ``reason`` is free text from whoever ends it; "length", "content_filter" and their synonyms become the dialect's
        own stop reason, anything else an ordinary stop.
        """


class WireFormat(Protocol):
    """One operation of one dialect, as pure functions over bytes."""

    dialect: str
    operation: str

    def envelope(self, body: bytes) -> Envelope:
        """Raises `MalformedBody` with a message for the client: not JSON, not an object, a field of the wrong type."""

    def with_model(self, body: bytes, model: str) -> bytes:
        """The body with its model name changed and every other byte as it was."""

    def without_metadata(self, body: bytes, names: frozenset[str]) -> bytes:
        """The body without these keys of ``metadata`` (the whole field, when nothing is left), all else as it was.

        A field given twice is cleaned in both places: what is to be hidden from a provider must be gone from its bytes.
        """

    def asking_for_usage(self, body: bytes) -> bytes | None:
        """The body with usage asked for in its stream, all else as it was.

        ``None`` when nothing need change: the dialect reports it anyway, the body does not ask for a stream, or it
        already asks for usage.
        """

    def prompt_text(self, body: bytes) -> list[str]:
        """Every piece of text that a person or a program wrote into the request, all roles, in order.

        Raises `MalformedBody` for a body that no JSON parser would read: what a guard cannot see must not pass it.
        """

    def with_prompt_text(self, body: bytes, change: Callable[[str], str]) -> bytes:
        """The body with each of those pieces as ``change`` makes it, all else as it was. Raises as `prompt_text`."""

    def reply_text(self, body: bytes) -> list[str]:
        """Every piece of text in a unary reply, in order; of a reply that is plain text, that text. Never raises."""

    def with_reply_text(self, body: bytes, change: Callable[[str], str]) -> bytes:
        """The body with each of those pieces as ``change`` makes it, all else as it was."""

    def reply(self, body: bytes) -> Reply:
        """Facts of a unary reply. Never raises."""

    def stream_reader(self) -> StreamReader:
        """A reader for one stream."""


class ErrorFacts(Struct, frozen=True):
    """An error on its way into a dialect's shape."""

    status: int
    type: str
    code: str
    message: str
    details: Any = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    helicone_shape: bool = False
    request_id: str = ""


class ErrorFormat(Protocol):
    """How one dialect writes errors; how a stream ends without one is `StreamReader.closing_events`."""

    dialect: str

    def body(self, error: ErrorFacts) -> bytes:
        """The JSON body of an error answer."""

    def event(self, error: ErrorFacts, operation: str, sequence: int = 0) -> bytes:
        """An error inside a stream of ``operation`` that already began: whole events, to be followed by an abort.

        ``sequence`` is `StreamReader.sequence`.
        """
