"""Errors on the wire: what a provider's error object says, and how each dialect writes ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from helicone_gw.dialects._json import count, describe, mapping, text
from helicone_gw.dialects._words import anthropic_type, gemini_status, status_of
from helicone_gw.dialects.base import ErrorFacts, EventFacts, Reply
from helicone_gw.sse import encode_event, event_name

UNKNOWN_STATUS = 502
_ENCODER = msgspec.json.Encoder(enc_hook=str, decimal_format="number")


class WireError(NamedTuple):
    """A provider's error: its message, and the HTTP status that it amounts to."""

    message: str
    status: int


def read_error(value: Any) -> WireError:
    """The error that a provider put at ``error``, whatever its shape: an object, a string, anything that is not falsy.

    The status is a numeric ``code`` or ``status``, else what the words of ``type``, ``code`` and ``status`` stand for,
    else 502.
    """
    if isinstance(value, str):
        return WireError(value, UNKNOWN_STATUS)
    raw = mapping(value)
    if not raw:
        return WireError(f"The provider reported an error: {describe(value)}.", UNKNOWN_STATUS)
    words = [raw.get("code"), raw.get("type"), raw.get("status"), raw.get("http_code")]
    message = text(raw.get("message")) or text(raw.get("detail"))
    if message is None:
        named = text(raw.get("type")) or text(raw.get("code"))
        message = f"The provider reported an error: {named or describe(value)}."
    return WireError(message, _status(words))


def failure(value: Any) -> EventFacts:
    """The facts of an event that has ``value`` for its error."""
    wire = read_error(value)
    return EventFacts(error=wire.message, error_status=wire.status)


def unreadable(event: bytes, data: bytes) -> EventFacts:
    """The facts of an event whose ``data`` is not what its dialect says: an error where its name says so."""
    return EventFacts(error=data.decode("utf-8", "replace")) if event_name(event) == "error" else EventFacts()


def with_error(reply: Reply, value: Any) -> Reply:
    """``reply``, whose body has ``value`` at ``error``; what is falsy, and an object with nothing set, is none."""
    if not value or (isinstance(value, dict) and not any(value.values())):
        return reply
    wire = read_error(value)
    return replace(reply, error=wire.message, error_status=wire.status)


class Refusal(NamedTuple):
    """What a provider says in the body of an error answer."""

    message: str
    code: str | None


def read_refusal(body: bytes) -> Refusal | None:
    """The message and the code in a provider's error body of any dialect; ``None`` where there are none."""
    try:
        raw = mapping(msgspec.json.decode(body))
    except (ValueError, RecursionError):
        return None
    inner = raw.get("error")
    if isinstance(inner, str):
        return Refusal(inner, None)
    value = mapping(inner) or raw
    message = text(value.get("message")) or text(value.get("Message")) or text(value.get("detail"))
    if message is None:
        return None
    code = text(value.get("code")) or text(value.get("type")) or text(value.get("status"))
    return Refusal(message, code)


def _status(words: list[Any]) -> int:
    for word in words:
        number = count(int(word) if isinstance(word, str) and word.isdecimal() and len(word) == 3 else word)
        if number is not None and 400 <= number <= 599:
            return number
    known = (status_of(word) for word in words if isinstance(word, str))
    return next((status for status in known if status is not None), UNKNOWN_STATUS)


class OpenAIErrors:
    """Errors as OpenAI writes them: ``{"error": {message, type, param, code}}``, ours with ``details`` beside."""

    dialect = "openai"

    def body(self, error: ErrorFacts) -> bytes:
        """The JSON body; in Helicone's shape with ``success: false``."""
        return encode(self._value(error))

    def event(self, error: ErrorFacts, operation: str, sequence: int = 0) -> bytes:
        """``data: {"error": ...}``, which SDKs raise for; an ``error`` event in a stream of responses."""
        if operation.partition(".")[0] != "responses":
            return encode_event(self.body(error))
        event: dict[str, Any] = {
            "type": "error",
            "code": error.code,
            "message": error.message,
            "param": None,
            "sequence_number": sequence,
        }
        if error.details is not None:
            event["details"] = error.details
        return encode_event(encode(event), "error")

    def _value(self, error: ErrorFacts) -> dict[str, Any]:
        if error.helicone_shape:
            refusal = {
                "code": error.code,
                "message": error.message,
                "details": error.details,
                "type": "invalid_request_error",
                "param": None,
            }
            return {"success": False, "error": refusal}
        return {
            "error": _with_details(
                {"message": error.message, "type": error.type, "param": None, "code": error.code}, error
            )
        }


class AnthropicErrors:
    """Errors as Anthropic writes them, with a ``type`` of its own; ours have ``code`` and ``details`` beside."""

    dialect = "anthropic"

    def body(self, error: ErrorFacts) -> bytes:
        """The JSON body; in Helicone's shape with ``success: false``."""
        return encode(self._value(error))

    def event(self, error: ErrorFacts, operation: str, sequence: int = 0) -> bytes:
        """An ``error`` event."""
        return encode_event(self.body(error), "error")

    def _value(self, error: ErrorFacts) -> dict[str, Any]:
        value: dict[str, Any] = {"type": "error"}
        if error.helicone_shape:
            value["success"] = False
            value["error"] = {
                "type": "invalid_request_error",
                "code": error.code,
                "message": error.message,
                "details": error.details,
            }
        else:
            inner = {"type": anthropic_type(error.status), "message": error.message, "code": error.code}
            value["error"] = _with_details(inner, error)
        if error.request_id:
            value["request_id"] = error.request_id
        return value


class GeminiErrors:
    """Errors as Google writes them (``google.rpc.Status`` in JSON); our code is the ``reason`` of an ``ErrorInfo``."""

    dialect = "gemini"

    def body(self, error: ErrorFacts) -> bytes:
        """The JSON body; in Helicone's shape with ``success: false``."""
        return encode(self._value(error))

    def event(self, error: ErrorFacts, operation: str, sequence: int = 0) -> bytes:
        """``data: {"error": ...}``."""
        return encode_event(self.body(error))

    def _value(self, error: ErrorFacts) -> dict[str, Any]:
        details: list[Any] = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": error.code.upper(),
                "domain": "helicone-gw",
            }
        ]
        if error.details is not None:
            # Any of protobuf wraps a JSON value of any shape as google.protobuf.Value.
            details.append({"@type": "type.googleapis.com/google.protobuf.Value", "value": error.details})
        inner = {
            "code": error.status,
            "message": error.message,
            "status": gemini_status(error.status),
            "details": details,
        }
        return {"success": False, "error": inner} if error.helicone_shape else {"error": inner}


def encode(value: Mapping[str, Any]) -> bytes:
    """``value`` as JSON, whatever a plugin put into its details: rendering an error must not raise another one."""
    try:
        return _ENCODER.encode(value)
    except (ValueError, TypeError, RecursionError):
        # A lone surrogate or an odd key somewhere inside, which only escapes can carry.
        return json.dumps(value, default=str, skipkeys=True).encode()


def _with_details(value: dict[str, Any], error: ErrorFacts) -> dict[str, Any]:
    return value if error.details is None else {**value, "details": error.details}
