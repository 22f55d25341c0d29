"""Keeping: alerts and their history in the database, those of the configuration beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import delete, func, insert, select, update

from helicone_gw import new_id
from helicone_gw_alerts.errors import NoSuch, Refusal
from helicone_gw_alerts.rules import Rule
from helicone_gw_alerts.tables import ALERT, EVENT

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Clock, Database
    from helicone_gw_alerts.config import AlertsConfig

CONFIGURED: Final = "config:"
"""What the ids of alerts of the configuration begin with."""
MAX_HISTORY: Final = 1000
"""Entries of the history in one answer."""


class Alert(Struct, frozen=True):
    """An alert: ``created_at`` is epoch seconds, ``None`` for one of the configuration."""

    organization: str
    id: str
    rule: Rule
    created_at: float | None = None


class Event(Struct, frozen=True):
    """A time in which an alert was triggered, or is (``ended_at`` is ``None``)."""

    id: str
    organization_id: str
    alert_id: str
    alert_name: str
    metric: str
    group_value: str
    value: float
    requests: int | None
    started_at: float
    ended_at: float | None
    open_key: str | None


class Keeper:
    """Alerts. Methods raise `Refusal`, `NoSuch` and SQLAlchemy's errors."""

    def __init__(self, database: Database, clock: Clock, config: AlertsConfig) -> None:
        self.database = database
        self._clock = clock
        self._max = config.max_alerts
        self._days = config.history_days
        self.configured: Sequence[Alert] = [
            Alert(each.organization, f"{CONFIGURED}{name}", each.rule(name)) for name, each in config.alerts.items()
        ]

    async def alerts(self, organization: str | None = None) -> list[Alert]:
        """All alerts, or an organization's, the configuration's first."""
        query = select(ALERT).where(ALERT.c.deleted_at.is_(None)).order_by(ALERT.c.created_at, ALERT.c.id)
        if organization is not None:
            query = query.where(ALERT.c.organization_id == organization)
        async with self.database.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        kept = [Alert(row["organization_id"], row["id"], _rule(row["definition"]), row["created_at"]) for row in rows]
        own = [each for each in self.configured if organization in (None, each.organization)]
        return [*own, *kept]

    async def alert(self, organization: str, id: str) -> Alert:
        """One alert."""
        for each in await self.alerts(organization):
            if each.id == id:
                return each
        raise NoSuch("There is no such alert.")

    async def create(self, organization: str, rule: Rule) -> str:
        """Keep a new alert, which has been checked; its id."""
        made = new_id()
        async with self.database.begin() as connection:
            count = select(func.count()).where(ALERT.c.organization_id == organization, ALERT.c.deleted_at.is_(None))
            if (await connection.execute(count)).scalar_one() >= self._max:
                raise Refusal(f"There are {self._max} alerts already; no more are kept.")
            row = {
                "organization_id": organization,
                "id": made,
                "definition": msgspec.to_builtins(rule),
                "created_at": self._clock.now(),
            }
            await connection.execute(insert(ALERT).values(**row))
        return made

    async def change(self, connection: AsyncConnection, alert: Alert, rule: Rule) -> None:
        """Have ``alert`` be ``rule``, which has been checked, from now on."""
        await self._update(connection, alert.organization, alert.id, definition=msgspec.to_builtins(rule))

    async def delete(self, organization: str, id: str) -> None:
        """Delete an alert; if it was triggered, that ends without a word."""
        now = self._clock.now()
        async with self.database.begin() as connection:
            await self._update(connection, organization, id, deleted_at=now)
            ended = (EVENT.c.organization_id == organization, EVENT.c.alert_id == id, EVENT.c.open_key.is_not(None))
            await connection.execute(update(EVENT).where(*ended).values(ended_at=now, open_key=None))

    async def _update(self, connection: AsyncConnection, organization: str, id: str, **values: Any) -> None:
        if id.startswith(CONFIGURED):
            raise Refusal("That alert is one of the configuration.")
        mine = (ALERT.c.organization_id == organization, ALERT.c.id == id, ALERT.c.deleted_at.is_(None))
        if not (await connection.execute(update(ALERT).where(*mine).values(**values))).rowcount:
            raise NoSuch("There is no such alert.")

    async def open_events(self, organization: str, id: str) -> dict[str, Event]:
        """What is triggered of an alert now, by group."""
        query = select(EVENT).where(
            EVENT.c.organization_id == organization, EVENT.c.alert_id == id, EVENT.c.open_key.is_not(None)
        )
        async with self.database.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return {row["group_value"]: Event(**row) for row in rows}

    async def triggered(self, organization: str) -> set[str]:
        """The ids of an organization's alerts that are triggered now."""
        query = select(EVENT.c.alert_id).where(EVENT.c.organization_id == organization, EVENT.c.open_key.is_not(None))
        async with self.database.connect() as connection:
            return {*(await connection.execute(query.distinct())).scalars()}

    async def history(self, organization: str, *, limit: int = MAX_HISTORY) -> list[Event]:
        """When alerts were triggered, the newest first."""
        query = (
            select(EVENT)
            .where(EVENT.c.organization_id == organization)
            .order_by(EVENT.c.started_at.desc(), EVENT.c.id.desc())
            .limit(limit)
        )
        async with self.database.connect() as connection:
            return [Event(**row) for row in (await connection.execute(query)).mappings()]

    async def prune(self, known: Sequence[Alert]) -> None:
        """Forget what ended long ago, and end what belongs to no alert any more (one left the configuration)."""
        now = self._clock.now()
        async with self.database.begin() as connection:
            old = EVENT.c.ended_at < now - self._days * 86400
            await connection.execute(delete(EVENT).where(old))
            await connection.execute(delete(ALERT).where(ALERT.c.deleted_at < now - self._days * 86400))
            ids = {(each.organization, each.id) for each in known}
            left = select(EVENT.c.id, EVENT.c.organization_id, EVENT.c.alert_id).where(EVENT.c.open_key.is_not(None))
            for row in (await connection.execute(left)).all():
                if (row.organization_id, row.alert_id) not in ids:
                    ended = {"ended_at": now, "open_key": None}
                    await connection.execute(update(EVENT).where(EVENT.c.id == row.id).values(**ended))


def _rule(definition: Mapping[str, Any]) -> Rule:
    return msgspec.convert(definition, Rule)
