"""Messages of Anthropic's, written: roles that alternate, results of tools first, no empty text."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from msgspec import Struct

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.conversation import (
    Audio,
    Citation,
    ConversationRequest,
    Document,
    Image,
    Message,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from helicone_gw.dialects.translate.egress_common import spoken
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import guess_type, write_cache
from helicone_gw.dialects.translate.names import legal_id

OPENING = "Continue."
"""What the user says where a conversation would begin with the assistant, which Anthropic does not take."""


class Turns(Struct):
    """The messages, texts that belong to the system prompt, and whether a call of the last turn lacks its thought."""

    messages: list[dict[str, Any]]
    system: tuple[Text, ...] = ()
    open_call_unsigned: bool = False


def write_turns(request: ConversationRequest, to: Destination, loss: Loss) -> Turns:
    """The messages of ``request``; neighbours of one role are joined."""
    system, messages = spoken(request, loss)
    turns = Turns([], system)
    for path, message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = [block for part in message.parts for block in write_blocks(part, to, loss, f"{path}.content")]
        if message.role == "assistant":
            turns.open_call_unsigned = _unsigned_call(message)
        elif message.role == "user":
            turns.open_call_unsigned = False
        if not blocks:
            continue
        if turns.messages and turns.messages[-1]["role"] == role:
            turns.messages[-1]["content"] += blocks
        else:
            turns.messages.append({"role": role, "content": blocks})
    if not turns.messages or turns.messages[0]["role"] == "assistant":
        turns.messages.insert(0, {"role": "user", "content": [{"type": "text", "text": OPENING}]})
    for turn in turns.messages:
        if turn["role"] == "user":
            turn["content"].sort(key=lambda block: block["type"] != "tool_result")
    last = turns.messages[-1]
    if last["role"] == "assistant" and last["content"][-1]["type"] == "text":
        # A prefilled answer may not end in white space.
        last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()
    for turn in turns.messages:
        if len(turn["content"]) == 1 and turn["content"][0].keys() == {"type", "text"}:
            turn["content"] = turn["content"][0]["text"]
    return turns


def _unsigned_call(message: Message) -> bool:
    signed = any(isinstance(part, Thinking) and part.vendor == "anthropic" for part in message.parts)
    return not signed and any(isinstance(part, ToolCall) for part in message.parts)


def write_blocks(part: Part, to: Destination, loss: Loss, path: str) -> list[dict[str, Any]]:
    """The block of a part; none for what Anthropic has no block for, which is noted."""
    block: dict[str, Any] | None = None
    match part:
        case Text() | Refusal():
            if not part.text.strip():
                return []
            block = {"type": "text", "text": part.text}
        case Image():
            block = _write_image(part)
        case Document():
            block = _write_document(part)
        case Thinking():
            block = write_thought(part)
        case ToolCall():
            block = {
                "type": "tool_use",
                "id": legal_id(part.id),
                "name": to.names.legal(part.name),
                "input": read_arguments(part, loss, path),
            }
        case ToolResult():
            block = _write_result(part, to, loss, path)
        case Audio():
            block = None
    if block is None:
        loss.note(f"{path}.{type(part).__name__.lower()}")
        return []
    if isinstance(part, Image) and part.detail not in (None, "auto"):
        loss.note(f"{path}.image.detail")
    return [block | only(cache_control=write_cache(getattr(part, "cache", None)))]


def read_arguments(call: ToolCall, loss: Loss, path: str) -> dict[str, Any]:
    """A call's arguments as the object that they should be; other text is put into one."""
    if call.custom:
        return {"input": call.arguments}
    try:
        found = msgspec.json.decode(call.arguments or "{}")
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    loss.note(f"{path}.arguments")
    return {"arguments": call.arguments}


def write_thought(thought: Thinking) -> dict[str, Any] | None:
    """A thought that Anthropic can verify; it refuses all others."""
    if thought.vendor != "anthropic":
        return None
    if thought.redacted is not None:
        return {"type": "redacted_thinking", "data": thought.redacted}
    if thought.signature is None:
        return None
    return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}


def _write_image(image: Image) -> dict[str, Any] | None:
    if image.url is not None:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    if image.data is not None:
        media_type = {"image/jpg": "image/jpeg"}.get(image.media_type or "", image.media_type or "image/png")
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": image.data}}
    return _write_upload("image", image.file_id)


def _write_document(document: Document) -> dict[str, Any] | None:
    words = only(title=document.name, context=document.context)
    if document.citations:
        words["citations"] = {"enabled": True}
    media_type = document.media_type or guess_type(document.name or document.url)
    if document.text is not None:
        source = {"type": "text", "media_type": "text/plain", "data": document.text}
    elif document.url is not None:
        source = {"type": "url", "url": document.url}
    elif document.data is not None and (media_type or "").startswith("text/"):
        try:
            plain = base64.b64decode(document.data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        source = {"type": "text", "media_type": "text/plain", "data": plain}
    elif document.data is not None:
        source = {"type": "base64", "media_type": media_type or "application/pdf", "data": document.data}
    else:
        upload = _write_upload("document", document.file_id)
        return None if upload is None else upload | words
    return {"type": "document", "source": source, **words}


def _write_upload(kind: str, file_id: str | None) -> dict[str, Any] | None:
    if file_id is None or file_id.startswith("file-"):  # OpenAI's: it lies there and not here
        return None
    return {"type": kind, "source": {"type": "file", "file_id": file_id}}


def _write_result(result: ToolResult, to: Destination, loss: Loss, path: str) -> dict[str, Any]:
    blocks = [block for part in result.parts for block in write_blocks(part, to, loss, path)]
    plain = len(blocks) == 1 and blocks[0].keys() == {"type", "text"}
    written: dict[str, Any] = {"type": "tool_result", "tool_use_id": legal_id(result.call_id)}
    if blocks:
        written["content"] = blocks[0]["text"] if plain else blocks
    return written | only(is_error=result.is_error or None)


def write_citation(citation: Citation) -> dict[str, Any] | None:
    """A citation of an answer: its own object, or a page's location; ``None`` for one of neither."""
    if citation.raw is not None and "cited_text" in citation.raw:
        return citation.raw
    if citation.url is None:
        return None
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": citation.cited or "",
        "encrypted_index": "",
    }
