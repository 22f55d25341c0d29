"""Links: commands to Redis and their replies, over a pool of connections to one server, or to a cluster."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from redis import exceptions as errors
from redis.asyncio import Connection, RedisCluster, Sentinel, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool, SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import NoBackoff

from helicone_gw.store.address import Address
from helicone_gw.store.guard import Lost
from helicone_gw.store.pool import Pool

Command: TypeAlias = tuple[bytes | str | int | float, ...]

UNUSABLE = {
    errors.AuthenticationError: "it refuses user or password",
    errors.AuthorizationError: "it refuses what this user asks",
    errors.NoPermissionError: "it refuses what this user asks",
    errors.ReadOnlyError: "it is a replica that may only be read",
    errors.OutOfMemoryError: "its memory is full",
    errors.BusyLoadingError: "it is still loading its data",
    errors.ClusterDownError: "its cluster is down",
    errors.MasterDownError: "its master is down",
    errors.TryAgainError: "its keys are being moved",
    errors.RedisClusterException: "its cluster does not answer",
    errors.MaxConnectionsError: "all connections are in use",
}
"""Errors that say nothing of the call: the store cannot be used, and why."""

UNUSABLE_CODES = frozenset(
    ["BUSY", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "NOAUTH", "NOREPLICAS", "OOM", "READONLY", "UNKILLABLE"]
)
"""The same, by the first word of an error that redis-py has no class for."""

_UNUSABLE = tuple(UNUSABLE)


class Link(Protocol):
    """How commands reach Redis."""

    async def ready(self) -> None:
        """Be connected. Raises `Lost`."""

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """The reply to each command, sent together; an error in reply is a value. Raises `Lost`."""

    async def reset(self) -> None:
        """Drop connections: the store did not answer on one of them."""

    async def close(self) -> None:
        """Let go of connections."""


class PooledLink:
    """To one server, over a pool: commands that are sent together are one write and one round trip."""

    def __init__(self, pool: Pool[AbstractConnection], sentinel: Sentinel | None = None) -> None:
        self._pool = pool
        self._sentinel = sentinel

    async def ready(self) -> None:
        """Have a connection. Raises `Lost`."""
        await self._pool.release(await self._acquire())

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """The reply to each command; an error in reply is a value. Raises `Lost`; `TypeError` for a wrong argument."""
        connection = await self._acquire()
        clean = False
        replies: list[Any] = []
        try:
            try:
                packed = connection.pack_commands(commands)
            except errors.DataError as problem:
                clean = True
                raise TypeError(str(problem)) from None
            await connection.send_packed_command(packed)
            for _ in commands:
                try:
                    replies.append(await connection.read_response())
                except errors.ResponseError as problem:
                    replies.append(problem)
            clean = True
        except (errors.RedisError, OSError) as problem:
            raise Lost(why(problem)) from None
        finally:
            # Cancelled between a command and its reply, the connection would give the next caller that reply.
            await self._pool.release(connection, clean=clean)
        return usable(replies)

    async def reset(self) -> None:
        """Drop connections: the store did not answer on one of them."""
        await self._pool.reset()

    async def close(self) -> None:
        """Let go of connections."""
        await self._pool.close()
        if self._sentinel is not None:
            with contextlib.suppress(errors.RedisError, OSError):
                await self._sentinel.aclose()

    async def _acquire(self) -> AbstractConnection:
        try:
            return await self._pool.acquire()
        except (errors.RedisError, OSError) as problem:
            raise Lost(why(problem)) from None


class ClusterLink:
    """To a Redis Cluster: commands that are sent together go to their nodes at the same time.

    redis-py knows the nodes and follows what moves among them. ``size`` calls are under way at most.
    """

    def __init__(self, cluster: RedisCluster, size: int) -> None:
        self._cluster = cluster
        self._slots = asyncio.Semaphore(size)

    async def ready(self) -> None:
        """Know the nodes. Raises `Lost`."""
        try:
            await self._cluster.initialize()
        except (errors.RedisError, OSError) as problem:
            raise Lost(why(problem)) from None

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """The reply to each command; an error in reply is a value. Raises `Lost`; `TypeError` for a wrong argument."""
        if len(commands) == 1:
            return usable([await self._one(commands[0])])
        tasks = [asyncio.ensure_future(self._one(command)) for command in commands]
        try:
            return usable(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def reset(self) -> None:
        """Drop connections, and what is known of the nodes."""
        with contextlib.suppress(errors.RedisError, OSError):
            await self._cluster.aclose()

    async def close(self) -> None:
        """Let go of connections."""
        await self.reset()

    async def _one(self, command: Command) -> Any:
        async with self._slots:
            try:
                return await self._cluster.execute_command(*command)
            except errors.DataError as problem:
                raise TypeError(str(problem)) from None
            except errors.ClusterDownError as problem:
                raise Lost(why(problem)) from None
            except errors.ResponseError as problem:
                return problem
            except (errors.RedisError, OSError) as problem:
                raise Lost(why(problem)) from None


def usable(replies: list[Any]) -> list[Any]:
    """``replies``, unless one says that the store cannot be used. Raises `Lost` then."""
    for reply in replies:
        if isinstance(reply, errors.ResponseError) and (
            isinstance(reply, _UNUSABLE) or str(reply).partition(" ")[0] in UNUSABLE_CODES
        ):
            raise Lost(why(reply))
    return replies


def why(problem: Exception) -> str:
    """Why the store cannot be used, in words for people: no address, nothing of what was sent."""
    for kind, words in UNUSABLE.items():
        if isinstance(problem, kind):
            return words
    if isinstance(problem, errors.ResponseError):
        return f"it answers {str(problem).partition(' ')[0][:20]}"
    if isinstance(problem, (TimeoutError, errors.TimeoutError)):
        return "connecting took too long"
    return f"no connection ({type(problem.__cause__ or problem.__context__ or problem).__name__})"


def open_link(
    address: Address, *, size: int, connect_timeout: float, ca_file: str | None = None, verify: bool = True
) -> Link:
    """The link to ``address``. Nothing is connected to yet."""
    connecting: dict[str, Any] = {
        "username": address.username,
        "password": address.password,
        # RESP2, and nothing told of this library: there is then nothing to be said before the first command.
        "protocol": 2,
        "driver_info": None,
        # The guard has the deadlines.
        "socket_timeout": None,
        "socket_connect_timeout": connect_timeout,
    }
    tls: dict[str, Any] = {"ssl_ca_certs": ca_file}
    if not verify:
        tls |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    if address.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        return ClusterLink(
            RedisCluster(
                startup_nodes=nodes,
                max_connections=size,
                retry=Retry(NoBackoff(), 1),
                **connecting,
                **({"ssl": True} | tls if address.tls else {}),
            ),
            size,
        )
    connecting["retry"] = Retry(NoBackoff(), 0)
    connecting["db"] = address.db
    if address.kind == "sentinel":
        # A sentinel that does not answer must leave time for the others.
        share = connect_timeout / (len(address.hosts) + 1)
        asking = {
            "username": address.sentinel_username,
            "password": address.sentinel_password,
            "socket_timeout": share,
            "socket_connect_timeout": share,
            "retry": connecting["retry"],
            "protocol": 2,
        }
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            address.hosts, sentinel_kwargs=asking | ({"ssl": True} | tls if address.tls else {}), **connecting
        )
        kind = SentinelManagedSSLConnection if address.tls else SentinelManagedConnection
        # redis-py's pool finds the master; its connections are kept in ours.
        masters = SentinelConnectionPool(  # type: ignore[no-untyped-call]
            address.service, sentinel, connection_class=kind, **connecting, **(tls if address.tls else {})
        )
        return PooledLink(Pool(masters.make_connection, size=size, connect_timeout=connect_timeout), sentinel)

    def connection() -> AbstractConnection:
        if address.kind == "unix":
            return UnixDomainSocketConnection(path=address.path, **connecting)
        host, port = address.hosts[0]
        if address.tls:
            return SSLConnection(host=host, port=port, **connecting, **tls)
        return Connection(host=host, port=port, **connecting)

    return PooledLink(Pool(connection, size=size, connect_timeout=connect_timeout))
