"""OpenAI's realtime events: only their usage is read (``response.done``); everything else is opaque to the gateway."""

from __future__ import annotations

import msgspec

from helicone_gw.dialects._json import decode_exactly
from helicone_gw.dialects.usage import openai_usage
from helicone_gw.model import Usage


class _Response(msgspec.Struct):
    # Not `Raw | None`: msgspec then takes nothing but null.
    usage: msgspec.Raw = msgspec.Raw()


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
    except (ValueError, RecursionError):
        return None
    if event.type != "response.done" or event.response is None or bytes(event.response.usage) in (b"", b"null"):
        return None
    return openai_usage(decode_exactly(event.response.usage))
