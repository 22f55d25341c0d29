"""ObjectTable: whose the objects are that providers keep, by provider and id, in the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, delete, func, select

from helicone_gw_security.tables import PROVIDER_OBJECT

if TYPE_CHECKING:
    from helicone_gw import Database

MOST_ROWS: Final = 2_000_000
"""Objects that are remembered; of more, the oldest are forgotten, and count as made outside the gateway."""

AT_ONCE: Final = 400
"""Ids in one question to the database."""


class Made(NamedTuple):
    """An object of ``provider``, and whose it is. ``certain``: its maker, who comes before whoever was noted for it;
    others are noted only where nobody is. ``ends_at`` (epoch seconds): when it may be forgotten."""

    provider: str
    id: str
    organization: str
    at: float
    certain: bool = True
    ends_at: float | None = None


class ObjectTable:
    """The table of objects, each call one transaction. SQLAlchemy's errors pass through."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """Whose the objects ``ids`` are: organisation by provider, by id."""
        found: dict[str, dict[str, str]] = {}
        async with self._database.connect() as connection:
            for start in range(0, len(ids), AT_ONCE):
                some = ids[start : start + AT_ONCE]
                rows = await connection.execute(select(PROVIDER_OBJECT).where(PROVIDER_OBJECT.c.id.in_(some)))
                for row in rows.mappings():
                    found.setdefault(row["id"], {})[row["provider"]] = row["organization_id"]
        return found

    async def add(self, objects: Iterable[Made]) -> None:
        """Note whose ``objects`` are."""
        insert: Any
        if self._database.sqlite:
            from sqlalchemy.dialects.sqlite import insert
        else:
            from sqlalchemy.dialects.postgresql import insert  # slow to import
        last: dict[tuple[bool, str, str], Mapping[str, Any]] = {}
        for each in objects:
            last[each.certain, each.provider, each.id] = {
                "provider": each.provider,
                "id": each.id,
                "organization_id": each.organization,
                "created_at": each.at,
                "ends_at": each.ends_at,
            }
        key = [PROVIDER_OBJECT.c.provider, PROVIDER_OBJECT.c.id]
        async with self._database.begin() as connection:
            for certain in (True, False):
                rows = [row for which, row in last.items() if which[0] is certain]
                if not rows:
                    continue
                statement = insert(PROVIDER_OBJECT)
                if certain:
                    changed = {name: statement.excluded[name] for name in ("organization_id", "created_at", "ends_at")}
                    statement = statement.on_conflict_do_update(index_elements=key, set_=changed)
                else:
                    statement = statement.on_conflict_do_nothing(index_elements=key)
                await connection.execute(statement, rows)

    async def remove(self, provider: str, id: str, organization: str) -> None:
        """Forget an object of ``organization`` that is deleted."""
        which = and_(
            PROVIDER_OBJECT.c.provider == provider,
            PROVIDER_OBJECT.c.id == id,
            PROVIDER_OBJECT.c.organization_id == organization,
        )
        async with self._database.begin() as connection:
            await connection.execute(delete(PROVIDER_OBJECT).where(which))

    async def prune(self, now: float, most: int = MOST_ROWS) -> int:
        """Forget what has ended, and the oldest of more than ``most``; how many of these there were."""
        column = PROVIDER_OBJECT.c.created_at
        async with self._database.begin() as connection:
            await connection.execute(delete(PROVIDER_OBJECT).where(PROVIDER_OBJECT.c.ends_at <= now))
            count = (await connection.execute(select(func.count()).select_from(PROVIDER_OBJECT))).scalar_one()
            if count <= most:
                return 0
            oldest = select(column).order_by(column).offset(count - most - 1).limit(1).scalar_subquery()
            return (await connection.execute(delete(PROVIDER_OBJECT).where(column <= oldest))).rowcount
