"""Contents and parts of Gemini's, read: those of a request, and those of an answer."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects.translate.conversation import (
    Audio,
    Document,
    Image,
    Message,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from helicone_gw.dialects.translate.fields import Fields, malformed
from helicone_gw.dialects.translate.gemini_signatures import REDACTED, read_signature
from helicone_gw.dialects.translate.loss import Loss

SKIP_SIGNATURE = "skip_thought_signature_validator"
"""What Google lets stand for the signature of a call that another model made."""


def read_contents(fields: Fields, loss: Loss) -> list[Message]:
    """The messages; a content that holds results of functions beside others makes two.

    Calls and results belong together by id, or, where there are none, by name and order: then ids are made up.
    """
    ids = _Ids()
    messages: list[Message] = []
    contents = fields.any("contents")
    if isinstance(contents, str):
        return [Message("user", (Text(contents),))]
    if isinstance(contents, dict):  # one content outside any list is taken too
        fields = Fields({"contents": [contents]})
    for content in fields.objects("contents"):
        role = content.text("role") or "user"
        if role not in ("user", "model", "function", "tool", "system"):
            malformed(content.at("role"), "one of user, model", role)
        read = read_parts(content, loss)
        parts = [ids.named(part) for part in (_joined(read) if role == "model" else read)]
        results = tuple(part for part in parts if isinstance(part, ToolResult))
        others = tuple(part for part in parts if not isinstance(part, ToolResult))
        if results:
            messages.append(Message("tool", results))
        if others:
            speaker: Role = "assistant" if role == "model" else "system" if role == "system" else "user"
            messages.append(Message(speaker, others))
    return messages


def _joined(parts: list[Part]) -> list[Part]:
    """``parts``, the pieces of a thought joined: clients keep a stream as it came, text first and signature last."""
    found: list[Part] = []
    for part in parts:
        before = found[-1] if found else None
        if (
            isinstance(part, Thinking)
            and isinstance(before, Thinking)
            and before.signature is None
            and before.redacted is None
            and part.redacted is None
        ):
            found[-1] = Thinking(before.text + part.text, part.signature, vendor=part.vendor, id=part.id)
        elif isinstance(part, Text) and isinstance(before, Text) and before.signature is None:
            found[-1] = Text(before.text + part.text, signature=part.signature)
        else:
            found.append(part)
    return found


class _Ids:
    """Ids for calls that have none: "name_1", "name_2", ..., given to results in the order of the calls."""

    def __init__(self) -> None:
        self._calls: dict[str, list[str]] = {}
        self._count: dict[str, int] = {}

    def named(self, part: Part) -> Part:
        """``part`` with an id, if it is a call or a result without one."""
        if isinstance(part, ToolCall):
            if not part.id:
                self._count[part.name] = self._count.get(part.name, 0) + 1
                part = msgspec.structs.replace(part, id=f"{part.name}_{self._count[part.name]}")
            self._calls.setdefault(part.name, []).append(part.id)
        elif isinstance(part, ToolResult) and not part.call_id:
            waiting = self._calls.get(part.name or "")
            return msgspec.structs.replace(part, call_id=waiting.pop(0) if waiting else f"{part.name}_1")
        return part


def read_parts(content: Fields, loss: Loss) -> list[Part]:
    """The parts of a content; what is not understood is noted."""
    parts: list[Part] = []
    for part in content.objects("parts"):
        found = read_part(part, loss)
        if found is None:
            loss.note(part.path)
        else:
            part.lose(loss)
            parts.append(found)
    return parts


def read_part(part: Fields, loss: Loss) -> Part | None:
    """One part; ``None`` for one that is not understood."""
    signature = part.text("thoughtSignature")
    thought = part.flag("thought") is True
    part.ignore("videoMetadata", "mediaResolution", "partMetadata")
    words = part.text("text")
    if thought:
        return _read_thought(words or "", signature)
    if words is not None:
        return Text(words, signature=signature) if words or signature else None
    call = part.object("functionCall")
    if call is not None:
        arguments = msgspec.json.encode(call.mapping("args") or {}).decode()
        own = None if signature == SKIP_SIGNATURE else signature
        return ToolCall(call.text("id") or "", call.needed("name"), arguments, own)
    result = part.object("functionResponse")
    if result is not None:
        return _read_result(result, loss)
    return _read_media(part)


def _read_thought(words: str, signature: str | None) -> Thinking:
    if signature is None:
        return Thinking(words, vendor="google")
    sealed = read_signature(signature)
    if sealed.id == REDACTED:
        return Thinking(redacted=sealed.value, vendor=sealed.vendor)
    return Thinking(words, sealed.value, vendor=sealed.vendor, id=sealed.id)


def _read_media(part: Fields) -> Part | None:
    inline, file = part.object("inlineData"), part.object("fileData")
    if inline is not None:
        data, kind = inline.needed("data"), inline.text("mimeType") or "application/octet-stream"
        if kind.startswith("image/"):
            return Image(data=data, media_type=kind)
        if kind.startswith("audio/"):
            return Audio(data, kind)
        return Document(data=data, media_type=kind, name=inline.text("displayName"))
    if file is not None:
        url, kind = file.needed("fileUri"), file.text("mimeType") or ""
        if kind.startswith("image/"):
            return Image(url=url, media_type=kind)
        return Document(url=url, media_type=kind or None, name=file.text("displayName"))
    return None


def _read_result(result: Fields, loss: Loss) -> ToolResult:
    response = result.any("response")
    failed = isinstance(response, dict) and response.keys() == {"error"}
    parts = tuple(
        part
        for part in (_read_media(Fields(inner.value, inner.path)) for inner in result.objects("parts"))
        if isinstance(part, Image | Audio | Document)
    )
    return ToolResult(
        result.text("id") or "",
        (Text(_result_text(response)), *parts) if response is not None else parts,
        result.needed("name"),
        is_error=failed,
    )


def _result_text(response: Any) -> str:
    """The one text in a response, if there is nothing else in it; else all of it as JSON."""
    if isinstance(response, dict) and len(response) == 1:
        (name, value) = next(iter(response.items()))
        if name in ("result", "output", "content", "error") and isinstance(value, str):
            return value
    return response if isinstance(response, str) else msgspec.json.encode(response).decode()
