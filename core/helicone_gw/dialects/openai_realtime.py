"""OpenAI's realtime events: only their usage is read (``response.done``); everything else is opaque to the gateway."""

from __future__ import annotations

import msgspec

from helicone_gw.dialects.usage import openai_usage
from helicone_gw.model import Usage


class _Response(msgspec.Struct):
    usage: msgspec.Raw | None = None


class _Done(msgspec.Struct):
    type: str = ""
    response: _Response | None = None


_decoder = msgspec.json.Decoder(_Done)


def realtime_usage(message: str | bytes) -> Usage | None:
    """Usage that one server event reports, ``None`` for all that report none. Never raises."""
    mark = '"response.done"' if isinstance(message, str) else b'"response.done"'
    if mark not in message:  # type: ignore[operator]
        return None
    try:
        event = _decoder.decode(message)
        if event.type != "response.done" or event.response is None or event.response.usage is None:
            return None
        return openai_usage(msgspec.json.decode(event.response.usage))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
