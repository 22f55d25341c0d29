"""Links: commands to Redis and their replies, over a pool of connections to one server."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from redis import exceptions as errors
from redis.asyncio import Sentinel
from redis.asyncio.connection import AbstractConnection

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
