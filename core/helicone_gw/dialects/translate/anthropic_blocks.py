"""Content blocks of Anthropic's messages, read: those of a request, and those of an answer."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects._json import count, items, mapping, text
from helicone_gw.dialects.translate.conversation import (
    Citation,
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
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import read_cache
from helicone_gw.dialects.translate.signatures import unseal

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


def read_message(message: Fields, loss: Loss) -> list[Message]:
    """One message: two where it holds results of tools beside other content, none where it is empty."""
    role = _ROLES.get(word := message.needed("role"))
    if role is None:
        malformed(message.at("role"), "one of user, assistant", word)
    content = message.any("content")
    if isinstance(content, str):
        message.lose(loss)
        return [Message(role, (Text(content),))] if content else []
    parts: list[Part] = []
    results: list[Part] = []
    signatures: dict[str, str] = {}
    for block in message.objects("content"):
        part = _read_block(block, loss)
        if part is None:
            loss.note(block.path)
        elif isinstance(part, ToolResult):
            results.append(part)
        elif isinstance(part, Thinking) and part.vendor == "google" and part.id and not part.text:
            signatures[part.id] = part.signature or ""
        else:
            parts.append(part)
    message.lose(loss)
    if signatures:
        parts = [_signed(part, signatures) for part in parts]
    found = [Message("tool", tuple(results))] if results else []
    if parts:
        found.append(Message(role, tuple(parts)))
    return found


def _signed(part: Part, signatures: dict[str, str]) -> Part:
    if isinstance(part, ToolCall) and part.id in signatures:
        return msgspec.structs.replace(part, signature=signatures[part.id])
    return part


def _read_block(block: Fields, loss: Loss) -> Part | None:
    kind = block.needed("type")
    found: Part | None
    match kind:
        case "text":
            return read_text(block, loss)
        case "image":
            found = _read_image(block)
        case "document":
            found = _read_document(block)
        case "search_result":
            texts = [inner.text("text") or "" for inner in block.objects("content")]
            block.ignore("citations")
            found = Document(text="\n".join(texts), name=block.text("title") or block.text("source"))
            block.ignore("source")
        case "thinking":
            sealed = unseal(block.text("signature") or "", "anthropic")
            found = Thinking(block.needed("thinking"), sealed.value or None, vendor=sealed.vendor, id=sealed.id)
        case "redacted_thinking":
            sealed = unseal(block.needed("data"), "anthropic")
            found = Thinking(redacted=sealed.value, vendor=sealed.vendor, id=sealed.id)
        case "tool_use":
            arguments = compact(block.mapping("input") or {})
            cache = read_cache(block.any("cache_control"))
            block.ignore("caller")
            found = ToolCall(block.needed("id"), block.needed("name"), arguments, cache=cache)
        case "tool_result":
            found = _read_result(block, loss)
        case _:
            return None
    block.lose(loss)
    return found


def read_text(block: Fields, loss: Loss) -> Text:
    """A text block. Its citations are read where they stand in an answer, see `read_citation`."""
    block.ignore("type")
    citations = (read_citation(item) for item in items(block.any("citations")))
    found = Text(block.needed("text"), read_cache(block.any("cache_control")), tuple(citations))
    block.lose(loss)
    return found


def _read_image(block: Fields) -> Image | None:
    cache = read_cache(block.any("cache_control"))
    source = block.object("source")
    if source is None:
        malformed(block.at("source"), "an object", None)
    match source.needed("type"):
        case "base64":
            return Image(data=source.needed("data"), media_type=source.needed("media_type"), cache=cache)
        case "url":
            return Image(url=source.needed("url"), cache=cache)
        case "file":
            return Image(file_id=source.needed("file_id"), cache=cache)
    return None


def _read_document(block: Fields) -> Document | None:
    cache, citations = read_cache(block.any("cache_control")), block.object("citations")
    name, context = block.text("title"), block.text("context")
    source = block.object("source")
    if source is None:
        malformed(block.at("source"), "an object", None)
    found = Document(
        name=name,
        context=context,
        citations=citations is not None and citations.flag("enabled") is True,
        cache=cache,
    )
    match source.needed("type"):
        case "base64":
            media_type = source.text("media_type") or "application/pdf"
            return msgspec.structs.replace(found, data=source.needed("data"), media_type=media_type)
        case "text":
            return msgspec.structs.replace(found, text=source.needed("data"), media_type="text/plain")
        case "content":
            content = source.any("content")
            pieces = [content] if isinstance(content, str) else [text(mapping(item).get("text")) for item in content]
            return msgspec.structs.replace(found, text="\n".join(piece or "" for piece in pieces))
        case "url":
            return msgspec.structs.replace(found, url=source.needed("url"))
        case "file":
            return msgspec.structs.replace(found, file_id=source.needed("file_id"))
    return None


def _read_result(block: Fields, loss: Loss) -> ToolResult:
    content = block.any("content")
    parts: list[Text | Image | Document] = []
    if isinstance(content, str):
        parts = [Text(content)]
    else:
        for inner in block.objects("content"):
            part = _read_block(inner, loss)
            if isinstance(part, Text | Image | Document):
                parts.append(part)
            else:
                loss.note(inner.path)
    return ToolResult(
        block.needed("tool_use_id"),
        tuple(parts),
        is_error=block.flag("is_error") or False,
        cache=read_cache(block.any("cache_control")),
    )


def read_citation(value: Any) -> Citation:
    """A citation of a page or of a document, its own object kept."""
    raw = mapping(value)
    return Citation(
        url=text(raw.get("url")),
        title=text(raw.get("title")) or text(raw.get("document_title")),
        cited=text(raw.get("cited_text")),
        document=count(raw.get("document_index")),
        raw=dict(raw),
    )


def compact(value: Any) -> str:
    """``value`` as JSON text."""
    return msgspec.json.encode(value).decode()
