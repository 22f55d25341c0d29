"""Messages of OpenAI chat completions, read."""

from __future__ import annotations

from typing import Any, cast

from helicone_gw.dialects._json import mapping
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
    Vendor,
)
from helicone_gw.dialects.translate.fields import Fields, malformed
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import audio_type, read_cache, split_data_url
from helicone_gw.dialects.translate.signatures import unseal

LEGACY_ID = "call_function"
"""Id of a legacy function call, which has none: one message makes at most one call, and the next one answers it."""
_FORMATS: tuple[tuple[str, Vendor], ...] = (("anthropic", "anthropic"), ("openai", "openai"), ("google", "google"))


def read_system(message: Fields, loss: Loss) -> list[Text]:
    """The texts of a system or developer message."""
    parts = _read_content(message, loss)
    message.ignore("role", "content")
    message.lose(loss)
    texts = [part for part in parts if isinstance(part, Text)]
    if len(texts) != len(parts):
        loss.note(message.at("content"))
    return texts


def read_message(message: Fields, role: str, loss: Loss) -> Message:
    """Any other message. Raises `MalformedBody` for a role that the dialect has not."""
    message.ignore("role")
    if role in ("tool", "function"):
        name = message.text("name")
        call_id = message.text("tool_call_id") or (LEGACY_ID if role == "function" else None)
        if call_id is None:
            malformed(message.at("tool_call_id"), "a string", None)
        cache = read_cache(message.any("cache_control"))
        parts = cast(tuple[Text | Image, ...], tuple(_read_content(message, loss)))
        message.lose(loss)
        return Message("tool", (ToolResult(call_id, parts, name, cache=cache),))
    if role == "assistant":
        return _read_assistant(message, loss)
    if role not in ("user", "system", "developer"):
        malformed(message.at("role"), "one of system, developer, user, assistant, tool", role)
    found = Message(
        cast(Role, "system" if role == "developer" else role),
        tuple(_read_content(message, loss)),
        message.text("name"),
    )
    message.lose(loss)
    return found


def _read_assistant(message: Fields, loss: Loss) -> Message:
    parts: list[Part] = [*read_thinking(message), *_read_content(message, loss)]
    refusal = message.text("refusal")
    if refusal:
        parts.append(Refusal(refusal))
    parts += (read_tool_call(call, loss) for call in message.objects("tool_calls"))
    legacy = message.object("function_call")
    if legacy is not None:
        parts.append(ToolCall(LEGACY_ID, legacy.needed("name"), legacy.text("arguments") or "{}"))
    message.ignore("annotations")
    found = Message("assistant", tuple(parts), message.text("name"))
    message.lose(loss)
    return found


def read_tool_call(call: Fields, loss: Loss) -> ToolCall:
    """One of ``tool_calls``; Gemini's signature where Google's OpenAI-compatible endpoint has it."""
    custom = call.object("custom")
    function = custom or call.object("function")
    if function is None:
        malformed(call.at("function"), "an object", None)
    extra = mapping(mapping(call.any("extra_content")).get("google")).get("thought_signature")
    call.ignore("type", "index")
    found = ToolCall(
        id=call.needed("id"),
        name=function.needed("name"),
        arguments=function.text("input" if custom else "arguments") or ("" if custom else "{}"),
        signature=extra if isinstance(extra, str) else None,
        custom=custom is not None,
    )
    call.lose(loss)
    return found


def read_thinking(message: Fields) -> list[Thinking]:
    """What an assistant's message says of its thoughts; the form that holds signatures goes before plain text."""
    blocks = message.any("thinking_blocks")
    details = message.any("reasoning_details")
    plain = message.any("reasoning_content", "reasoning")
    found = [thought for block in blocks or () if (thought := _of_block(block))] if isinstance(blocks, list) else []
    if not found and isinstance(details, list):
        found = [thought for detail in details if (thought := _of_detail(detail))]
    if not found and isinstance(plain, str) and plain:
        found = [Thinking(plain)]
    return found


def _of_block(block: Any) -> Thinking | None:
    raw = mapping(block)
    text, signature, data = raw.get("thinking"), raw.get("signature"), raw.get("data")
    if raw.get("type") == "redacted_thinking" and isinstance(data, str):
        sealed = unseal(data, "anthropic")
        return Thinking(redacted=sealed.value, vendor=sealed.vendor, id=sealed.id)
    if not isinstance(text, str):
        return None
    if not isinstance(signature, str) or not signature:
        return Thinking(text) if text else None
    sealed = unseal(signature, "anthropic")
    return Thinking(text, sealed.value, vendor=sealed.vendor, id=sealed.id)


def _of_detail(detail: Any) -> Thinking | None:
    raw = mapping(detail)
    maker = str(raw.get("format") or "")
    vendor: Vendor = next((vendor for prefix, vendor in _FORMATS if maker.startswith(prefix)), "other")
    text = raw.get("text") or raw.get("summary")
    item = raw.get("id") if isinstance(raw.get("id"), str) else None
    data, signature = raw.get("data"), raw.get("signature")
    if isinstance(data, str):
        return Thinking(redacted=data, vendor=vendor, id=item)
    if not isinstance(text, str):
        return None
    if isinstance(signature, str) and signature:
        return Thinking(text, signature, vendor=vendor, id=item)
    return Thinking(text)


def _read_content(message: Fields, loss: Loss) -> list[Part]:
    content = message.any("content")
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content, read_cache(message.any("cache_control")))] if content else []
    if not isinstance(content, list):
        malformed(message.at("content"), "a string or an array", content)
    parts: list[Part] = []
    for part in message.objects("content"):
        found = _read_part(part)
        if found is None:
            loss.note(part.path)
        else:
            part.lose(loss)
            parts.append(found)
    return parts


def _read_part(part: Fields) -> Part | None:
    kind = part.needed("type")
    cache = read_cache(part.any("cache_control"))
    match kind:
        case "text" | "input_text":
            return Text(part.needed("text"), cache)
        case "refusal":
            return Refusal(part.needed("refusal"))
        case "image_url":
            return _read_image(part, cache)
        case "input_audio":
            audio = part.object("input_audio") or part
            return Audio(audio.needed("data"), audio_type(audio.needed("format")), cache)
        case "file":
            return _read_file(part.object("file") or part, cache)
    return None


def read_detail(image: Fields) -> str | None:
    """``detail`` of a picture; ``None`` for "auto", which is what it is when nobody says."""
    detail = image.text("detail")
    return None if detail == "auto" else detail


def _read_image(part: Fields, cache: str | None) -> Image:
    image = part.any("image_url")
    if isinstance(image, str):
        url, detail = image, None
    else:
        inner = Fields(image, part.at("image_url"))
        url, detail = inner.needed("url"), read_detail(inner)
    inline = split_data_url(url)
    if inline is None:
        return Image(url=url, detail=detail, cache=cache)
    return Image(data=inline[1], media_type=inline[0], detail=detail, cache=cache)


def _read_file(file: Fields, cache: str | None) -> Document:
    data, name, file_id = file.text("file_data"), file.text("filename"), file.text("file_id")
    if data is None:
        return Document(file_id=file_id, name=name, cache=cache)
    inline = split_data_url(data)
    if inline is not None:
        return Document(data=inline[1], media_type=inline[0], name=name, cache=cache)
    if data.startswith(("http://", "https://")):  # OpenRouter takes addresses here
        return Document(url=data, name=name, cache=cache)
    return Document(data=data, media_type="application/pdf", name=name, cache=cache)
