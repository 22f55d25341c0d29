"""The WebSocket of a provider: opened for a tunnel, or refused."""

from __future__ import annotations

import logging
import ssl as ssl_module
from collections.abc import Sequence
from typing import Any, cast

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as _websockets_connect
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from helicone_gw.errors import (
    UpstreamConnectError,
    UpstreamProtocolError,
    UpstreamStatus,
    UpstreamTimeout,
)
from helicone_gw.headers import Headers
from helicone_gw.model import Response
from helicone_gw.upstream.headers import response_headers
from helicone_gw.upstream.urls import websocket_url

MAX_MESSAGE = 16 * 2**20
"""Largest message of a provider, in bytes; a larger one closes the tunnel with 1009 (message too big)."""

MAX_QUEUE = 4
"""Messages of a provider that wait for the client; past that its connection is not read (back-pressure)."""

CLOSE_TIMEOUT = 5.0
"""Seconds that a provider has to answer our close."""

_LOGGER = logging.getLogger(__name__)
_LOGGER.setLevel(logging.INFO)  # At DEBUG the library logs handshakes, credentials included, and every message.

_HANDSHAKE_FIELDS = frozenset({b"host", b"upgrade", b"connection", b"content-length", b"origin"})


class _Connect(_websockets_connect):
    def process_redirect(self, exc: Exception) -> Exception:
        """A redirect is an answer like any other: the target was checked, where it points to was not."""
        return exc


async def connect(
    url: str,
    headers: Headers,
    subprotocols: Sequence[str] = (),
    address: str | None = None,
    *,
    open_timeout: float = 10.0,
    max_size: int = MAX_MESSAGE,
    ssl: ssl_module.SSLContext | None = None,
    proxy: str | None = None,
) -> ClientConnection:
    """Open a WebSocket to a provider.

    ``url`` may be ``ws(s)`` or ``http(s)``; ``headers`` as `upstream_headers` makes them; ``address`` is the IP address
    to connect to in place of the name's own (the name still is in ``Host`` and in TLS). ``open_timeout`` (seconds)
    bounds connection and handshake, ``max_size`` (bytes) a message. No compression is offered: events are small, and
    deflate would keep 64 KiB per connection. Pings are answered, and sent every 20 seconds, by the library.

    Raises `UpstreamStatus` with the provider's own answer when it refuses (401, 429, a redirect), `UpstreamTimeout`,
    `UpstreamConnectError`, `UpstreamProtocolError`.
    """
    uri = websocket_url(url)
    options: dict[str, Any] = {}
    if address is not None:
        options["host"] = address
    if ssl is not None and uri.startswith("wss:"):
        options["ssl"] = ssl
    fields = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in headers.raw
        if name not in _HANDSHAKE_FIELDS and not name.startswith(b"sec-websocket-")
    ]
    try:
        return await _Connect(
            uri,
            additional_headers=fields,
            subprotocols=[cast("Subprotocol", name) for name in subprotocols] or None,
            compression=None,
            user_agent_header=None,
            proxy=proxy,
            open_timeout=open_timeout,
            close_timeout=CLOSE_TIMEOUT,
            max_size=max_size,
            max_queue=MAX_QUEUE,
            logger=_LOGGER,
            **options,
        )
    except InvalidStatus as refusal:
        raise UpstreamStatus(_refusal(refusal)) from None
    except TimeoutError:
        raise UpstreamTimeout(f"The provider did not open the WebSocket within {open_timeout:g} seconds.") from None
    except InvalidMessage:
        raise UpstreamProtocolError("The provider's answer to the WebSocket handshake is not HTTP.") from None
    except InvalidHandshake as problem:
        # Its message may quote what was sent; the class says enough.
        raise UpstreamProtocolError(f"The WebSocket handshake failed ({type(problem).__name__}).") from None
    except (InvalidURI, ValueError):
        raise UpstreamProtocolError("The provider's URL is not one of a WebSocket.") from None
    except OSError as problem:
        cause = problem.reason if isinstance(problem, ssl_module.SSLError) else problem.strerror
        raise UpstreamConnectError(f"The provider cannot be reached ({cause or type(problem).__name__}).") from None


def _refusal(refusal: InvalidStatus) -> Response:
    answer = refusal.response
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.raw_items()]
    return Response(answer.status_code, response_headers(raw), bytes(answer.body or b""))
