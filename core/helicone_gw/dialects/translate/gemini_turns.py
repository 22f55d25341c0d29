"""Contents of Gemini's, written: roles that alternate, results of functions after their calls."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from msgspec import Struct

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.conversation import (
    Audio,
    ConversationRequest,
    Document,
    Image,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from helicone_gw.dialects.translate.custom_tools import wrapped
from helicone_gw.dialects.translate.egress_common import spoken
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.gemini_parts import SKIP_SIGNATURE
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import guess_type
from helicone_gw.dialects.translate.reasoning import takes_levels

WITHOUT_IDS = frozenset({"vertex"})
"""Providers that know no ids of calls: results follow in the order of their calls."""


class Contents(Struct):
    """The contents, and texts that belong to the system instruction."""

    contents: list[dict[str, Any]]
    system: tuple[Text, ...] = ()


def write_contents(request: ConversationRequest, to: Destination, loss: Loss) -> Contents:
    """The contents of ``request``; neighbours of one role are joined."""
    writer = _Contents(request, to, loss)
    system, messages = spoken(request, loss)
    found = Contents([], system)
    for path, message in messages:
        role = "model" if message.role == "assistant" else "user"
        parts = writer.parts(message.parts, f"{path}.content")
        if not parts:
            continue
        if found.contents and found.contents[-1]["role"] == role:
            found.contents[-1]["parts"] += parts
        else:
            found.contents.append({"role": role, "parts": parts})
    if not found.contents:
        found.contents.append({"role": "user", "parts": [{"text": " "}]})  # there must be one
    return found


class _Contents:
    def __init__(self, request: ConversationRequest, to: Destination, loss: Loss) -> None:
        self._to = to
        self._loss = loss
        self._newer = takes_levels(to.model)
        self._names = {
            part.id: part.name for message in request.messages for part in message.parts if isinstance(part, ToolCall)
        }

    def parts(self, parts: tuple[Part, ...], path: str) -> list[dict[str, Any]]:
        written: list[dict[str, Any]] = []
        called = False
        for part in parts:
            if getattr(part, "cache", None) is not None:
                self._loss.note("cache_control")
            match part:
                case Text() | Refusal():
                    signature = getattr(part, "signature", None)
                    if part.text or signature:
                        written.append({"text": part.text} | only(thoughtSignature=signature))
                case ToolCall():
                    written.append(self._call(part, path, first=not called))
                    called = True
                case ToolResult():
                    written += self._result(part, path)
                case Thinking():
                    if part.vendor == "google" and part.redacted is None:
                        written.append({"text": part.text, "thought": True} | only(thoughtSignature=part.signature))
                    else:
                        self._loss.note(f"{path}.thinking")
                case _:
                    written += self._media(part, path)
        return written

    def _call(self, call: ToolCall, path: str, *, first: bool) -> dict[str, Any]:
        call = wrapped(call)
        try:
            arguments = msgspec.json.decode(call.arguments or "{}")
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            self._loss.note(f"{path}.arguments")
            arguments = {"input": call.arguments}
        function = {"name": self._to.names.legal(call.name), "args": arguments} | self._id(call.id)
        signature = call.signature
        if signature is None and first and self._newer:
            signature = SKIP_SIGNATURE
        return {"functionCall": function} | only(thoughtSignature=signature)

    def _id(self, id: str) -> dict[str, str]:
        return {} if self._to.provider in WITHOUT_IDS else {"id": id}

    def _result(self, result: ToolResult, path: str) -> list[dict[str, Any]]:
        name = self._names.get(result.call_id) or result.name or result.call_id
        text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
        others = [media for part in result.parts if not isinstance(part, Text) for media in self._media(part, path)]
        function: dict[str, Any] = {"name": self._to.names.legal(name), "response": _response(text, result.is_error)}
        function |= self._id(result.call_id)
        if others and self._newer:
            function["parts"] = others
            others = []
        return [{"functionResponse": function}, *others]

    def _media(self, part: Part, path: str) -> list[dict[str, Any]]:
        match part:
            case Image(data=str() as data):
                return [_inline(part.media_type or "image/png", data)]
            case Image(url=str() as url):
                if part.detail not in (None, "auto"):
                    self._loss.note(f"{path}.image.detail")
                return [_file(part.media_type or guess_type(url) or "image/jpeg", url)]
            case Audio():
                return [_inline(part.media_type, part.data)]
            case Document(text=str() as text):
                return [_inline("text/plain", base64.b64encode(text.encode()).decode())]
            case Document(data=str() as data):
                media_type = part.media_type or guess_type(part.name) or "application/pdf"
                return [_inline(media_type, data)]
            case Document(url=str() as url):
                return [_file(part.media_type or guess_type(url) or "application/pdf", url)]
        self._loss.note(f"{path}.{type(part).__name__.lower()}")
        return []


def _inline(media_type: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _file(media_type: str, url: str) -> dict[str, Any]:
    return {"fileData": {"mimeType": media_type, "fileUri": url}}


def _response(text: str, is_error: bool) -> dict[str, Any]:
    """What a function returned, as the object that it has to be."""
    if is_error:
        return {"error": text}
    if text.lstrip().startswith("{"):
        try:
            found = msgspec.json.decode(text)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
    return {"result": text}
