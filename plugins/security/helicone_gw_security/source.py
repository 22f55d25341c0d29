"""The key source that the gateway asks: keys of the configuration first, then those of the database."""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import Unavailable
from helicone_gw_security.cached import STALE_AFTER, CachedKeys
from helicone_gw_security.keys import StaticKeys, StoredKey, digests
from helicone_gw_security.store import KeyTable
from helicone_gw_security.usage import WRITE_EVERY, LastUsed

if TYPE_CHECKING:
    from helicone_gw import Clock, GatewayKey

WRITE_TIMEOUT = 5.0
"""Seconds that the database has to take the times of last uses."""

_FAILURES = (SQLAlchemyError, OSError, TimeoutError)


class Keys:
    """A `helicone_gw.KeySource` over `StaticKeys` and the database."""

    def __init__(self, static: StaticKeys, table: KeyTable, clock: Clock, log: Any) -> None:
        self._static = static
        self._table = table
        self._cached = CachedKeys(table, clock)
        self._clock = clock
        self._log = log
        # No property: every request asks for it several times.
        self.configured = len(static) > 0
        """Whether there is any key, valid or not. It never turns false again while the process lives."""
        # Not one of the gateway's background tasks: it has no end of its own that a drain could wait for.
        self._watch: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self.last_used = LastUsed(table.used)

    async def lookup(self, secret: str) -> GatewayKey | None:
        """The key of ``secret`` if it is valid now.

        Raises `Unavailable` when only the database could tell and it does not answer: a good key must not be told that
        it is wrong.
        """
        stored = self._static.match(secret) or await self._find(secret)
        now = self._clock.now()
        if stored is None or not stored.valid(now):
            return None
        if stored.stored:
            self.last_used.used(stored.key.id, now)
        return stored.key

    async def knows(self, secret: str) -> bool:
        """Whether ``secret`` is, or was, a key: expired and revoked ones are still no provider's business.

        Raises `Unavailable` as `lookup` does.
        """
        return (self._static.match(secret) or await self._find(secret)) is not None

    async def stored(self, secret: str) -> StoredKey | None:
        """What is kept of the key whose secret this is, valid or not. Raises `Unavailable` as `lookup` does."""
        return self._static.match(secret) or await self._find(secret)

    async def of_hash(self, sha256: str) -> StoredKey | None:
        """The key whose secret has this hash, valid or not. Raises `TimeoutError` or SQLAlchemy's errors."""
        return self._static.of_hash(sha256) or await self._cached.find(sha256)

    async def _find(self, secret: str) -> StoredKey | None:
        for candidate in digests(secret):
            try:
                stored = await self._cached.find(candidate)
            except _FAILURES as problem:
                self._log.error("gateway keys cannot be read", problem=type(problem).__name__)
                raise Unavailable(
                    "The gateway cannot check keys at the moment. Try again shortly.", code="keys_unavailable"
                ) from None
            if stored is not None and hmac.compare_digest(stored.sha256, candidate):
                self.configured = True
                return stored
        return None

    async def refresh(self) -> None:
        """Ask the database whether it holds a key. Raises SQLAlchemy's errors."""
        self.configured = self.configured or await self._table.exist()

    def start(self) -> None:
        """Begin to write when keys were used, and to `refresh` every `STALE_AFTER` seconds until there is a key.

        A timer and not the next request does it: the first request after a key was made must already need one.
        """
        self._writing = asyncio.create_task(self._write_uses(), name="security.uses")
        if not self.configured:
            self._watch = asyncio.create_task(self._refresh_until_configured(), name="security.watch")

    async def _refresh_until_configured(self) -> None:
        while not self.configured:
            await self._clock.sleep(STALE_AFTER)
            try:
                await self.refresh()
            except _FAILURES as problem:
                self._log.warning("gateway keys cannot be read", problem=type(problem).__name__)

    async def _write_uses(self) -> None:
        while True:
            await self._clock.sleep(WRITE_EVERY)
            await self._flush()

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                await self.last_used.flush()
        except _FAILURES as problem:
            self._log.warning("when keys were used cannot be written", problem=type(problem).__name__)

    async def close(self) -> None:
        """Stop asking the database, and write what is left to be written."""
        tasks = {task for task in (self._watch, self._writing) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._cached.close()
        await self._flush()
