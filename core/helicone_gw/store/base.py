"""What a store is: the `Store` protocol, atomic operations on several keys, and a store seen through a prefix."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

Argument: TypeAlias = bytes | str | int | float
"""What an operation may be given; a script sees it as text, a float in its shortest exact form (``repr``)."""

Results: TypeAlias = list[int | bytes | None]
"""What an operation answers."""


@dataclass(slots=True)
class StoreStats:
    """What became of the calls to a store, since the start of the process.

    ``calls`` went to the store, of which ``failures`` brought no answer within the deadline or an error of the store
    itself; ``refused`` were never sent, because it was known to be away. ``open`` is true while it is, ``opened`` says
    how often that began. ``seconds`` is the time that all calls took and ``slowest`` that of the longest one.
    ``evicted`` keys of a store in memory went before their time, for want of room.
    """

    calls: int = 0
    failures: int = 0
    refused: int = 0
    open: bool = False
    opened: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    evicted: int = 0


class LocalKeys(Protocol):
    """The keys of a store in memory, for the ``local`` half of a `StoreOperation`: synchronous, in one process.

    Keys are the operation's own, as ``local`` was given them. A value may be any object, and is the very object that
    was set. One that is not bytes is read by operations alone, like a list or a hash on Redis.
    """

    def get(self, key: str) -> Any | None:
        """The value, or ``None`` when absent or expired."""

    def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        """Write ``value``, for ``ttl`` seconds from now; without ``ttl`` it stays until deleted."""

    def delete(self, key: str) -> None:
        """Remove ``key``, if it is there."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An atomic operation on several keys: a Lua script for Redis, and the same as a function for memory.

    All keys of one call share one slot of a Redis Cluster: with more than one key, each holds the same ``{tag}``.

    Args:
        name: for messages and counters.
        lua: the script: ``KEYS``, ``ARGV``, ``redis.call('TIME')`` where it needs the clock. It returns a list (a
            table) of integers, strings, or ``false`` for ``None``; Redis cuts fractions off, so a fraction is returned
            as text.
        local: the same over `LocalKeys`: it is given the keys, the arguments as they are and the time (seconds since
            the epoch, the gateway's clock), and returns the same list. It must not wait, and nothing else runs between
            its beginning and its end.
    """

    name: str
    lua: str = field(repr=False)
    local: Callable[[LocalKeys, Sequence[str], Sequence[Argument], float], Results] = field(repr=False)
    sha: str = field(init=False, repr=False)
    """The script's digest, by which a server that has seen it knows it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.lua.encode(), usedforsecurity=False).hexdigest())


Call: TypeAlias = tuple[Operation, Sequence[str], Sequence[Argument]]
"""An operation with its keys and arguments."""


class Store(Protocol):
    """Namespaced key-value store with expiry, the same interface in memory and on Redis.

    Values are bytes, small enough to travel well within a deadline (a megabyte at most); keys are strings; ``ttl`` is
    in seconds, down to a millisecond. Every method that is awaited raises `StoreUnavailable`, within the configured
    deadline, when the store cannot be reached or is too slow; whether a write then took place is unknown. The store in
    memory is always there.
    """

    @property
    def stats(self) -> StoreStats:
        """What became of the calls so far."""

    async def connect(self) -> None:
        """Try the store; that it does not answer is told in the log, and raises nothing."""

    async def problem(self) -> str:
        """Why the store does not answer now, in words for people; empty when it does. Nothing is told or counted."""

    async def get(self, key: str) -> bytes | None:
        """The value, or ``None`` when absent or expired."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The value of each key, or ``None``, in one round trip."""

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Write ``value``; without ``ttl`` it stays until deleted."""

    async def delete(self, key: str) -> None:
        """Remove ``key``, if it is there."""

    async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int:
        """Add to an integer counter atomically and return the new value; ``ttl`` applies when it is created."""

    async def compare_and_set(self, key: str, expected: bytes | None, value: bytes, ttl: float | None = None) -> bool:
        """Write ``value`` only if the current one is ``expected`` (``None``: absent). Whether it was written."""

    async def run(self, operation: Operation, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> Results:
        """Run ``operation`` atomically, in one round trip. Raises `ValueError` for keys that share no ``{tag}``."""

    async def run_all(self, calls: Iterable[Call]) -> list[Results]:
        """The results of several operations, in one round trip; each is atomic, all of them together are not."""

    def scope(self, name: str) -> Store:
        """This store, with ``name:`` before every key: each plugin's keys are its own."""

    async def close(self) -> None:
        """Let go of connections."""


def check_tags(operation: Operation, keys: Sequence[str]) -> None:
    """Raise `ValueError` unless ``keys`` share a slot: Redis Cluster would refuse what memory and one Redis take.

    The tag is what stands between the first brace and the next closing one (Redis Cluster specification, hash tags);
    keys that are not all the same need one that is.
    """
    first = keys[0]
    tag = _tag(first)
    for key in keys:
        if key != first and (not tag or _tag(key) != tag):
            raise ValueError(f"the keys of {operation.name!r} share no {{tag}}: a cluster would hold them apart")


def _tag(key: str) -> str:
    start = key.find("{") + 1
    end = key.find("}", start)
    return key[start:end] if start and end > start else ""


class Scoped:
    """A `Store` with a prefix before every key of another one, which it does not own: `close` does nothing."""

    __slots__ = ("_inner", "_prefix")

    def __init__(self, inner: Store, name: str) -> None:
        if "{" in name or "}" in name:
            raise ValueError("the name of a scope holds no braces: they mark the tag of a key")
        self._inner = inner
        self._prefix = f"{name}:"

    @property
    def stats(self) -> StoreStats:
        """What became of the calls so far, those of every scope."""
        return self._inner.stats

    async def connect(self) -> None:
        """Nothing: the store belongs to the gateway."""

    def problem(self) -> Coroutine[Any, Any, str]:
        """Why the store does not answer now; empty when it does."""
        return self._inner.problem()

    # These return the inner coroutine instead of awaiting it: a scope costs its prefix and nothing else.

    def get(self, key: str) -> Coroutine[Any, Any, bytes | None]:
        """The value, or ``None`` when absent or expired."""
        return self._inner.get(self._prefix + key)

    def get_many(self, keys: Sequence[str]) -> Coroutine[Any, Any, list[bytes | None]]:
        """The value of each key, or ``None``, in one round trip."""
        return self._inner.get_many([self._prefix + key for key in keys])

    def set(self, key: str, value: bytes, ttl: float | None = None) -> Coroutine[Any, Any, None]:
        """Write ``value``; without ``ttl`` it stays until deleted."""
        return self._inner.set(self._prefix + key, value, ttl)

    def delete(self, key: str) -> Coroutine[Any, Any, None]:
        """Remove ``key``, if it is there."""
        return self._inner.delete(self._prefix + key)

    def increment(self, key: str, by: int = 1, ttl: float | None = None) -> Coroutine[Any, Any, int]:
        """Add to an integer counter atomically and return the new value; ``ttl`` applies when it is created."""
        return self._inner.increment(self._prefix + key, by, ttl)

    def compare_and_set(
        self, key: str, expected: bytes | None, value: bytes, ttl: float | None = None
    ) -> Coroutine[Any, Any, bool]:
        """Write ``value`` only if the current one is ``expected`` (``None``: absent). Whether it was written."""
        return self._inner.compare_and_set(self._prefix + key, expected, value, ttl)

    def run(
        self, operation: Operation, keys: Sequence[str], arguments: Sequence[Argument] = ()
    ) -> Coroutine[Any, Any, Results]:
        """Run ``operation`` atomically, in one round trip. Raises `ValueError` for keys that share no ``{tag}``."""
        return self._inner.run(operation, [self._prefix + key for key in keys], arguments)

    def run_all(self, calls: Iterable[Call]) -> Coroutine[Any, Any, list[Results]]:
        """The results of several operations, in one round trip; each is atomic, all of them together are not."""
        prefix = self._prefix
        return self._inner.run_all(
            [(operation, [prefix + key for key in keys], arguments) for operation, keys, arguments in calls]
        )

    def scope(self, name: str) -> Store:
        """This store, with ``name:`` before every key."""
        return Scoped(self._inner, self._prefix + name)

    async def close(self) -> None:
        """Nothing: the store belongs to the gateway."""
