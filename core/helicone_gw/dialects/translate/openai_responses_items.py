"""Items of OpenAI's responses, read: those of a request, and those of an answer."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from helicone_gw.dialects._json import items, mapping, text
from helicone_gw.dialects.translate.conversation import (
    Audio,
    Document,
    Image,
    Message,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from helicone_gw.dialects.translate.fields import Fields, malformed
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import audio_type, split_data_url
from helicone_gw.dialects.translate.openai_chat_messages import read_detail
from helicone_gw.dialects.translate.openai_chat_reply import read_annotation
from helicone_gw.dialects.translate.signatures import unseal

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


def read_input(fields: Fields, loss: Loss) -> tuple[tuple[Text, ...], list[Message]]:
    """The system parts that lead, and the messages: what an assistant did one after another is one message."""
    value = fields.any("input")
    if value is None:
        return (), []
    if isinstance(value, str):
        return (), [Message("user", (Text(value),))]
    system: list[Text] = []
    messages: list[Message] = []
    signatures: dict[str, str] = {}
    for item in fields.objects("input"):
        message = _read_item(item, loss)
        if message is None:
            loss.note(item.path)
            continue
        first = message.parts[0] if message.parts else None
        if isinstance(first, Thinking) and first.vendor == "google" and first.id and not first.text:
            signatures[first.id] = first.signature or ""
        elif message.role == "system" and not messages:
            system += (part for part in message.parts if isinstance(part, Text))
        elif messages and message.role == messages[-1].role and message.role in ("assistant", "tool"):
            messages[-1] = replace(messages[-1], parts=messages[-1].parts + message.parts)
        else:
            messages.append(message)
    if signatures:
        messages = [replace(message, parts=_signed(message.parts, signatures)) for message in messages]
    return tuple(system), messages


def _signed(parts: tuple[Part, ...], signatures: dict[str, str]) -> tuple[Part, ...]:
    return tuple(
        replace(part, signature=signatures[part.id]) if isinstance(part, ToolCall) and part.id in signatures else part
        for part in parts
    )


def _read_item(item: Fields, loss: Loss) -> Message | None:
    kind = item.text("type") or "message"
    item.ignore("id", "status", "phase")
    match kind:
        case "message":
            role = _ROLES.get(word := item.needed("role"))
            if role is None:
                malformed(item.at("role"), "one of user, assistant, system, developer", word)
            return Message(role, tuple(read_content(item, "content", loss)))
        case "function_call" | "custom_tool_call":
            return Message("assistant", (read_call(item),))
        case "function_call_output" | "custom_tool_call_output":
            parts = tuple(
                part for part in read_content(item, "output", loss) if isinstance(part, Text | Image | Audio | Document)
            )
            return Message("tool", (ToolResult(item.needed("call_id"), parts),))
        case "reasoning":
            return Message("assistant", (read_reasoning(item.value),))
    return None


def read_call(item: Fields) -> ToolCall:
    """A ``function_call`` or ``custom_tool_call``."""
    custom = item.text("type") == "custom_tool_call"
    arguments = item.text("input" if custom else "arguments") or ("" if custom else "{}")
    return ToolCall(item.needed("call_id"), item.needed("name"), arguments, custom=custom)


def read_reasoning(raw: Any) -> Thinking:
    """A ``reasoning`` item: its text where it has one, else its summary, a paragraph for each part."""
    pieces = [
        words
        for name in ("content", "summary")
        for piece in items(raw.get(name))
        if (words := text(mapping(piece).get("text")))
    ]
    words = "\n\n".join(pieces)
    item_id, encrypted = text(raw.get("id")), text(raw.get("encrypted_content"))
    if encrypted is None:
        return Thinking(words, vendor="openai", id=item_id)
    sealed = unseal(encrypted, "openai")
    own = sealed.vendor == "openai"
    return Thinking(words, sealed.value, vendor=sealed.vendor, id=item_id if own else sealed.id)


def read_content(item: Fields, name: str, loss: Loss) -> list[Part]:
    """The parts of a message, or of what a tool returned."""
    value = item.any(name)
    if value is None:
        return []
    if isinstance(value, str):
        return [Text(value)]
    parts: list[Part] = []
    for part in item.objects(name):
        found = _read_part(part)
        if found is None:
            loss.note(part.path)
        else:
            parts.append(found)
    return parts


def _read_part(part: Fields) -> Part | None:
    match part.needed("type"):
        case "input_text" | "text" | "output_text":
            citations = [read_annotation(item) for item in items(part.any("annotations"))]
            return Text(part.needed("text"), citations=tuple(found for found in citations if found))
        case "refusal":
            return Refusal(part.needed("refusal"))
        case "input_image":
            return _read_image(part)
        case "input_file":
            return _read_file(part)
        case "input_audio":
            audio = part.object("input_audio") or part
            return Audio(audio.needed("data"), audio_type(audio.needed("format")))
    return None


def _read_image(part: Fields) -> Image | None:
    url, file_id, detail = part.text("image_url"), part.text("file_id"), read_detail(part)
    if url is None:
        return None if file_id is None else Image(file_id=file_id, detail=detail)
    inline = split_data_url(url)
    if inline is None:
        return Image(url=url, detail=detail)
    return Image(data=inline[1], media_type=inline[0], detail=detail)


def _read_file(part: Fields) -> Document | None:
    data, name, url = part.text("file_data"), part.text("filename"), part.text("file_url")
    if url is not None:
        return Document(url=url, name=name)
    if data is None:
        file_id = part.text("file_id")
        return None if file_id is None else Document(file_id=file_id, name=name)
    inline = split_data_url(data)
    if inline is None:
        return Document(data=data, media_type="application/pdf", name=name)
    return Document(data=inline[1], media_type=inline[0], name=name)
