"""Generated conversations and answers, and the stream of an answer: what the properties of translation are told of."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from hypothesis import strategies as st

from helicone_gw.dialects.translate.conversation import (
    ConversationRequest,
    Image,
    Message,
    Part,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from helicone_gw.dialects.translate.reply import (
    Choice,
    ConversationReply,
    Ended,
    PartEnded,
    PartStarted,
    SignatureDelta,
    Started,
    Stopped,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    UsageReported,
)
from helicone_gw.model import Usage

WORDS = st.text('abcéß☺𝄞 \n"\\{}', max_size=12).map(lambda text: f"x{text}x")
"""Text that begins and ends with what is not white space: dialects trim at the edges."""
NAMES = st.text("abcXYZ_-9", max_size=8).map(lambda text: f"n{text}")
IDS = st.text("abcXYZ_-9", min_size=1, max_size=10)
ARGUMENTS = st.dictionaries(NAMES, st.one_of(st.integers(-1000, 1000), WORDS, st.booleans()), max_size=3).map(
    lambda value: msgspec.json.encode(value).decode()
)
_DATA = st.binary(min_size=3, max_size=12).map(lambda data: base64.b64encode(data).decode())
IMAGES = st.one_of(
    st.builds(Image, data=_DATA, media_type=st.sampled_from(["image/png", "image/jpeg"])),
    st.sampled_from(["a.png", "b.jpg"]).map(lambda name: Image(url=f"https://images.example/{name}")),
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


@st.composite
def requests(draw: st.DrawFn, *, vendor: str | None = None) -> ConversationRequest:
    """A conversation that OpenAI, Anthropic and Google can all express. ``vendor`` has signed its thoughts."""
    tools = tuple(
        Tool(name, draw(st.none() | WORDS), SCHEMA) for name in draw(st.lists(NAMES, max_size=2, unique=True))
    )
    messages: list[Message] = []
    ids = (f"{draw(IDS)}{number}" for number in range(100))
    for _ in range(draw(st.integers(1, 3))):
        pictures = draw(st.lists(IMAGES, max_size=2))
        messages.append(Message("user", (Text(draw(WORDS)), *pictures)))
        calls = tuple(
            ToolCall(next(ids), draw(st.sampled_from([tool.name for tool in tools])), draw(ARGUMENTS))
            for _ in range(draw(st.integers(0, 3)) if tools else 0)
        )
        if not calls:
            messages.append(Message("assistant", (Text(draw(WORDS)),)))
            continue
        said: tuple[Part, ...] = (Text(draw(WORDS)),) if draw(st.booleans()) else ()
        if vendor is not None and draw(st.booleans()):
            said = (Thinking(draw(WORDS), draw(_DATA), vendor=vendor), *said)  # type: ignore[arg-type]
        messages.append(Message("assistant", said + calls))
        messages.append(
            Message("tool", tuple(ToolResult(call.id, (Text(draw(WORDS)),), name=call.name) for call in calls))
        )
        messages.append(Message("assistant", (Text(draw(WORDS)),)))
    if messages[-1].role == "assistant":
        messages.append(Message("user", (Text(draw(WORDS)),)))
    return ConversationRequest(
        model="a-model",
        messages=messages,
        system=tuple(Text(text) for text in draw(st.lists(WORDS, max_size=1))),
        tools=tools,
        tool_choice=draw(st.none() | st.sampled_from([ToolChoice("auto"), ToolChoice("none"), ToolChoice("required")]))
        if tools
        else None,
        response_format=draw(st.none() | st.just(ResponseFormat(SCHEMA))),
        max_tokens=draw(st.integers(1, 4096)),
        temperature=draw(st.none() | st.sampled_from([0.0, 0.25, 1.0])),
    )


@st.composite
def replies(draw: st.DrawFn, *, vendor: str | None = None) -> ConversationReply:
    """An answer that every client's dialect can express: a thought, a text, calls of tools, in this order."""
    parts: list[Part] = []
    if draw(st.booleans()):
        signature = draw(st.none() | _DATA) if vendor is not None else None
        parts.append(Thinking(draw(WORDS), signature, vendor=vendor))  # type: ignore[arg-type]
    if draw(st.booleans()):
        parts.append(Text(draw(WORDS)))
    ids = draw(st.lists(IDS, max_size=3, unique=True))
    parts += (ToolCall(call_id, draw(NAMES), draw(ARGUMENTS)) for call_id in ids)
    stop = "tool_calls" if ids else draw(st.sampled_from(["stop", "length"]))
    usage = draw(
        st.builds(
            Usage,
            input_tokens=st.integers(100, 1000),
            output_tokens=st.integers(100, 1000),
            cache_read_tokens=st.integers(1, 100),
            reasoning_tokens=st.integers(1, 100),
        )
    )
    return ConversationReply(draw(IDS), "a-model", [Choice(parts, stop)], 1700000000, usage)  # type: ignore[arg-type]


