"""What a scripted provider saw of one request: `RecordedRequest`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec

from helicone_gw.headers import Headers


@dataclass(eq=False, slots=True)
class RecordedRequest:
    """One request as it came, and what became of its answer. Times are the event loop's, in seconds.

    ``target`` is the request target as sent (path and query). ``connection`` counts the provider's connections from 1,
    0 in memory. ``bytes_sent`` counts body bytes of the answer.
    """

    number: int
    method: str
    target: str
    headers: Headers
    connection: int = 0
    body: bytes = b""
    bytes_sent: int = 0
    closed_at: float | None = None
    received: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set when the request was read whole."""
    answered: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set when the whole answer was handed over."""
    closed_by_client: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set when the client went away before that; ``closed_at`` says when."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The raw query string, without ``?``."""
        return self.target.partition("?")[2]

    def json(self) -> Any:
        """The body decoded. Raises msgspec's `DecodeError` for anything but JSON."""
        return msgspec.json.decode(self.body)
