"""HTTP/2 answers that the application leaves unfinished: their stream is reset; Hypercorn lets the client wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.protocol.h2 import H2Protocol

from helicone_gw.asgi.types import Message, Scope

DRAIN = 2.0
"""Seconds that what was sent of such an answer has to leave before its stream is reset."""


class Resetting(ASGIWrapper):
    """The application for one connection, whose ``server`` is set once there is one."""

    server: TCPServer | None = None

    async def __call__(
        self, scope: Any, receive: Any, send: Any, sync_spawn: Callable[..., Any], call_soon: Callable[..., Any]
    ) -> None:
        """Call the application, and see whether it finished."""
        if scope["type"] != "http" or scope["http_version"] != "2":
            await self.app(scope, receive, send)
            return
        begun = over = False

        async def watched(message: Message) -> None:
            nonlocal begun, over
            await send(message)
            begun = True
            over = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self.app(scope, receive, watched)  # type: ignore[arg-type]
        finally:
            if begun and not over:
                await self._reset(scope)

    async def _reset(self, scope: Scope) -> None:
        protocol = self.server.protocol.protocol if self.server is not None else None
        if not isinstance(protocol, H2Protocol):
            return
        streams = protocol.streams.items()
        number = next((number for number, stream in streams if getattr(stream, "scope", None) is scope), None)
        if number is None:
            return  # the client has reset it itself
        with contextlib.suppress(TimeoutError, KeyError, ProtocolError):
            await asyncio.wait_for(protocol.stream_buffers[number].drain(), DRAIN)
            protocol.connection.reset_stream(number, ErrorCodes.INTERNAL_ERROR)
            await protocol._flush()
