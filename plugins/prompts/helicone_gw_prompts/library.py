"""Library: the versions that requests ask for, out of this process's memory where that is still true.

What is remembered is believed for ``stale_after`` seconds; then one small query asks whether anything was edited since.
Edits of this process forget everything at once. Where the database is away, what is remembered goes on being served.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from helicone_gw import Unavailable
from helicone_gw_prompts import reading
from helicone_gw_prompts.errors import NoSuch
from helicone_gw_prompts.reading import PRODUCTION, Version
from helicone_gw_prompts.recent import Recent

if TYPE_CHECKING:
    from helicone_gw import Clock, Database

FAILURES = (SQLAlchemyError, OSError, TimeoutError)
"""What a database that is away raises."""


class Choice(Struct, frozen=True):
    """Which version is meant: that of ``environment``, or ``version``, or the one in production.

    Without ``prompt`` there is a ``version``.
    """

    organization: str
    prompt: str | None
    version: str | None = None
    environment: str | None = None


class LibraryCounters(Struct):
    """What became of the look-ups: ``stale`` were served although the database was away."""

    hits: int = 0
    loads: int = 0
    checks: int = 0
    stale: int = 0
    unavailable: int = 0


class Library:
    """Versions by choice; at most ``size`` are remembered, the longest unused goes first."""

    def __init__(self, database: Database, clock: Clock, *, size: int, stale_after: float, deadline: float) -> None:
        self._database = database
        self._clock = clock
        self._stale_after = stale_after
        self._deadline = deadline
        self._found: Recent[Choice, Version] = Recent(size)
        self._loading: dict[Choice, asyncio.Task[Version]] = {}
        self._tasks: set[asyncio.Task[Version]] = set()
        self._changes = -1
        self._checked_at = float("-inf")
        self._checking: asyncio.Task[None] | None = None
        self._epoch = 0
        self.counters = LibraryCounters()

    def __len__(self) -> int:
        return len(self._found)

    def forget(self) -> None:
        """Remember nothing: something was edited."""
        self._epoch += 1
        self._found.clear()
        self._loading.clear()

    async def find(self, choice: Choice) -> Version:
        """The version that is meant. Raises `NoSuch`, and `Unavailable` where nobody knows."""
        if self._clock.monotonic() - self._checked_at >= self._stale_after:
            await self._check()
        found = self._found.get(choice)
        if found is not None:
            self.counters.hits += 1
            return found
        loading = self._loading.get(choice)
        if loading is None:
            loading = self._loading[choice] = asyncio.create_task(self._load(choice), name="prompts.load")
            self._tasks.add(loading)
            loading.add_done_callback(lambda done: self._loaded(choice, done))
        # Shielded: a caller that leaves must not take the answer from those who wait beside it.
        return await asyncio.shield(loading)

    async def close(self) -> None:
        """Stop what is still being asked."""
        running: list[asyncio.Task[Any]] = [*self._tasks, *([self._checking] if self._checking else [])]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _check(self) -> None:
        """Forget everything if something was edited; all who wait for that share one query."""
        if self._checking is None:
            self._checking = asyncio.create_task(self._ask(), name="prompts.check")
            self._checking.add_done_callback(self._asked)
        await asyncio.shield(self._checking)

    async def _ask(self) -> None:
        asked_at, epoch = self._clock.monotonic(), self._epoch
        try:
            async with asyncio.timeout(self._deadline), self._database.connect() as connection:
                changes = await reading.changes(connection)
        except FAILURES:
            # What is remembered may be old, and is better than nothing.
            self.counters.stale += 1
            self._checked_at = asked_at
            return
        self.counters.checks += 1
        if changes != self._changes and epoch == self._epoch:
            self.forget()
        self._changes = changes
        self._checked_at = asked_at

    def _asked(self, done: asyncio.Task[None]) -> None:
        self._checking = None
        if not done.cancelled():
            done.exception()

    async def _load(self, choice: Choice) -> Version:
        epoch = self._epoch
        try:
            async with asyncio.timeout(self._deadline), self._database.connect() as connection:
                found = await _read(connection, choice)
        except FAILURES:
            self.counters.unavailable += 1
            raise Unavailable(
                "Prompts cannot be read at the moment. Try again shortly.", code="prompts_unavailable"
            ) from None
        self.counters.loads += 1
        if epoch == self._epoch:  # nothing was edited while it was read
            self._found.put(choice, found)
        return found

    def _loaded(self, choice: Choice, done: asyncio.Task[Version]) -> None:
        self._tasks.discard(done)
        if self._loading.get(choice) is done:
            del self._loading[choice]
        if not done.cancelled():
            done.exception()  # read, so that asyncio does not report it as lost when every caller has left


async def _read(connection: AsyncConnection, choice: Choice) -> Version:
    organization, prompt = choice.organization, choice.prompt
    if choice.environment is not None or choice.version is None:
        assert prompt is not None
        return await reading.version_in(connection, organization, prompt, choice.environment or PRODUCTION)
    found = await reading.version(connection, organization, choice.version)
    if prompt is not None and found.prompt_id != prompt:
        raise NoSuch(f"The prompt {prompt[:100]!r} has no version {choice.version[:100]!r}.")
    return found
