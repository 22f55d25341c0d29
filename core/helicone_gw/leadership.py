"""Leadership: of all workers one does what must not be done by each, such as looking whether an alert is to be told."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from helicone_gw.errors import StoreUnavailable
from helicone_gw.ids import new_id
from helicone_gw.shared import shared_directory
from helicone_gw.store import LocalKeys, MemoryStore, Operation, Store
from helicone_gw.store.base import Argument, Results

LEASE = 15.0
"""Seconds that a worker leads without asking again; then another one may. Ask at least three times in them."""

_NAME = re.compile(r"[a-z0-9_.-]{1,100}")


def _take(keys: LocalKeys, names: Sequence[str], arguments: Sequence[Argument], now: float) -> Results:
    (name,), (me, lease) = names, arguments
    if keys.get(name) not in (None, me):
        return [0]
    keys.set(name, me, float(lease))
    return [1]


_TAKE = Operation(
    "lead",
    """
    local leader = redis.call('GET', KEYS[1])
    if leader and leader ~= ARGV[1] then return {0} end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', math.floor(tonumber(ARGV[2]) * 1000))
    return {1}
    """,
    _take,
)


class Leadership:
    """Which worker leads in what.

    Workers that share a store (Redis) agree there: whoever has led keeps it as long as it asks, and another one takes
    over within `LEASE` seconds of its end. Workers of one machine whose store is in memory agree over a file, and the
    next one takes over at once. Gateways on several machines that share no store do not know each other.
    """

    def __init__(self, store: Store) -> None:
        self._store = None if isinstance(store, MemoryStore) else store.scope("leadership")
        self._me = new_id()
        self._files: dict[str, int] = {}

    async def holds(self, name: str) -> bool:
        """Whether this worker leads in ``name`` (lower-case letters, digits, ``_.-``), for `LEASE` seconds from now.

        The first that asks does. While the store is away nobody leads. Raises `ValueError` for any other name.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name to lead in")
        if self._store is None:
            return self._locked(name)
        with suppress(StoreUnavailable):
            return (await self._store.run(_TAKE, [name], [self._me, LEASE])) == [1]
        return False

    def close(self) -> None:
        """Lead in nothing any more. On a shared store that takes effect when the lease ends."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()

    def _locked(self, name: str) -> bool:
        if name in self._files:
            return True
        directory = shared_directory()
        if directory is None:
            return True  # this process has no others beside it
        file = os.open(Path(directory) / f"leader-{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._files[name] = file
        return True
