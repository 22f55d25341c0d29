"""Engines: the HTTP servers that can run the application, a module each, and what they have in common."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import cast

from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.config import ServerConfig
from helicone_gw.errors import ConfigError

KEEP_ALIVE = 15.0
"""Seconds that an idle client connection stays open: longer than the pools of the usual SDKs keep theirs (5), so that
they close first, and not much longer, since every one costs a descriptor."""

BACKLOG = 2048
"""Connections that may wait to be accepted."""

MAX_HEADER_BYTES = 64 * 1024
"""Longest head of a request, in bytes."""

MAX_WEBSOCKET_MESSAGE = 16 * 1024 * 1024
"""Longest message of a client's WebSocket, in bytes."""

CLOSING_TIME = 2.0
"""Seconds beyond ``drain_timeout`` for the server to close what is left."""

Application = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An ASGI 3.0 application."""

Engine = Callable[[Application, ServerConfig, socket.socket, asyncio.Event], Awaitable[None]]
"""Serves an application on a listening socket, as the configuration says, until the event is set; exchanges that are
running then have ``drain_timeout`` seconds."""


def load_engine(name: str) -> Engine:
    """The engine ``name``, imported. Raises `ConfigError`, saying what to install, when its packages are missing."""
    try:
        module = import_module(f"helicone_gw.engines.{name}")
    except ImportError as problem:
        if (problem.name or "").startswith("helicone_gw"):
            raise
        raise ConfigError(
            [f"server.engine: {name} needs the package {problem.name!r}: pip install 'helicone-gw[{name}]'"]
        ) from None
    return cast("Engine", module.serve)