def stream_of(reply: ConversationReply, size: int = 4) -> Iterator[StreamEvent]:
    """The events of ``reply`` as a provider would stream it, in pieces of ``size`` characters."""
    yield Started(reply.id, reply.model, reply.created)
    for choice in reply.choices:
        for index, part in enumerate(choice.parts):
            match part:
                case Text():
                    yield PartStarted(index, "text", choice=choice.index)
                    yield from (TextDelta(index, piece, choice.index) for piece in _cut(part.text, size))
                case Thinking():
                    yield PartStarted(index, "thinking", part.id, choice=choice.index)
                    yield from (ThinkingDelta(index, piece, choice.index) for piece in _cut(part.text, size))
                    if part.signature is not None:
                        yield SignatureDelta(index, part.signature, part.vendor, choice=choice.index)
                case ToolCall():
                    yield PartStarted(
                        index, "tool_call", part.id, part.name, signature=part.signature, choice=choice.index
                    )
                    yield from (ToolArgumentsDelta(index, piece, choice.index) for piece in _cut(part.arguments, size))
                case other:
                    raise AssertionError(other)
            yield PartEnded(index, choice.index)
        yield Stopped(choice.stop or "stop", choice.stop_sequence, choice.index)
    if reply.usage is not None:
        yield UsageReported(reply.usage, reply.service_tier)
    yield Ended()


def _cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def gathered(events: Iterable[StreamEvent]) -> ConversationReply:
    """The answer that a stream amounts to. Asserts the order that `StreamReader` promises."""
    reply = ConversationReply("", "", [])
    parts: dict[tuple[int, int], Any] = {}
    choices: dict[int, Choice] = {}
    ended = False
    for event in events:
        assert not ended, "nothing follows the end"
        number = getattr(event, "choice", 0)
        key = (number, getattr(event, "index", -1))
        match event:
            case Started():
                assert not parts
                reply.id, reply.model, reply.created = event.id, event.model, event.created
            case PartStarted():
                assert key not in parts, "every part begins once"
                parts[key] = {"kind": event.kind, "event": event, "text": "", "open": True}
            case TextDelta() | ThinkingDelta() | ToolArgumentsDelta():
                assert parts[key]["open"], "nothing comes after the end of a part"
                parts[key]["text"] += event.text
            case SignatureDelta():
                assert parts[key]["open"]
                parts[key]["signature"] = event
            case PartEnded():
                assert parts[key]["open"], "every part ends once"
                parts[key]["open"] = False
            case Stopped():
                assert not any(part["open"] for (choice, _), part in parts.items() if choice == number)
                assert number not in choices, "every choice stops once"
                choices[number] = Choice([], event.reason, event.stop_sequence, index=number)
            case UsageReported():
                reply.usage, reply.service_tier = event.usage, event.service_tier
            case Ended():
                ended = True
            case other:
                raise AssertionError(other)
    assert ended, "the stream was cut"
    for (number, _), part in sorted(parts.items(), key=lambda item: item[0]):
        choices[number].parts.append(_whole(part))
    reply.choices = [choices[number] for number in sorted(choices)]
    return reply


def _whole(part: dict[str, Any]) -> Part:
    started: PartStarted = part["event"]
    match part["kind"]:
        case "text":
            return Text(part["text"])
        case "tool_call":
            return ToolCall(started.id or "", started.name or "", part["text"], started.signature, started.custom)
    signed: SignatureDelta | None = part.get("signature")
    if signed is None:
        return Thinking(part["text"], id=started.id)
    redacted = signed.signature if signed.redacted else None
    signature = None if signed.redacted else signed.signature
    return Thinking(part["text"], signature, redacted, signed.vendor, started.id)
