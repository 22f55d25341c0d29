"""Calling: requests for providers from inside, for whoever a page knows; they go through the whole chain."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from helicone_gw.scope_extensions import ON_DEPARTURE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from helicone_gw.access import GatewayKey

Application = Callable[[MutableMapping[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]]
"""An ASGI application."""

CALLED: Final = "helicone_gw.called"
"""Where the ASGI scope of such a request says that it is one: no page of the gateway's own is reached by it."""

QUEUED: Final = 16
"""Pieces of an answer that nobody has read yet; then the provider is slowed down."""

STALLED: Final = 60.0
"""Seconds that an answer waits for whoever reads it; then they count as gone."""


class Lent:
    """Keys that live as long as one call: a `KeySource` whose secrets leave this module in one header field alone."""

    configured = False

    def __init__(self) -> None:
        self._keys: dict[bytes, GatewayKey] = {}

    @contextmanager
    def to(self, caller: GatewayKey) -> Iterator[str]:
        """A secret that stands for ``caller`` within this context."""
        secret = f"sk-helicone-once-{secrets.token_urlsafe(32)}"
        self._keys[_hashed(secret)] = caller
        try:
            yield secret
        finally:
            del self._keys[_hashed(secret)]

    async def lookup(self, secret: str) -> GatewayKey | None:
        """Whom ``secret`` stands for now."""
        return self._keys.get(_hashed(secret)) if self._keys else None

    async def knows(self, secret: str) -> bool:
        """Whether ``secret`` stands for somebody now; afterwards its form still says that it is no provider's."""
        return await self.lookup(secret) is not None


def _hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


class Called:
    """An answer: ``status``, ``headers`` (names in lower case), and its body in `pieces`.

    ``broken``: the gateway gave up in the middle, which is known once the last piece was read.
    """

    def __init__(self, application: Application, scope: MutableMapping[str, Any], body: bytes) -> None:
        self.status = 0
        self.headers: tuple[tuple[str, str], ...] = ()
        self.broken = False
        self._application = application
        self._scope = {**scope, "extensions": {ON_DEPARTURE: self._tell}}
        self._body: bytes | None = body
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUED)
        self._head = asyncio.Event()
        self._left = asyncio.Event()
        self._ended = False
        self._departure: Callable[[], None] | None = None

    async def run(self) -> None:
        """Have the request answered; what goes wrong in the application is an answer that breaks off."""
        try:
            await self._application(self._scope, self._receive, self._send)
        finally:
            self.broken = not self._ended
            self._head.set()
            if not self._ended:
                self._end()

    async def begun(self) -> None:
        """Wait for the head. Whoever is cancelled here has left."""
        try:
            await self._head.wait()
        except asyncio.CancelledError:
            self.leave()
            raise

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes. Whoever stops reading has left: what the call costs ends, as for every client."""
        try:
            while (piece := await self._pieces.get()) is not None:
                yield piece
        finally:
            self.leave()

    def leave(self) -> None:
        """Be gone, as a client is that closes its connection."""
        self._left.set()
        self._head.set()
        if self._departure is not None:
            self._departure()
        while not self._pieces.empty():
            self._pieces.get_nowait()
        self._pieces.put_nowait(None)

    def _tell(self, departure: Callable[[], None]) -> None:
        """Call ``departure`` once whoever reads has left: nobody has to wait for that in a task."""
        if self._left.is_set():
            departure()
        else:
            self._departure = departure

    async def _receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = tuple(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]
            )
            self._head.set()
            return
        if data := message.get("body"):
            await self._put(data)
        if not message.get("more_body", False):
            self._ended = True
            await self._put(None)

    async def _put(self, piece: bytes | None) -> None:
        if self._left.is_set():
            return
        try:
            self._pieces.put_nowait(piece)
        except asyncio.QueueFull:
            try:
                async with asyncio.timeout(STALLED):
                    await self._pieces.put(piece)
            except TimeoutError:
                self.leave()

    def _end(self) -> None:
        """The end of what broke off, which must not wait."""
        if self._pieces.full():
            self._pieces.get_nowait()
        self._pieces.put_nowait(None)
