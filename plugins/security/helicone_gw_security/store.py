"""Gateway keys in the database, and the bounded cache that spares a query per request."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cachetools import TLRUCache
from sqlalchemy import RowMapping, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from helicone_gw import GatewayKey, Permits
from helicone_gw_security.keys import StoredKey, digest, generate, shown_prefix
from helicone_gw_security.tables import GATEWAY_KEY, GatewayKeyRow

if TYPE_CHECKING:
    from helicone_gw import Clock, Database

STALE_AFTER = 5.0
"""Seconds for which an answer of the database is believed: how long a revoked key may still work."""

CACHED_KEYS = 10_000
"""Bound on cached keys, and again on cached secrets that are no key; the least recently used one goes first."""


class NameTaken(Exception):
    """A key of this name exists in the organisation and is not revoked."""


class KeyTable:
    """The keys in the database, each call one query. SQLAlchemy's errors pass through."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, sha256: str) -> StoredKey | None:
        """The key with this hash, valid or not."""
        async with self._database.connect() as connection:
            found = await connection.execute(select(GATEWAY_KEY).where(GATEWAY_KEY.c.sha256 == sha256))
            row = found.mappings().first()
        return None if row is None else _stored(row)

    async def exist(self) -> bool:
        """Whether there is any key. Revoked ones count: revoking the last key must not open the gateway."""
        async with self._database.connect() as connection:
            return (await connection.execute(select(GATEWAY_KEY.c.id).limit(1))).first() is not None

    async def all(self) -> list[GatewayKeyRow]:
        """Every key, oldest first."""
        async with self._database.connect() as connection:
            found = await connection.execute(select(GATEWAY_KEY).order_by(GATEWAY_KEY.c.created_at, GATEWAY_KEY.c.id))
            return [GatewayKeyRow(**row) for row in found.mappings()]

    async def create(
        self,
        name: str,
        *,
        now: float,
        owner: str | None = None,
        organization: str = "default",
        permits: Permits | None = None,
        expires_at: float | None = None,
    ) -> tuple[str, GatewayKeyRow]:
        """Make a key; the secret that is returned is nowhere else. Raises `NameTaken`."""
        permits = permits or Permits()
        secret = generate()
        row = GatewayKeyRow(
            organization_id=organization,
            id=str(uuid.uuid4()),
            name=name,
            owner=owner or name,
            prefix=shown_prefix(secret),
            sha256=digest(secret),
            models=_as_list(permits.models),
            providers=_as_list(permits.providers),
            paths=_as_list(permits.paths),
            created_at=now,
            expires_at=expires_at,
        )
        try:
            async with self._database.begin() as connection:
                await connection.execute(insert(GATEWAY_KEY).values(**row.model_dump()))
        except IntegrityError:
            raise NameTaken(name) from None
        return secret, row

    async def revoke(self, name_or_id: str, *, now: float) -> list[GatewayKeyRow]:
        """Revoke the one key of this id or name that is not revoked yet, and return it.

        None at all or several (the same name in several organisations): nothing is changed, and they are returned.
        """
        async with self._database.begin() as connection:
            found = await connection.execute(
                select(GATEWAY_KEY).where(
                    GATEWAY_KEY.c.revoked_at.is_(None),
                    or_(GATEWAY_KEY.c.id == name_or_id, GATEWAY_KEY.c.name == name_or_id),
                )
            )
            rows = [GatewayKeyRow(**row) for row in found.mappings()]
            # An id is unique, so it wins over a key that somebody named like another one's id.
            rows = [row for row in rows if row.id == name_or_id] or rows
            if len(rows) == 1:
                rows[0].revoked_at = now
                await connection.execute(
                    update(GATEWAY_KEY).where(GATEWAY_KEY.c.id == rows[0].id).values(revoked_at=now)
                )
        return rows


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the database said, and when it was asked (monotonic seconds): it may have changed from then on."""

    stored: StoredKey | None
    asked_at: float


class CachedKeys:
    """`KeyTable.find` behind a cache: both "yes" and "no" are believed for `STALE_AFTER` seconds.

    Callers that miss on the same secret share one query. A failed query is not remembered and reaches every caller
    that waited for it. Keys and unknown secrets are bounded apart, so that guessing cannot push real keys out.
    """

    def __init__(self, table: KeyTable, clock: Clock, *, size: int = CACHED_KEYS, timeout: float = 5.0) -> None:
        self._table = table
        self._clock = clock
        self._timeout = timeout
        self._known = self._cache(size)
        self._unknown = self._cache(size)
        self._queries: dict[str, asyncio.Task[StoredKey | None]] = {}

    def _cache(self, size: int) -> TLRUCache[str, _Answer, float]:
        return TLRUCache(size, ttu=_stale_at, timer=self._clock.monotonic)

    def __len__(self) -> int:
        return len(self._known) + len(self._unknown)

    async def find(self, sha256: str) -> StoredKey | None:
        """The key with this hash, valid or not. Raises `TimeoutError` or SQLAlchemy's errors."""
        answer = self._known.get(sha256) or self._unknown.get(sha256)
        if answer is not None:
            return answer.stored
        query = self._queries.get(sha256)
        if query is None:
            query = self._queries[sha256] = asyncio.create_task(self._ask(sha256), name="security.find")
            query.add_done_callback(lambda done: self._asked(sha256, done))
        # Shielded: a caller that leaves must not take the answer from those who wait beside it.
        return await asyncio.shield(query)

    async def close(self) -> None:
        """Stop queries that are still under way."""
        queries = list(self._queries.values())
        for query in queries:
            query.cancel()
        await asyncio.gather(*queries, return_exceptions=True)

    async def _ask(self, sha256: str) -> StoredKey | None:
        asked_at = self._clock.monotonic()
        async with asyncio.timeout(self._timeout):
            stored = await self._table.find(sha256)
        cache, other = (self._unknown, self._known) if stored is None else (self._known, self._unknown)
        cache[sha256] = _Answer(stored, asked_at)
        other.pop(sha256, None)
        return stored

    def _asked(self, sha256: str, query: asyncio.Task[Any]) -> None:
        self._queries.pop(sha256, None)
        if not query.cancelled():
            query.exception()  # read, so that asyncio does not report it as lost when every caller has left


def _stale_at(_sha256: str, answer: _Answer, _now: float) -> float:
    return answer.asked_at + STALE_AFTER


def _stored(row: RowMapping) -> StoredKey:
    return StoredKey(
        key=GatewayKey(
            id=row["id"],
            name=row["name"],
            owner=row["owner"],
            organization=row["organization_id"],
            permits=Permits(
                models=_as_tuple(row["models"]),
                providers=_as_tuple(row["providers"]),
                paths=_as_tuple(row["paths"]),
            ),
        ),
        sha256=row["sha256"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


def _as_list(patterns: Sequence[str] | None) -> list[str] | None:
    return None if patterns is None else list(patterns)


def _as_tuple(patterns: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if patterns is None else tuple(patterns)


State = Literal["active", "expired", "revoked"]


def state(row: GatewayKeyRow, now: float) -> State:
    """Whether a key may be used at ``now`` (epoch seconds), in one word."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and now >= row.expires_at else "active"
