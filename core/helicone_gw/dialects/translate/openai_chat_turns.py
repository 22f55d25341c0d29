"""Messages of OpenAI chat completions, written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.chat_providers import takes
from helicone_gw.dialects.translate.conversation import (
    Audio,
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
from helicone_gw.dialects.translate.custom_tools import wrapped
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import audio_format, data_url, write_cache
from helicone_gw.dialects.translate.names import legal_id

LONGEST_ID = 40
"""Characters of a tool call's id that chat completions accept."""
_FORMATS = {"anthropic": "anthropic-claude-v1", "openai": "openai-responses-v1", "google": "google-gemini-v1"}


def write_messages(request: ConversationRequest, to: Destination, loss: Loss) -> list[dict[str, Any]]:
    """The messages, system parts first; what stands in no message of OpenAI's is noted."""
    writer = _Turns(to, loss)
    messages: list[dict[str, Any]] = []
    if request.system:
        messages.append({"role": "system", "content": writer.content(request.system, "system")})
    for index, message in enumerate(request.messages):
        messages += writer.turn(message, f"messages.{index}.content")
    return messages


class _Turns:
    def __init__(self, to: Destination, loss: Loss) -> None:
        self._to = to
        self._loss = loss
        self._cacheable = takes(to.provider, "cache_control")

    def turn(self, message: Message, path: str) -> list[dict[str, Any]]:
        if message.role == "tool":
            return self._results(message, path)
        if message.role == "assistant":
            return [self._assistant(message, path)]
        return [
            {"role": message.role, "content": self.content(message.parts, path)} | only(name=message.name),
        ]

    def content(self, parts: Iterable[Part], path: str) -> str | list[dict[str, Any]]:
        """A string where one text is all there is, which every provider takes; else an array."""
        written = [part for part in (self._part(part, path) for part in parts) if part is not None]
        if len(written) == 1 and written[0].keys() == {"type", "text"}:
            return str(written[0]["text"])
        return written or ""

    def _part(self, part: Part, path: str) -> dict[str, Any] | None:
        cache = getattr(part, "cache", None) if self._cacheable else None
        if not self._cacheable and getattr(part, "cache", None):
            self._loss.note(f"{path}.cache_control")
        match part:
            case Text():
                found: dict[str, Any] | None = {"type": "text", "text": part.text}
            case Image():
                found = self._image(part, path)
            case Audio():
                found = self._audio(part, path)
            case Document():
                found = self._document(part, path)
            case _:
                self._loss.note(path)
                found = None
        return None if found is None else found | only(cache_control=write_cache(cache))

    def _image(self, image: Image, path: str) -> dict[str, Any] | None:
        url = image.url or (data_url(image.media_type, image.data) if image.data is not None else None)
        if url is None:
            self._loss.note(f"{path}.image")
            return None
        return {"type": "image_url", "image_url": {"url": url} | only(detail=image.detail)}

    def _audio(self, audio: Audio, path: str) -> dict[str, Any] | None:
        kind = audio_format(audio.media_type)
        if kind is None:
            self._loss.note(f"{path}.audio")
            return None
        return {"type": "input_audio", "input_audio": {"data": audio.data, "format": kind}}

    def _document(self, document: Document, path: str) -> dict[str, Any] | None:
        if document.context or document.citations:
            self._loss.note(f"{path}.document.{'citations' if document.citations else 'context'}")
        if document.text is not None:
            title = f"{document.name}\n\n" if document.name else ""
            return {"type": "text", "text": title + document.text}
        if document.file_id is not None:
            return {"type": "file", "file": {"file_id": document.file_id}}
        if document.data is not None:
            file = {"filename": document.name or "document", "file_data": data_url(document.media_type, document.data)}
            return {"type": "file", "file": file}
        if document.url is not None and takes(self._to.provider, "reasoning_details"):  # OpenRouter takes addresses
            return {"type": "file", "file": {"filename": document.name or "document", "file_data": document.url}}
        self._loss.note(f"{path}.document")
        return None

    def _assistant(self, message: Message, path: str) -> dict[str, Any]:
        texts = [part for part in message.parts if isinstance(part, Text)]
        refusals = [part.text for part in message.parts if isinstance(part, Refusal)]
        calls = [self._call(part) for part in message.parts if isinstance(part, ToolCall)]
        if any(isinstance(part, Image | Audio | Document) for part in message.parts):
            self._loss.note(path)
        content: str | list[dict[str, Any]] | None = "".join(part.text for part in texts) if texts else None
        if self._cacheable and any(part.cache for part in texts):
            content = self.content(texts, path)
        written: dict[str, Any] = {"role": "assistant", "content": content}
        written |= only(
            refusal="".join(refusals) or None,
            tool_calls=calls or None,
            name=message.name,
            **self._thinking([part for part in message.parts if isinstance(part, Thinking)], path),
        )
        if content is None and not calls and not refusals:
            written["content"] = ""
        return written

    def _call(self, call: ToolCall) -> dict[str, Any]:
        written = write_tool_call(wrapped(call), legal_id(call.id, LONGEST_ID), self._to.names.legal(call.name))
        if not takes(self._to.provider, "reasoning_details") and self._to.provider not in ("gemini", "vertex"):
            written.pop("extra_content", None)
        return written

    def _thinking(self, thoughts: list[Thinking], path: str) -> dict[str, Any]:
        """Thoughts in the words of the few providers that take them back; the others make do without."""
        if not thoughts:
            return {}
        if takes(self._to.provider, "reasoning_details"):
            return {"reasoning_details": [_detail(thought, index) for index, thought in enumerate(thoughts)]}
        text = "".join(thought.text for thought in thoughts)
        if text and takes(self._to.provider, "reasoning_content"):
            return {"reasoning_content": text}
        self._loss.note(f"{path}.thinking")
        return {}

    def _results(self, message: Message, path: str) -> list[dict[str, Any]]:
        written: list[dict[str, Any]] = []
        pictures: list[dict[str, Any]] = []
        for result in message.parts:
            if not isinstance(result, ToolResult):
                self._loss.note(path)
                continue
            content = self.content((part for part in result.parts if isinstance(part, Text)), path)
            if result.is_error:
                self._loss.note(f"{path}.is_error")
            if result.cache and not self._cacheable:
                self._loss.note(f"{path}.cache_control")
            others = (self._part(part, path) for part in result.parts if not isinstance(part, Text))
            pictures += [other for other in others if other is not None]
            written.append(
                {"role": "tool", "tool_call_id": legal_id(result.call_id, LONGEST_ID), "content": content}
                | only(cache_control=write_cache(result.cache) if self._cacheable else None)
            )
        if pictures:
            # A tool's message holds text only; what else it returned follows as the user's.
            written.append({"role": "user", "content": pictures})
        return written


def write_tool_call(call: ToolCall, id: str, name: str) -> dict[str, Any]:
    """One of ``tool_calls``; Gemini's signature where Google's OpenAI-compatible endpoint has it."""
    if call.custom:
        return {"id": id, "type": "custom", "custom": {"name": name, "input": call.arguments}}
    written: dict[str, Any] = {
        "id": id,
        "type": "function",
        "function": {"name": name, "arguments": call.arguments},
    }
    if call.signature is not None:
        written["extra_content"] = {"google": {"thought_signature": call.signature}}
    return written


def _detail(thought: Thinking, index: int) -> dict[str, Any]:
    kind = _FORMATS.get(thought.vendor or "")
    if thought.redacted is not None:
        return only(type="reasoning.encrypted", data=thought.redacted, id=thought.id, format=kind, index=index)
    return only(
        type="reasoning.text",
        text=thought.text,
        signature=thought.signature,
        id=thought.id,
        format=kind,
        index=index,
    )
