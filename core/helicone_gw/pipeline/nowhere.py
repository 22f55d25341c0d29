"""Nowhere: the client's side of an exchange that has no client."""

from __future__ import annotations

from helicone_gw.headers import RawHeaders


class Nowhere:
    """A `Sink` that takes everything at once and keeps nothing."""

    disconnected = False

    async def start(self, status: int, headers: RawHeaders) -> None:
        """Take the head."""

    async def send(self, data: bytes) -> None:
        """Take a piece of the body."""

    async def finish(self, last: bytes = b"") -> None:
        """Take the last piece of the body."""

    async def abort(self) -> None:
        """Take that it is broken."""
