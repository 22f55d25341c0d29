"""The neutral form of an answer: whole (`ConversationReply`), or as the events of a stream."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from helicone_gw.dialects.translate.conversation import Citation, Part, Vendor
from helicone_gw.model import Usage

StopReason = Literal["stop", "stop_sequence", "length", "tool_calls", "content_filter", "refusal", "pause", "context"]
"""Why a model stopped. "refusal": it would not answer, "content_filter": the provider would not let it; "pause": it
goes on when asked again (Anthropic's ``pause_turn``); "context": its context window is full."""
PartKind = Literal["text", "thinking", "tool_call", "refusal"]


class TokenLogprob(Struct, frozen=True):
    """A token, its log probability, its bytes where known, and the likeliest ones in its place."""

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top: tuple[TokenLogprob, ...] = ()


class Choice(Struct):
    """One answer among ``n``. ``stop_sequence`` is the one that stopped it, where the provider says so."""

    parts: list[Part] = field(default_factory=list)
    stop: StopReason | None = None
    stop_sequence: str | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    index: int = 0


class ConversationReply(Struct):
    """A whole answer. ``created`` is in epoch seconds, ``None`` where the dialect does not say."""

    id: str
    model: str
    choices: list[Choice]
    created: int | None = None
    usage: Usage | None = None
    service_tier: str | None = None


class Started(Struct, frozen=True):
    """The answer begins; comes first, once. ``usage`` is what the provider said so far (Anthropic's input)."""

    id: str
    model: str
    created: int | None = None
    usage: Usage | None = None


class PartStarted(Struct, frozen=True):
    """Part number ``index`` of a choice begins: counted from 0, in order, over all kinds; others may still be open.

    ``id`` and ``name`` are a tool call's; ``id`` also a thought's, where it has one. ``signature`` is Gemini's of a
    tool call.
    """

    index: int
    kind: PartKind
    id: str | None = None
    name: str | None = None
    custom: bool = False
    signature: str | None = None
    choice: int = 0


class TextDelta(Struct, frozen=True):
    """More text."""

    index: int
    text: str
    choice: int = 0


class ThinkingDelta(Struct, frozen=True):
    """More thought."""

    index: int
    text: str
    choice: int = 0


class SignatureDelta(Struct, frozen=True):
    """The signature of a thought, or a piece of it; with ``redacted`` the encrypted thought. Gemini signs texts too."""

    index: int
    signature: str
    vendor: Vendor | None = None
    redacted: bool = False
    choice: int = 0


class ToolArgumentsDelta(Struct, frozen=True):
    """More of a tool call's arguments: a piece of JSON text."""

    index: int
    text: str
    choice: int = 0


class RefusalDelta(Struct, frozen=True):
    """More of a refusal."""

    index: int
    text: str
    choice: int = 0


class CitationDelta(Struct, frozen=True):
    """A citation of a text part."""

    index: int
    citation: Citation
    choice: int = 0


class LogprobsDelta(Struct, frozen=True):
    """Log probabilities of tokens of the delta that comes next."""

    index: int
    logprobs: tuple[TokenLogprob, ...]
    choice: int = 0


class PartEnded(Struct, frozen=True):
    """Part number ``index`` is complete. Every part that began ends, before its choice stops."""

    index: int
    choice: int = 0


class Stopped(Struct, frozen=True):
    """A choice is complete."""

    reason: StopReason
    stop_sequence: str | None = None
    choice: int = 0


class UsageReported(Struct, frozen=True):
    """Usage as far as it is known now; a later one goes before an earlier one. May come after `Stopped`."""

    usage: Usage
    service_tier: str | None = None


class Ended(Struct, frozen=True):
    """The answer is complete; comes last, once. A stream without it was cut."""


class Failed(Struct, frozen=True):
    """The provider reports an error in the middle of a stream, with the HTTP status that it amounts to."""

    message: str
    status: int = 502
    raw: dict[str, Any] | None = None


StreamEvent = (
    Started
    | PartStarted
    | TextDelta
    | ThinkingDelta
    | SignatureDelta
    | ToolArgumentsDelta
    | RefusalDelta
    | CitationDelta
    | LogprobsDelta
    | PartEnded
    | Stopped
    | UsageReported
    | Ended
    | Failed
)
