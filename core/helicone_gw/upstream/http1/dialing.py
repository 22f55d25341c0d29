"""Connecting: names to addresses, the first address that answers (RFC 8305), TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Any

import httpx

from helicone_gw.upstream.http1.connection import Connection
from helicone_gw.upstream.http1.pool import Host, Pool
from helicone_gw.upstream.http1.tls import Sessions, default_context

ATTEMPT_DELAY = 0.25
"""Seconds that one address has before the next one is tried beside it (RFC 8305 section 5)."""

DNS_TTL = 30.0
"""Seconds that addresses of a name are remembered; asyncio does not say how long they are valid."""

MAX_NAMES = 256
"""Names whose addresses are remembered; beyond it the one asked first goes."""

SHUTDOWN = 2.0
"""Seconds that a server has to answer the end of TLS."""

KEEP_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 5))
"""TCP's own probes: a model may think for longer than a router remembers a silent connection."""

Address = tuple[socket.AddressFamily, tuple[Any, ...]]
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Host name and port -> its addresses, best first; raises `OSError` when there are none."""


async def resolve_name(host: str, port: int) -> Sequence[Address]:
    """The system's resolver, in its own order (RFC 6724)."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [(family, address) for family, _, _, _, address in found]


class Dialer:
    """Makes connections for a pool. ``tls`` is the context of https origins, the system's where it is ``None``."""

    def __init__(self, tls: ssl.SSLContext | None = None, resolve: Resolve = resolve_name) -> None:
        self._tls = tls
        self._resolve = resolve
        self._known: dict[tuple[str, int], tuple[float, Sequence[Address]]] = {}
        self._asking: dict[tuple[str, int], asyncio.Task[Sequence[Address]]] = {}
        self.sessions: Sessions | None = None

    async def __call__(self, pool: Pool, host: Host, timeout: float) -> Connection:
        """A new connection to ``host`` for ``pool``, TLS handshake included, within ``timeout`` seconds.

        Raises `httpx.ConnectTimeout` and `httpx.ConnectError`, whose cause is the operating system's or OpenSSL's.
        """
        origin = host.origin
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None if timeout == inf else timeout):
                sock = await self._connect(origin.address or origin.host, origin.port)
                options: dict[str, Any] = {}
                if origin.scheme == "https":
                    options = {
                        "ssl": self._context(),
                        "server_hostname": origin.server_name or origin.host,
                        "ssl_shutdown_timeout": SHUTDOWN,
                    }
                _, connection = await loop.create_connection(lambda: Connection(pool, host), sock=sock, **options)
        except TimeoutError as problem:
            raise httpx.ConnectTimeout("no connection in time") from problem
        except (OSError, UnicodeError, ValueError) as problem:
            raise httpx.ConnectError("no connection") from problem
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            # Reading the system's certificates takes tens of milliseconds, and not everybody needs them.
            self._tls = default_context()
        if self.sessions is None:
            self.sessions = Sessions(self._tls)
        return self._tls

    async def _connect(self, host: str, port: int) -> socket.socket:
        addresses = _literal(host, port) or await self._addresses(host, port)
        try:
            return await first_to_answer(addresses)
        except OSError:
            self._known.pop((host, port), None)
            raise

    async def _addresses(self, host: str, port: int) -> Sequence[Address]:
        key = (host, port)
        loop = asyncio.get_running_loop()
        known = self._known.get(key)
        if known is not None and loop.time() < known[0]:
            return known[1]
        # One question at a time for a name; whoever asked it may leave, and the others still get the answer.
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = loop.create_task(self._ask(key))
            asking.add_done_callback(_heard)
        return await asyncio.shield(asking)

    async def _ask(self, key: tuple[str, int]) -> Sequence[Address]:
        try:
            found = await self._resolve(*key)
        finally:
            del self._asking[key]
        if not found:
            raise OSError(socket.EAI_NONAME, "Name or service not known")
        self._known.pop(key, None)
        if len(self._known) >= MAX_NAMES:
            del self._known[next(iter(self._known))]
        self._known[key] = (asyncio.get_running_loop().time() + DNS_TTL, found)
        return found

    async def aclose(self) -> None:
        """Ask no more."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


def _heard(task: asyncio.Task[Sequence[Address]]) -> None:
    # Where everybody who asked has left, nobody else looks at the error.
    if not task.cancelled():
        task.exception()


def _literal(host: str, port: int) -> list[Address] | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return [(socket.AF_INET6 if address.version == 6 else socket.AF_INET, (host, port))]


def interleaved(addresses: Sequence[Address]) -> list[Address]:
    """``addresses`` with their families taking turns, the first one's first (RFC 8305 section 4)."""
    first = [each for each in addresses if each[0] == addresses[0][0]]
    others = [each for each in addresses if each[0] != addresses[0][0]]
    turns: list[Address] = []
    while first or others:
        turns.extend(queue.pop(0) for queue in (first, others) if queue)
    return turns


async def first_to_answer(addresses: Sequence[Address]) -> socket.socket:
    """A socket that is connected to one of ``addresses``: each has a head start on the next one, and the others are
    given up as soon as one answers. Raises `OSError`, the first address's, when none does."""
    if len(addresses) == 1:
        return await _open(addresses[0])
    loop = asyncio.get_running_loop()
    left = deque(interleaved(addresses))
    trying: set[asyncio.Task[socket.socket]] = set()
    errors: list[BaseException] = []
    winner: asyncio.Task[socket.socket] | None = None
    try:
        while left or trying:
            if left:
                trying.add(loop.create_task(_open(left.popleft())))
            done, _ = await asyncio.wait(
                trying, timeout=ATTEMPT_DELAY if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                problem = task.exception()
                if problem is None:
                    winner = task
                    return task.result()
                errors.append(problem)
                trying.remove(task)
        raise errors[0]
    finally:
        for task in trying:
            if task is not winner:
                task.cancel()
                task.add_done_callback(_discard)


def _discard(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _open(address: Address) -> socket.socket:
    sock = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEP_ALIVE:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        await asyncio.get_running_loop().sock_connect(sock, address[1])
    except BaseException:
        sock.close()
        raise
    return sock
