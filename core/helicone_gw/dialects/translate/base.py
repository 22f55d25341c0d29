"""What a dialect offers to translation: an `Ingress` (clients speak it), an `Egress` (providers do), or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct, field

from helicone_gw.dialects.translate.conversation import ConversationRequest
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.names import Renaming
from helicone_gw.dialects.translate.reply import ConversationReply, StreamEvent

Framing = Literal["sse", "ndjson", "eventstream"]
"""How a provider cuts its stream: server-sent events, a JSON value per line, or AWS's binary frames."""


class Destination(Struct):
    """Where a request is written to: what a writer may need to know of it.

    ``model`` is the name at the provider, ``max_output_tokens`` the most that it writes, where known. ``asks_usage``:
    its streams report usage when they are asked for it. ``has_chat``: of OpenAI's dialect it has chat completions, and
    not responses alone. ``names`` renames tools whose names the dialect forbids;
    `translation` undoes it in the answer.
    """

    provider: str
    model: str
    max_output_tokens: int | None = None
    asks_usage: bool = True
    has_chat: bool = True
    names: Renaming = field(default_factory=Renaming)


class Outgoing(Struct, frozen=True):
    """A request in a provider's dialect: what `upstream_url` and the wire need of it.

    ``operation`` names the wire format by which the reply's usage is read; ``path`` has the dialect's own version
    segment in front ("/v1/messages"); ``headers`` are further ones that the dialect wants.
    """

    operation: str
    path: str
    body: bytes
    query: str = ""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)


class StreamReader(Protocol):
    """Reads one stream of a provider: Started, parts, Stopped, UsageReported and Ended, in this order."""

    def feed(self, event: bytes) -> Sequence[StreamEvent]:
        """What one whole event says (a server-sent event with its blank line, a line, a frame). Never raises."""

    def finish(self) -> Sequence[StreamEvent]:
        """What is left to say when the provider closed the connection; `Ended` only if its end was seen."""


class StreamWriter(Protocol):
    """Writes one stream for a client: whole events of its dialect. `Failed` is written by `translation` for all."""

    sequence: int
    """Number of the next event, where the dialect counts them."""

    def feed(self, event: StreamEvent) -> bytes:
        """The client's events for one neutral event; often none."""

    def finish(self) -> bytes:
        """What closes the stream after `Ended`; empty when that came already."""


class Ingress(Protocol):
    """A dialect that clients speak: their requests are read, answers are written for them."""

    dialect: str
    operations: tuple[str, ...]

    def read_request(self, body: bytes, loss: Loss, *, model: str, stream: bool) -> ConversationRequest:
        """The request in neutral form. ``model`` and ``stream`` are what the address or the body says.

        Raises `MalformedBody` with the field's name; what is well formed and unknown is noted as a loss or an extra.
        """

    def write_reply(self, reply: ConversationReply, asked: ConversationRequest, loss: Loss) -> bytes:
        """The body of a unary answer to ``asked``."""

    def stream_writer(self, asked: ConversationRequest, loss: Loss) -> StreamWriter:
        """A writer for one streamed answer to ``asked``."""


class Egress(Protocol):
    """A dialect that providers speak: requests are written for them, their answers are read."""

    dialect: str
    framing: Framing

    def write_request(self, request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
        """The request in the provider's dialect; what it has no word for is noted as a loss, never an exception.

        Raises `BadRequest` for what cannot be asked of the dialect at all.
        """

    def read_reply(self, body: bytes, loss: Loss) -> ConversationReply:
        """A unary answer of status 2xx. Raises `ValueError` for what is not one."""

    def stream_reader(self, loss: Loss) -> StreamReader:
        """A reader for one streamed answer."""
