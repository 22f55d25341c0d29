"""Events: what a WebSocket's client is told of its messages."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw import GatewayError


class _Message(msgspec.Struct):
    type: Any = ""
    event_id: Any = None


def message_type(message: bytes) -> object:
    """Of which type a message says that it is; "" where it does not say."""
    return _read(message).type


def refusal_event(error: GatewayError, asked: bytes) -> str:
    """The event that tells a client of ``error``, which is about the message ``asked`` ("" for none)."""
    return error_event(error.message, error.code or "", _read(asked).event_id)


def error_event(message: str, code: str, event: Any) -> str:
    """An error event about the client's event called ``event``."""
    said = {"type": "invalid_request_error", "code": code, "message": message, "param": None, "event_id": event}
    return msgspec.json.encode({"type": "error", "event_id": "", "error": said}).decode()


def _read(message: bytes) -> _Message:
    try:
        return msgspec.json.decode(message, type=_Message)
    except ValueError:
        return _Message()  # perhaps a list, or nothing
