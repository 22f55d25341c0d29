"""Failing: what a provider's error event says, as the neutral form has it."""

from __future__ import annotations

from typing import Any

from helicone_gw.dialects.errors import read_error
from helicone_gw.dialects.translate.reply import Failed, StreamEvent
from helicone_gw.sse import event_name


def failed(value: Any) -> Failed:
    """The failure that a provider put at ``error``, whatever its shape."""
    wire = read_error(value)
    return Failed(wire.message, wire.status)


def unreadable(event: bytes, data: bytes) -> list[StreamEvent]:
    """What an event says whose ``data`` is not what its dialect says: a failure where its name says so."""
    return [Failed(data.decode("utf-8", "replace"))] if event_name(event) == "error" else []
