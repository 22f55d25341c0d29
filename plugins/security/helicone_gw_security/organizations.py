"""OrganizationTable: the organisations that somebody made, and which others there are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from helicone_gw_security.identity_tables import ORGANIZATION, USER
from helicone_gw_security.tables import GATEWAY_KEY

if TYPE_CHECKING:
    from helicone_gw import Database

MAX_NAME: Final = 200
"""Characters of an organisation's name."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class OrganizationTaken(Exception):
    """There is an organisation of this id."""


@dataclass(frozen=True, slots=True)
class Organization:
    """An organisation. ``created_at`` (epoch seconds) is ``None`` for one that exists by being named alone."""

    id: str
    name: str
    created_at: float | None = None


def checked_id(text: str) -> str:
    """``text``, if an organisation may be called so. Raises `ValueError`."""
    if not _ID.fullmatch(text):
        raise ValueError("an organisation's id has letters, digits, dots, dashes and underscores, 100 at most")
    return text


class OrganizationTable:
    """The organisations in the database, each call one transaction. SQLAlchemy's errors pass through."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, id: str) -> Organization:
        """The organisation ``id``; one that nobody made is called by its id."""
        async with self._database.connect() as connection:
            found = await connection.execute(select(ORGANIZATION).where(ORGANIZATION.c.organization_id == id))
            row = found.mappings().first()
        return Organization(id, id) if row is None else Organization(id, row["name"], row["created_at"])

    async def all(self) -> list[Organization]:
        """Every organisation that was made, that has a key, or that has a user."""
        async with self._database.connect() as connection:
            rows = (await connection.execute(select(ORGANIZATION))).mappings().all()
            named = {"default", *(row["organization_id"] for row in rows)}
            for table in (GATEWAY_KEY, USER):
                named |= set((await connection.execute(select(table.c.organization_id).distinct())).scalars())
        made = {
            row["organization_id"]: Organization(row["organization_id"], row["name"], row["created_at"]) for row in rows
        }
        return [made.get(name, Organization(name, name)) for name in sorted(named)]

    async def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many users, and how many keys that were not revoked, each organisation has in the database."""
        found: list[dict[str, int]] = []
        async with self._database.connect() as connection:
            for table, gone in ((USER, USER.c.removed_at), (GATEWAY_KEY, GATEWAY_KEY.c.revoked_at)):
                which = table.c.organization_id
                query = select(which, func.count()).where(gone.is_(None)).group_by(which)
                found.append({row[0]: row[1] for row in await connection.execute(query)})
        return found[0], found[1]

    async def create(self, id: str, name: str, *, now: float) -> Organization:
        """Make an organisation. Raises `OrganizationTaken` when it exists, if only by being named."""
        if id == "default" or await self._named(id):
            raise OrganizationTaken(id)
        try:
            async with self._database.begin() as connection:
                await connection.execute(
                    insert(ORGANIZATION).values(organization_id=checked_id(id), name=name, created_at=now)
                )
        except IntegrityError:
            raise OrganizationTaken(id) from None
        return Organization(id, name, now)

    async def rename(self, id: str, name: str, *, now: float) -> Organization:
        """Call the organisation something else."""
        async with self._database.begin() as connection:
            done = await connection.execute(
                update(ORGANIZATION).where(ORGANIZATION.c.organization_id == id).values(name=name)
            )
            if not done.rowcount:
                await connection.execute(insert(ORGANIZATION).values(organization_id=id, name=name, created_at=now))
        return await self.get(id)

    async def remove(self, id: str) -> bool:
        """Remove an organisation that has neither users nor keys that are valid; whether it was."""
        if await self._alive(id):
            return False
        async with self._database.begin() as connection:
            done = await connection.execute(delete(ORGANIZATION).where(ORGANIZATION.c.organization_id == id))
        return bool(done.rowcount)

    async def _named(self, id: str) -> bool:
        return any([await self._has(table, id) for table in (GATEWAY_KEY, USER)])

    async def _alive(self, id: str) -> bool:
        users = select(USER.c.id).where(USER.c.organization_id == id, USER.c.removed_at.is_(None))
        keys = select(GATEWAY_KEY.c.id).where(GATEWAY_KEY.c.organization_id == id, GATEWAY_KEY.c.revoked_at.is_(None))
        async with self._database.connect() as connection:
            return any([(await connection.execute(query.limit(1))).first() is not None for query in (users, keys)])

    async def _has(self, table: Table, id: str) -> bool:
        query = select(table.c.id).where(table.c.organization_id == id).limit(1)
        async with self._database.connect() as connection:
            return (await connection.execute(query)).first() is not None
