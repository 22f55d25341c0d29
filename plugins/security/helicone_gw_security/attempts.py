"""Attempts: how often an address, or an account, may try to log in and fail."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from cachetools import TTLCache

from helicone_gw import StoreUnavailable, TooManyRequests

if TYPE_CHECKING:
    from helicone_gw import Clock, Store

WINDOW: Final = 600
"""Seconds after which failures are forgotten, counted from the first."""

MOST: Final = {"address": 30, "account": 10, "start": 300}
"""Failures within a `WINDOW`: of one address, and of one account whoever tried; and logins of one address that begin at
an OpenID provider."""

REMEMBERED: Final = 100_000
"""Counters that a process keeps while the store is away; the oldest go first."""


class Attempts:
    """Counts attempts in the gateway's store, so that all workers count together; in this process while it is away.

    An attempt counts from its beginning, so that many at once are no way around it; one that was good is taken back.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._local: TTLCache[str, int] = TTLCache(REMEMBERED, WINDOW, timer=clock.monotonic)
        self.refused = 0
        """Attempts that were refused."""

    async def begin(self, address: str, account: str | None = None) -> Sequence[str]:
        """Count an attempt; what `good` wants when it was one. Raises `TooManyRequests`."""
        counters = [("address", address)]
        if account is not None:
            counters.append(("account", account))
        return [await self._counted(kind, what) for kind, what in counters]

    async def starts(self, address: str) -> None:
        """Count a login that begins at an OpenID provider. Raises `TooManyRequests`."""
        await self._counted("start", address)

    async def good(self, keys: Sequence[str]) -> None:
        """The attempt was a good one."""
        for key in keys:
            await self._count(key, -1)

    async def _counted(self, kind: str, what: str) -> str:
        key = f"login:{kind}:{hashlib.sha256(what.encode('utf-8', 'replace')).hexdigest()}"
        if await self._count(key, 1) > MOST[kind]:
            self.refused += 1
            raise TooManyRequests(
                f"There were too many attempts to log in. Try again in {WINDOW // 60} minutes.",
                code="too_many_attempts",
                headers={"Retry-After": str(WINDOW)},
            )
        return key

    async def _count(self, key: str, by: int) -> int:
        try:
            return await self._store.increment(key, by, WINDOW)
        except StoreUnavailable:
            count = self._local.get(key, 0) + by
            self._local[key] = count
            return count
