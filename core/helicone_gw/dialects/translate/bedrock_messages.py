"""Messages of Bedrock's Converse, written: content blocks, cache points, results of tools."""

from __future__ import annotations

import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from typing import Any

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.conversation import (
    Audio,
    ConversationRequest,
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
from helicone_gw.dialects.translate.egress_common import arguments_object, merged
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.names import legal_id

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_AUDIO = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/aac": "aac",
    "audio/mp4": "mp4",
    "audio/webm": "webm",
    "audio/opus": "opus",
}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_CACHES = "amazon.nova"
"""Models of this name know cache points."""
_UNFIT_FOR_NAMES = re.compile(r"[^A-Za-z0-9\s\-()\[\]]")
_LONGEST_DOCUMENT_NAME = 200


class Blocks:
    """Writes content blocks for one request; what has no block is noted."""

    def __init__(self, to: Destination, loss: Loss) -> None:
        self._to = to
        self._loss = loss
        self._caches = _CACHES in to.model
        self._documents: set[str] = set()

    def system(self, request: ConversationRequest) -> list[dict[str, Any]]:
        """The system's blocks."""
        blocks: list[dict[str, Any]] = []
        for text in request.system:
            if text.text:
                blocks.append({"text": text.text})
            blocks += self.cache_point(text.cache, "system")
        return blocks

    def messages(self, request: ConversationRequest) -> list[dict[str, Any]]:
        """The messages, of alternating roles; results of tools are the user's, as is what a system says in between."""
        turns: list[tuple[Role, list[dict[str, Any]]]] = []
        for index, message in enumerate(request.messages):
            path = f"messages.{index}"
            if message.name:
                self._loss.note(f"{path}.name")
            if message.role == "system":
                self._loss.note(f"{path}.role")
            role: Role = "assistant" if message.role == "assistant" else "user"
            turns.append((role, self._content(message, f"{path}.content")))
        return [{"role": role, "content": blocks} for role, blocks in merged(turns)]

    def cache_point(self, cache: str | None, path: str) -> list[dict[str, Any]]:
        """The block that ends a cacheable prefix, for models that know it."""
        if cache is None:
            return []
        if not self._caches:
            self._loss.note(f"{path}.cache_control")
            return []
        return [{"cachePoint": {"type": "default"} | only(ttl=cache if cache == "1h" else None)}]

    def _content(self, message: Message, path: str) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        for part in message.parts:
            found = self._block(part, path)
            if found is not None:
                blocks.append(found)
            blocks += self.cache_point(getattr(part, "cache", None), path)
        return blocks

    def _block(self, part: Part, path: str) -> dict[str, Any] | None:
        match part:
            case Text() | Refusal():
                if isinstance(part, Text) and part.citations:
                    self._loss.note(f"{path}.citations")
                return {"text": part.text} if part.text else None
            case Thinking():
                return self._thought(part, path)
            case ToolCall():
                use = {"toolUseId": legal_id(part.id), "name": self._to.names.legal(part.name)}
                return {"toolUse": {**use, "input": arguments_object(part, path, self._loss)}}
            case ToolResult():
                return self._result(part, path)
            case Image():
                return self._image(part, path)
            case Audio():
                kind = _AUDIO.get(part.media_type.partition(";")[0].strip().lower())
                if kind is not None:
                    return {"audio": {"format": kind, "source": {"bytes": part.data}}}
                self._loss.note(f"{path}.audio")
                return None
            case Document():
                return self._document(part, path)

    def _result(self, result: ToolResult, path: str) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        for part in result.parts:
            if part.cache:
                self._loss.note(f"{path}.cache_control")
            if isinstance(part, Audio):
                self._loss.note(f"{path}.audio")  # messages may have sound, results may not
            elif (block := self._block(part, path)) is not None:
                content.append(block)
        found = {"toolUseId": legal_id(result.call_id), "content": content}
        return {"toolResult": found | only(status="error" if result.is_error else None)}

    def _thought(self, thought: Thinking, path: str) -> dict[str, Any] | None:
        # A model behind a profile may be one that signs its thoughts, as Anthropic's do; the others take back anything.
        own = thought.vendor == "anthropic" or (thought.vendor in (None, "other") and thought.signature is None)
        if own and thought.redacted is not None and _is_base64(thought.redacted):
            return {"reasoningContent": {"redactedContent": thought.redacted}}
        if own and thought.text:
            text = {"text": thought.text} | only(signature=thought.signature)
            return {"reasoningContent": {"reasoningText": text}}
        self._loss.note(f"{path}.thinking")
        return None

    def _image(self, image: Image, path: str) -> dict[str, Any] | None:
        kind = _IMAGES.get((image.media_type or "").lower())
        if image.detail not in (None, "auto"):
            self._loss.note(f"{path}.image.detail")
        if image.data is not None and kind is not None:
            return {"image": {"format": kind, "source": {"bytes": image.data}}}
        if image.url is not None and image.url.startswith("s3://"):
            kind = kind or _IMAGES.get(f"image/{image.url.rpartition('.')[2].lower()}")
            if kind is not None:
                return {"image": {"format": kind, "source": {"s3Location": {"uri": image.url}}}}
        # Bedrock fetches nothing from the web.
        self._loss.note(f"{path}.image")
        return None

    def _document(self, document: Document, path: str) -> dict[str, Any] | None:
        kind = _DOCUMENTS.get((document.media_type or "").partition(";")[0].strip().lower())
        if document.text is not None:
            source: dict[str, Any] | None = {"text": document.text}
            kind = kind or "txt"
        elif document.data is not None and kind is not None:
            source = {"bytes": document.data}
        elif document.url is not None and document.url.startswith("s3://") and kind is not None:
            source = {"s3Location": {"uri": document.url}}
        else:
            source = None
        if source is None:
            self._loss.note(f"{path}.document")
            return None
        found = {"format": kind, "name": self._document_name(document.name), "source": source}
        citations = {"enabled": True} if document.citations else None
        return {"document": found | only(context=document.context, citations=citations)}

    def _document_name(self, given: str | None) -> str:
        """A name of the characters that are allowed, which no other document of the request has."""
        words = " ".join(_UNFIT_FOR_NAMES.sub("-", given or "document").split())[: _LONGEST_DOCUMENT_NAME - 10]
        name, number = words or "document", 2
        while name in self._documents:
            name, number = f"{words} {number}", number + 1
        self._documents.add(name)
        return name


def _is_base64(text: str) -> bool:
    try:
        a2b_base64(text, strict_mode=True)
    except (ValueError, NotBase64):
        return False
    return True
