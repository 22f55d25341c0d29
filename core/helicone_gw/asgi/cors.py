"""Cross-origin requests (W3C Fetch, "CORS protocol"): preflights answered, answers readable by the pages allowed."""

from __future__ import annotations

import re
from collections.abc import Collection

from helicone_gw.asgi.types import Message, Send
from helicone_gw.headers import Headers

METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"

_FIELD_NAMES = re.compile(r"[A-Za-z0-9_\-, ]{1,2000}")


class Cors:
    """What browsers are told. ``origins`` are those of pages that may call, "*" is any; ``max_age`` is in seconds.

    Pages send their gateway key themselves: cookies never count (no ``Access-Control-Allow-Credentials``).
    """

    def __init__(self, origins: Collection[str], max_age: int) -> None:
        self._any = "*" in origins
        self._origins = frozenset(origins)
        self._max_age = max_age

    def allows(self, origin: str | None) -> bool:
        """Whether pages of ``origin`` may call at all; what a key's own origins are is asked later."""
        return origin is not None and (self._any or origin.lower() in self._origins)

    async def preflight(self, method: str, headers: Headers, origin: str, send: Send) -> bool:
        """Answer the question of a browser whether it may send a request; ``False``: it was none."""
        if method != "OPTIONS" or "access-control-request-method" not in headers:
            return False
        fields = [
            *self._own(origin),
            (b"access-control-allow-methods", METHODS),
            (b"access-control-max-age", b"%d" % self._max_age),
            (b"content-length", b"0"),
        ]
        asked = headers.get("access-control-request-headers") or ""
        if _FIELD_NAMES.fullmatch(asked):
            fields.append((b"access-control-allow-headers", asked.encode("ascii")))
        if headers.get("access-control-request-private-network") == "true":
            # A page of the internet asks for an address inside (WICG Private Network Access).
            fields.append((b"access-control-allow-private-network", b"true"))
        await send({"type": "http.response.start", "status": 204, "headers": fields})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return True

    def telling(self, origin: str, send: Send) -> Send:
        """``send``, with the fields that let a page of ``origin`` read the answer."""
        own = [*self._own(origin), (b"access-control-expose-headers", b"*")]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                # A provider's own fields of this kind speak of other pages.
                left = [field for field in message["headers"] if not field[0].startswith(b"access-control-")]
                message = {**message, "headers": [*left, *own]}
            await send(message)

        return sending

    def _own(self, origin: str) -> list[tuple[bytes, bytes]]:
        return [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]
