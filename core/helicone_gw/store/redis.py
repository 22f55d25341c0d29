"""The store on Redis, for several workers or machines: one command or one script a call, behind a guard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

from redis import exceptions as errors

from helicone_gw.clock import Clock
from helicone_gw.store.address import Address
from helicone_gw.store.base import Argument, Call, Operation, Results, Scoped, Store, StoreStats, check_tags
from helicone_gw.store.guard import Guard, bounded
from helicone_gw.store.links import Command, Link
from helicone_gw.store.opening import open_link


def _on_redis_alone(*_: Any) -> Results:
    raise NotImplementedError("the store in memory has a method for this")


# Totals leave Lua as text: its numbers are exact up to 2**53 only.
INCREMENT = Operation(
    "increment",
    """
local new = redis.call('EXISTS', KEYS[1]) == 0
redis.call('INCRBY', KEYS[1], ARGV[1])
if new then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {redis.call('GET', KEYS[1])}
""",
    _on_redis_alone,
)

COMPARE_AND_SET = Operation(
    "compare_and_set",
    """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0} end
if ARGV[3] == '' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return {1}
""",
    _on_redis_alone,
)


class RedisStore:
    """A `Store` on Redis, one server, a cluster or what sentinels point to.

    Every key begins with ``namespace``. A call takes at most ``deadline`` seconds, waiting for a connection included;
    then, and at once while the store is known to be away, it raises `helicone_gw.StoreUnavailable`. Scripts are sent by
    their digest, and whole to a server that does not know them.
    """

    def __init__(self, link: Link, clock: Clock, *, namespace: str, deadline: float, retry_after: float) -> None:
        self._link = link
        self._namespace = namespace
        self._deadline = deadline
        self._connect_timeout = connect_timeout(deadline, retry_after)
        self._probed = f"{namespace}store:probe"
        self._guard = Guard(
            clock, deadline=deadline, retry_after=retry_after, probe=self._probe, reset=self._link.reset
        )

    @property
    def stats(self) -> StoreStats:
        """What became of the calls so far."""
        return self._guard.stats

    async def connect(self) -> None:
        """Try the store; when it does not answer, that is told in the log, and calls are refused until it does."""
        await self._guard.connect()

    async def problem(self) -> str:
        """Why the store does not answer now, in words for people; empty when it does. Nothing is told or counted."""
        return await self._guard.problem()

    async def get(self, key: str) -> bytes | None:
        """The value, or ``None`` when absent or expired."""
        value: bytes | None = await self._one("GET", self._namespace + key)
        return value

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The value of each key, or ``None``, in one round trip."""
        if not keys:
            return []
        # Not one MGET: the keys may be of different slots of a cluster.
        return [_sound(reply) for reply in await self._send([("GET", self._namespace + key) for key in keys])]

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Write ``value``; without ``ttl`` it stays until deleted."""
        if ttl is None:
            await self._one("SET", self._namespace + key, value)
        else:
            await self._one("SET", self._namespace + key, value, "PX", _milliseconds(ttl))

    async def delete(self, key: str) -> None:
        """Remove ``key``, if it is there."""
        await self._one("DEL", self._namespace + key)

    async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int:
        """Add to an integer counter atomically and return the new value; ``ttl`` applies when it is created."""
        if ttl is None:
            return int(await self._one("INCRBY", self._namespace + key, by))
        total = (await self.run(INCREMENT, [key], [by, _milliseconds(ttl)]))[0]
        assert total is not None
        return int(total)

    async def compare_and_set(self, key: str, expected: bytes | None, value: bytes, ttl: float | None = None) -> bool:
        """Write ``value`` only if the current one is ``expected`` (``None``: absent). Whether it was written."""
        expiry = None if ttl is None else _milliseconds(ttl)
        if expected is not None:
            return await self.run(COMPARE_AND_SET, [key], [expected, value, "" if expiry is None else expiry]) == [1]
        options = () if expiry is None else ("PX", expiry)
        return bool(await self._one("SET", self._namespace + key, value, "NX", *options))

    async def run(self, operation: Operation, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> Results:
        """Run ``operation`` atomically, in one round trip. Raises `ValueError` for keys that share no ``{tag}``."""
        return (await self.run_all([(operation, keys, arguments)]))[0]

    async def run_all(self, calls: Iterable[Call]) -> list[Results]:
        """The results of several operations, in one round trip; each is atomic, all of them together are not."""
        prepared = []
        for operation, keys, arguments in calls:
            if len(keys) > 1:
                check_tags(operation, keys)
            prepared.append((operation, (len(keys), *(self._namespace + key for key in keys), *arguments)))
        if not prepared:
            return []
        replies = await self._guard.call(self._evaluate, prepared)
        return [_results(operation, reply) for (operation, _), reply in zip(prepared, replies, strict=True)]

    def scope(self, name: str) -> Store:
        """This store, with ``name:`` before every key."""
        return Scoped(self, name)

    async def close(self) -> None:
        """Let go of connections."""
        await self._guard.close()
        await self._link.close()

    async def _one(self, *command: Argument) -> Any:
        return _sound((await self._guard.call(self._link.send, [command]))[0])

    async def _send(self, commands: list[Command]) -> list[Any]:
        return await self._guard.call(self._link.send, commands)

    async def _evaluate(self, calls: list[tuple[Operation, Command]]) -> list[Any]:
        replies = await self._link.send([("EVALSHA", operation.sha, *rest) for operation, rest in calls])
        unknown = [place for place, reply in enumerate(replies) if isinstance(reply, errors.NoScriptError)]
        if unknown:
            # EVAL makes the script known as well; a server that was restarted has forgotten all of them.
            whole = [("EVAL", calls[place][0].lua, *calls[place][1]) for place in unknown]
            for place, reply in zip(unknown, await self._link.send(whole), strict=True):
                replies[place] = reply
        return replies

    async def _probe(self) -> None:
        """Write a key that expires, as calls do: a server that answers may still be a replica, or full."""
        await bounded(self._connect_timeout, self._link.ready())
        await bounded(self._deadline, self._link.send([("SET", self._probed, b"", "PX", 1000)]))


def connect_timeout(deadline: float, retry_after: float) -> float:
    """Seconds that a connection may take to be made, which no call waits for any longer than its own deadline."""
    return max(deadline, retry_after)


def open_redis(
    address: Address,
    clock: Clock,
    *,
    namespace: str,
    deadline: float,
    retry_after: float,
    max_connections: int,
    ca_file: str | None,
    verify: bool,
) -> RedisStore:
    """The store at ``address``. Nothing is connected to yet."""
    link = open_link(
        address,
        size=max_connections,
        connect_timeout=connect_timeout(deadline, retry_after),
        ca_file=ca_file,
        verify=verify,
    )
    return RedisStore(link, clock, namespace=namespace, deadline=deadline, retry_after=retry_after)


def _milliseconds(ttl: float) -> int:
    return max(1, ceil(ttl * 1000))


def _sound(reply: Any) -> Any:
    """``reply``, unless it is an error of the caller's. Raises what the store in memory raises, as near as may be."""
    if not isinstance(reply, errors.ResponseError):
        return reply
    if str(reply).startswith("WRONGTYPE"):
        raise TypeError("the value under this key was written by an operation, and is read by operations alone")
    raise ValueError(f"the store refuses this: {reply}") from reply


def _results(operation: Operation, reply: Any) -> Results:
    if isinstance(reply, errors.ResponseError):
        raise ValueError(f"the script of {operation.name!r} failed: {reply}") from reply
    if not isinstance(reply, list):
        raise TypeError(f"the script of {operation.name!r} must return a table, not one value")
    return reply
