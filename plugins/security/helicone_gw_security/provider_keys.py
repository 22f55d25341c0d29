"""ProviderKeys: the providers' keys that a request may be served with, decrypted in memory for a few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cachetools import TTLCache
from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import PermissionDenied, ProviderKey, Unavailable
from helicone_gw_security.ciphers import Cipher, Unreadable
from helicone_gw_security.provider_table import ProviderTable, identity

if TYPE_CHECKING:
    from helicone_gw import Clock, Exchange, GatewayKey
    from helicone_gw_security.tables import ProviderKeyRow

STALE_AFTER = 5.0
"""Seconds for which what was read is believed: how long a key that was removed may still be used."""

MAX_ORGANIZATIONS = 1000
"""Organisations whose keys are held; the one used longest ago goes first."""

MANY = 20
"""Keys of one organisation beyond which a thread decrypts them."""

READ_TIMEOUT = 5.0
"""Seconds that the database has to give an organisation's keys."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """The keys of one organisation: those that serve all of its requests by provider, and every one by id and name."""

    shared: Mapping[str, ProviderKey] = field(repr=False)
    named: Mapping[str, ProviderKey] = field(repr=False)


class ProviderKeys:
    """Puts the keys of an exchange's organisation on it, or the one that its gateway key stands for.

    ``canonical`` gives the name of a provider for any of its aliases.
    """

    def __init__(
        self, table: ProviderTable, cipher: Cipher, clock: Clock, log: Any, canonical: Callable[[str], str]
    ) -> None:
        self._table = table
        self._canonical = canonical
        self._cipher = cipher
        self._log = log
        self._kept: TTLCache[str, _Kept] = TTLCache(MAX_ORGANIZATIONS, STALE_AFTER, timer=clock.monotonic)
        self._reading: dict[str, asyncio.Task[_Kept]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def give(self, exchange: Exchange) -> None:
        """Set ``exchange.provider_keys``, and the permits where its key stands for one of them.

        Raises `Unavailable` while the database does not say, `PermissionDenied` as `standing_for` does.
        """
        kept = self._kept.get(exchange.organization)
        if kept is None:
            kept = await self._of(exchange.organization)
        key = exchange.key
        if key is None or key.provider_key is None:
            exchange.provider_keys = kept.shared
            return
        found = kept.named.get(key.provider_key)
        exchange.provider_keys = {} if found is None else {found.provider: found}
        standing_for(exchange, key, found)

    async def _of(self, organization: str) -> _Kept:
        reading = self._reading.get(organization)
        if reading is None:
            reading = asyncio.create_task(self._read(organization), name="security.provider-keys")
            self._reading[organization] = reading
            reading.add_done_callback(lambda done: self._done(organization, done))
        try:
            # Shielded: a client that leaves must not take the answer from those who wait beside it.
            return await asyncio.shield(reading)
        except (SQLAlchemyError, OSError, TimeoutError) as problem:
            self._log.error("providers' keys cannot be read", problem=type(problem).__name__)
            raise Unavailable(
                "The gateway cannot read its providers' keys at the moment. Try again shortly.",
                code="provider_keys_unavailable",
            ) from None

    async def _read(self, organization: str) -> _Kept:
        async with asyncio.timeout(READ_TIMEOUT):
            rows = await self._table.all(organization)
        # A thread for many: each takes some ten microseconds, and other requests wait meanwhile.
        work = self._decrypted
        kept, unreadable = await asyncio.to_thread(work, rows) if len(rows) > MANY else work(rows)
        if unreadable:
            self._log.error("providers' keys cannot be decrypted", organization=organization, count=unreadable)
        self._kept[organization] = kept
        # Expired ones leave the memory when they are looked for, which may be never.
        asyncio.get_running_loop().call_later(STALE_AFTER + 1, self._kept.expire)
        return kept

    def _decrypted(self, rows: Sequence[ProviderKeyRow]) -> tuple[_Kept, int]:
        """``rows`` as what is kept of them, and how many could not be read."""
        shared: dict[str, ProviderKey] = {}
        named: dict[str, ProviderKey] = {}
        unreadable = 0
        for row in rows:
            try:
                secret = self._cipher.decrypt(row.ciphertext, identity(row))
            except Unreadable:
                # It takes the place of the configuration's all the same: nobody else pays for it unawares.
                secret, unreadable = "", unreadable + 1
            key = ProviderKey(row.id, self._canonical(row.provider), secret)
            if row.shared:
                shared[key.provider] = key  # the newest
            named[row.name] = key
        named.update({key.id: key for key in list(named.values())})
        return _Kept(shared, named), unreadable

    def _done(self, organization: str, reading: asyncio.Task[_Kept]) -> None:
        self._reading.pop(organization, None)
        if not reading.cancelled():
            reading.exception()  # read, so that asyncio does not report it as lost when every caller has left

    async def close(self) -> None:
        """Forget every key, and stop reading."""
        reading = list(self._reading.values())
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        self._kept.clear()


def standing_for(exchange: Exchange, key: GatewayKey, found: ProviderKey | None) -> None:
    """Keep an exchange to the provider whose key ``key`` stands for.

    Raises `PermissionDenied` when that key is gone, or the gateway key may not use its provider.
    """
    if found is None:
        raise PermissionDenied(
            f"Key {key.name!r} stands for a provider's key that is not kept any more.", code="provider_key_gone"
        )
    if not key.permits.allows_provider(found.provider):
        raise PermissionDenied(
            f"Key {key.name!r} may not use provider {found.provider!r}, whose key it stands for.",
            code="provider_not_permitted",
        )
    exchange.permits = replace(key.permits, providers=(found.provider,))
