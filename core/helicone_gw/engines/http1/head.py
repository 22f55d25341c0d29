"""A request's head, read and checked."""

from __future__ import annotations

from helicone_gw.engines.http1.target import Target
from helicone_gw.scope_extensions import Memory


class Request:
    """What the head of a request says."""

    __slots__ = ("expects_continue", "fields", "keep_alive", "length", "memory", "method", "target", "version")

    def __init__(
        self, method: str, target: Target, version: str, fields: list[tuple[bytes, bytes]], *, keep_alive: bool
    ) -> None:
        self.method = method
        self.target = target
        self.version = version
        """``1.0`` or ``1.1``."""
        self.fields = fields
        """Names in lower case."""
        self.keep_alive = keep_alive
        """Whether the client can use the connection again."""
        self.expects_continue = False
        self.length: int | None = None
        """Its Content-Length."""
        self.memory: Memory | None = None
        """What the application remembers of heads like this one: see `RepeatedHead`."""
