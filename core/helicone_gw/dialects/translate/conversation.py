"""The neutral form of a conversation: what a request asks, in the nouns that every chat dialect has some word for.

A request is system parts and messages; a message is parts. Results of tools stand in messages of their own (role
"tool"), as OpenAI has them, whatever the dialect: a reader splits and a writer joins. Structs are made by readers,
changed by nobody, and written by writers; two requests that say the same compare equal.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

Role = Literal["system", "user", "assistant", "tool"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How much thought is asked for, in OpenAI's words, least first."""
Vendor = Literal["anthropic", "openai", "google", "openrouter", "other"]
"""Whose signature it is: only its maker can verify or decrypt one."""


class Citation(Struct, frozen=True):
    """Where a text comes from: a page (``url``), or a place in the document number ``document``.

    ``start`` and ``end`` are characters of the text that cites (``end`` excluded), where the dialect says so; ``cited``
    is the quoted text. ``raw`` is the dialect's own object, by which its writer gives it back unchanged.
    """

    url: str | None = None
    title: str | None = None
    cited: str | None = None
    document: int | None = None
    start: int | None = None
    end: int | None = None
    raw: dict[str, Any] | None = None


class Text(Struct, frozen=True):
    """Text. ``cache`` marks the end of a cacheable prefix: its lifetime as Anthropic writes it ("5m", "1h").

    ``signature`` is Gemini's ``thoughtSignature`` on a part that is no thought.
    """

    text: str
    cache: str | None = None
    citations: tuple[Citation, ...] = ()
    signature: str | None = None


class Image(Struct, frozen=True):
    """A picture: by ``url``, as base64 ``data`` with its ``media_type``, or as an uploaded ``file_id``."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    file_id: str | None = None
    detail: str | None = None
    cache: str | None = None


class Audio(Struct, frozen=True):
    """Sound: base64 ``data`` with its ``media_type`` ("audio/wav", "audio/mpeg")."""

    data: str
    media_type: str
    cache: str | None = None


class Document(Struct, frozen=True):
    """A file that is neither picture nor sound: by ``url``, base64 ``data``, plain ``text`` or ``file_id``.

    ``citations``: the model may cite it.
    """

    url: str | None = None
    data: str | None = None
    text: str | None = None
    file_id: str | None = None
    media_type: str | None = None
    name: str | None = None
    context: str | None = None
    citations: bool = False
    cache: str | None = None


class Thinking(Struct, frozen=True):
    """What a model thought. ``signature`` proves it to its maker, ``vendor``; ``redacted`` is the thought, encrypted.

    ``id`` is the item's (OpenAI's responses).
    """

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    vendor: Vendor | None = None
    id: str | None = None


class ToolCall(Struct, frozen=True):
    """A call of a tool by the model: ``arguments`` is JSON text of an object (free text of a ``custom`` tool)."""

    id: str
    name: str
    arguments: str = "{}"
    signature: str | None = None
    custom: bool = False
    cache: str | None = None


class ToolResult(Struct, frozen=True):
    """What a tool returned for call ``call_id``. ``name`` is the tool's, where the dialect or the call says it."""

    call_id: str
    parts: tuple[Text | Image | Audio | Document, ...] = ()
    name: str | None = None
    is_error: bool = False
    cache: str | None = None


class Refusal(Struct, frozen=True):
    """The model's words for not answering."""

    text: str


Part = Text | Image | Audio | Document | Thinking | ToolCall | ToolResult | Refusal


class Message(Struct, frozen=True):
    """One turn. ``name`` tells participants of one role apart (OpenAI)."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None


class Tool(Struct, frozen=True):
    """A function that the model may call; ``parameters`` is the JSON Schema of its arguments, ``None``: it has none.

    A ``custom`` tool takes free text; here it is a function of that text (`custom_tools`).
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    cache: str | None = None
    custom: bool = False


class ToolChoice(Struct, frozen=True):
    """Whether tools are to be called: ``names`` restricts which ones ("required" with one name: that one)."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()


class ResponseFormat(Struct, frozen=True):
    """The form that the answer must have: any JSON object (``schema`` is ``None``), or JSON of a schema."""

    schema: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class Reasoning(Struct, frozen=True):
    """How much to think: ``effort`` or ``budget`` (tokens; -1: as the model sees fit), and whether to show it.

    ``show`` is ``None`` where the client did not say; ``summary`` is OpenAI's kind of summary.
    """

    effort: Effort | None = None
    budget: int | None = None
    show: bool | None = None
    summary: str | None = None


class ConversationRequest(Struct):
    """One request for a completion. ``None`` and empty mean that the client did not say.

    ``top_logprobs`` 0 asks for the chosen tokens' only. ``extras`` holds fields that no noun here stands for, by their
    dotted path in the client's dialect: a writer drops what it does not know and notes the loss.
    """

    model: str
    messages: list[Message]
    system: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning: Reasoning | None = None
    verbosity: str | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    n: int | None = None
    top_logprobs: int | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    web_search: bool = False
    stream: bool = False
    include_usage: bool = False
    extras: dict[str, Any] = field(default_factory=dict)
