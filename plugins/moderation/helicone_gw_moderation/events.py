"""Events: what a WebSocket's client is told of its messages."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw import GatewayError


class _Message(msgspec.Struct):
    type: str = ""


def message_type(message: bytes) -> str:
    """Of which type a message says that it is; "" where it does not say."""
    try:
        return msgspec.json.decode(message, type=_Message).type
    except msgspec.MsgspecError:
        return ""


def refusal_event(error: GatewayError, asked: bytes) -> str:
    """The event that tells a client of ``error``, which is about the message ``asked`` ("" for none)."""
    event: Any = None
    if asked:
        event = msgspec.json.decode(asked, type=dict[str, Any]).get("event_id")
    return error_event(error.message, error.code or "", event)


def error_event(message: str, code: str, event: Any) -> str:
    """An error event about the client's event called ``event``."""
    said = {"type": "invalid_request_error", "code": code, "message": message, "param": None, "event_id": event}
    return msgspec.json.encode({"type": "error", "event_id": "", "error": said}).decode()
