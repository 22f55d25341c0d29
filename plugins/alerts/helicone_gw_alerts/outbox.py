"""The outbox: what is still to be delivered, in the database: neither a restart nor a dead receiver loses it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct
from sqlalchemy import delete, func, insert, select, update

from helicone_gw import new_id
from helicone_gw_alerts.tables import DELIVERED, DELIVERY

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Clock, Database

MAX_ERROR: Final = 500
"""Characters that are kept of why a delivery failed."""
MAX_AT_ONCE: Final = 500
"""Rows that one statement names."""
MAX_DELIVERED: Final = 100
"""Deliveries of one webhook that are remembered; the oldest go."""
REMEMBERED: Final = "webhook"
"""The kind of which deliveries are remembered."""


class Target(NamedTuple):
    """A receiver: what ``kind`` of thing it gets, and its id."""

    kind: str
    id: str


class Delivery(Struct, frozen=True):
    """Something to be delivered. Times are epoch seconds; ``attempts`` is how many there were."""

    id: str
    organization_id: str
    kind: str
    target_id: str
    payload: Mapping[str, Any]
    attempts: int
    next_at: float
    dead: bool
    error: str
    created_at: float


class OutboxCounters(Struct):
    """What became of deliveries. ``dropped`` found no room, ``forgotten`` were dead letters that made room."""

    queued: int = 0
    delivered: int = 0
    failed: int = 0
    dead: int = 0
    dropped: int = 0
    forgotten: int = 0
    replayed: int = 0


class Outbox:
    """Deliveries in the database. For one receiver at most ``max_pending`` wait: further ones are dropped, and counted;
    of dead letters the oldest make room where there are more than ``max_dead``.

    Methods raise SQLAlchemy's errors.
    """

    def __init__(self, database: Database, clock: Clock, *, max_pending: int, max_dead: int) -> None:
        self._database = database
        self._clock = clock
        self._max_pending = max_pending
        self._max_dead = max_dead
        self.counters = OutboxCounters()

    async def put(
        self, connection: AsyncConnection, organization: str, target: Target, payloads: Sequence[Mapping[str, Any]]
    ) -> int:
        """Queue ``payloads`` for ``target`` in the transaction of ``connection``; how many found room."""
        if not payloads:
            return 0
        waiting = select(func.count()).where(*_of(target), DELIVERY.c.dead.is_(False))
        room = max(0, self._max_pending - int((await connection.execute(waiting)).scalar_one()))
        now = self._clock.now()
        rows = [
            {
                "id": new_id(),
                "organization_id": organization,
                "kind": target.kind,
                "target_id": target.id,
                "payload": dict(payload),
                "attempts": 0,
                "next_at": now,
                "dead": False,
                "error": "",
                "created_at": now,
            }
            for payload in payloads[:room]
        ]
        if rows:
            await connection.execute(insert(DELIVERY), rows)
        self.counters.queued += len(rows)
        self.counters.dropped += len(payloads) - len(rows)
        return len(rows)

    async def targets(self, now: float, limit: int) -> list[Target]:
        """Receivers for which something is due, whoever waits longest first."""
        due = (
            select(DELIVERY.c.kind, DELIVERY.c.target_id)
            .where(DELIVERY.c.dead.is_(False), DELIVERY.c.next_at <= now)
            .group_by(DELIVERY.c.kind, DELIVERY.c.target_id)
            .order_by(func.min(DELIVERY.c.next_at))
            .limit(limit)
        )
        async with self._database.connect() as connection:
            return [Target(*row) for row in await connection.execute(due)]

    async def due(self, target: Target, now: float, limit: int) -> list[Delivery]:
        """What is due for ``target``, in its order."""
        query = (
            select(DELIVERY)
            .where(*_of(target), DELIVERY.c.dead.is_(False), DELIVERY.c.next_at <= now)
            .order_by(DELIVERY.c.next_at, DELIVERY.c.id)
            .limit(limit)
        )
        async with self._database.connect() as connection:
            return [Delivery(**row) for row in (await connection.execute(query)).mappings()]

    async def settle(
        self, done: Iterable[str], later: Mapping[str, tuple[float, str]], dead: Mapping[str, str]
    ) -> None:
        """Write what became of deliveries: ``done``, to be tried ``later`` (when, and why), ``dead`` (why)."""
        finished = [*done]
        async with self._database.begin() as connection:
            for start in range(0, len(finished), MAX_AT_ONCE):
                some = finished[start : start + MAX_AT_ONCE]
                await self._remember(connection, some)
                await connection.execute(delete(DELIVERY).where(DELIVERY.c.id.in_(some)))
            for each, (when, why) in later.items():
                changed = {"next_at": when, "error": why[:MAX_ERROR], "attempts": DELIVERY.c.attempts + 1}
                await connection.execute(update(DELIVERY).where(DELIVERY.c.id == each).values(**changed))
            for each, why in dead.items():
                changed = {"dead": True, "error": why[:MAX_ERROR], "attempts": DELIVERY.c.attempts + 1}
                changed["next_at"] = self._clock.now()
                await connection.execute(update(DELIVERY).where(DELIVERY.c.id == each).values(**changed))
            if dead:
                await self._make_room(connection, [*dead])
        self.counters.delivered += len(finished)
        self.counters.failed += len(later) + len(dead)
        self.counters.dead += len(dead)

    async def _remember(self, connection: AsyncConnection, ids: Sequence[str]) -> None:
        """Keep what webhooks were sent, the last `MAX_DELIVERED` of each."""
        sent = select(DELIVERY).where(DELIVERY.c.id.in_(ids), DELIVERY.c.kind == REMEMBERED)
        rows = [
            {
                "id": row["id"],
                "organization_id": row["organization_id"],
                "target_id": row["target_id"],
                "request_id": str(row["payload"].get("id", "")),
                "attempts": row["attempts"] + 1,
                "delivered_at": self._clock.now(),
            }
            for row in (await connection.execute(sent)).mappings()
        ]
        if not rows:
            return
        # One that was replayed is sent again under its own id.
        again = [row["id"] for row in rows]
        await connection.execute(delete(DELIVERED).where(DELIVERED.c.id.in_(again)))
        await connection.execute(insert(DELIVERED), rows)
        for target in {row["target_id"] for row in rows}:
            oldest = (
                select(DELIVERED.c.id)
                .where(DELIVERED.c.target_id == target)
                .order_by(DELIVERED.c.delivered_at.desc(), DELIVERED.c.id.desc())
                .offset(MAX_DELIVERED)
                .limit(MAX_AT_ONCE)
            )
            gone = [*(await connection.execute(oldest)).scalars()]
            if gone:
                await connection.execute(delete(DELIVERED).where(DELIVERED.c.id.in_(gone)))

    async def recent(self, organization: str, target: str, limit: int) -> list[dict[str, Any]]:
        """What a webhook was sent, is to be sent, and could not be sent: of each ``limit`` rows, the newest first.

        Each has ``state`` (pending, delivered, dead), ``request_id``, ``attempts``, ``error``, ``at`` (when it was
        delivered, given up, or is tried next) and ``created_at``, which is unknown for what was delivered.
        """
        found: list[dict[str, Any]] = []
        mine = (DELIVERY.c.organization_id == organization, *_of(Target(REMEMBERED, target)))
        done = (DELIVERED.c.organization_id == organization, DELIVERED.c.target_id == target)
        async with self._database.connect() as connection:
            for dead, state in ((False, "pending"), (True, "dead")):
                query = (
                    select(DELIVERY)
                    .where(*mine, DELIVERY.c.dead.is_(dead))
                    .order_by(DELIVERY.c.next_at.desc())
                    .limit(limit)
                )
                for row in (await connection.execute(query)).mappings():
                    facts = {name: row[name] for name in ("id", "attempts", "error", "created_at")}
                    found.append(
                        {**facts, "state": state, "request_id": row["payload"].get("id"), "at": row["next_at"]}
                    )
            query = select(DELIVERED).where(*done).order_by(DELIVERED.c.delivered_at.desc()).limit(limit)
            for row in (await connection.execute(query)).mappings():
                facts = {name: row[name] for name in ("id", "attempts", "request_id")}
                told = {"state": "delivered", "error": "", "at": row["delivered_at"], "created_at": None}
                found.append({**facts, **told})
        return sorted(found, key=lambda one: -one["at"])

    async def _make_room(self, connection: AsyncConnection, ids: Sequence[str]) -> None:
        kinds = select(DELIVERY.c.kind, DELIVERY.c.target_id).where(DELIVERY.c.id.in_(ids[:MAX_AT_ONCE])).distinct()
        for row in (await connection.execute(kinds)).all():
            letters = [*_of(Target(*row)), DELIVERY.c.dead.is_(True)]
            oldest = (
                select(DELIVERY.c.id)
                .where(*letters)
                .order_by(DELIVERY.c.next_at.desc(), DELIVERY.c.id.desc())
                .offset(self._max_dead)
                .limit(MAX_AT_ONCE)
            )
            gone = [*(await connection.execute(oldest)).scalars()]
            if gone:
                await connection.execute(delete(DELIVERY).where(DELIVERY.c.id.in_(gone)))
                self.counters.forgotten += len(gone)

    async def dead_letters(
        self, organization: str | None, *, target: str | None = None, limit: int = 100, offset: int = 0
    ) -> list[Delivery]:
        """Dead letters, the newest first; of every organization for ``None``."""
        query = (
            select(DELIVERY)
            .where(*_letters(organization, target))
            .order_by(DELIVERY.c.next_at.desc(), DELIVERY.c.id)
            .limit(limit)
            .offset(offset)
        )
        async with self._database.connect() as connection:
            return [Delivery(**row) for row in (await connection.execute(query)).mappings()]

    async def replay(
        self, organization: str | None, *, ids: Sequence[str] | None = None, target: str | None = None
    ) -> int:
        """Have dead letters delivered, as if they were new: those of ``ids`` or all; how many."""
        conditions = _letters(organization, target)
        if ids is not None:
            conditions.append(DELIVERY.c.id.in_(ids[:MAX_AT_ONCE]))
        again = update(DELIVERY).where(*conditions).values(dead=False, attempts=0, next_at=self._clock.now())
        async with self._database.begin() as connection:
            count = int((await connection.execute(again)).rowcount)
        self.counters.replayed += count
        return count

    async def waiting(self, organization: str) -> dict[str, dict[str, int]]:
        """How many are ``pending`` and ``dead``, by receiver."""
        query = (
            select(DELIVERY.c.target_id, DELIVERY.c.dead, func.count())
            .where(DELIVERY.c.organization_id == organization)
            .group_by(DELIVERY.c.target_id, DELIVERY.c.dead)
        )
        found: dict[str, dict[str, int]] = {}
        async with self._database.connect() as connection:
            for target, dead, count in await connection.execute(query):
                found.setdefault(target, {"pending": 0, "dead": 0})["dead" if dead else "pending"] = count
        return found

    @staticmethod
    async def forget(connection: AsyncConnection, target: Target) -> None:
        """Drop everything for a receiver that is no more."""
        await connection.execute(delete(DELIVERY).where(*_of(target)))
        if target.kind == REMEMBERED:
            await connection.execute(delete(DELIVERED).where(DELIVERED.c.target_id == target.id))


def _of(target: Target) -> list[ColumnElement[bool]]:
    return [DELIVERY.c.kind == target.kind, DELIVERY.c.target_id == target.id]


def _letters(organization: str | None, target: str | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [DELIVERY.c.dead.is_(True)]
    if organization is not None:
        conditions.append(DELIVERY.c.organization_id == organization)
    if target is not None:
        conditions.append(DELIVERY.c.target_id == target)
    return conditions
