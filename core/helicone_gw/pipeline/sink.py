"""Sink: the client's side of an exchange, as the pipeline sees it."""

from __future__ import annotations

from typing import Protocol

from helicone_gw.headers import RawHeaders


class Sink(Protocol):
    """Where an answer goes: ``start`` once, ``send`` any number of times, then ``finish`` or ``abort``.

    ``finish`` takes the last piece of the body along, so that a whole body and its end are one.
    """

    @property
    def disconnected(self) -> bool:
        """Whether the client left; sending is then pointless, and harmless."""

    async def start(self, status: int, headers: RawHeaders) -> None:
        """Send the head."""

    async def send(self, data: bytes) -> None:
        """Send a piece of the body; returns when the client can take more."""

    async def finish(self, last: bytes = b"") -> None:
        """Send the last piece of the body, and end it cleanly."""

    async def abort(self) -> None:
        """Break the connection, so that nobody takes what was sent for complete."""
