"""Saved: views of the list of requests that people keep under a name, for themselves or for their organization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from msgspec import Struct
from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    MetaData,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from helicone_gw import new_id
from helicone_gw_dashboard.trouble import Trouble

if TYPE_CHECKING:
    from helicone_gw import Clock, Database, GatewayKey

MOST: Final = 100
"""Views that one person keeps; further ones are refused."""
MOST_OF_ALL: Final = 2_000
"""Views that an organization keeps."""
MAX_NAME: Final = 60
"""Characters of a name."""
MAX_QUERY: Final = 8_000
"""Characters of an address's query."""
KNOWN: Final = ("range", "from", "to", "filter", "sort")
"""Parameters that make a view; what else stands in an address is left out."""

VIEW: Final = Table(
    "dashboard_view",
    MetaData(),
    Column("organization_id", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("owner_name", String, nullable=False),
    Column("name", String, nullable=False),
    Column("query", Text, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("changed_at", Float, nullable=False),
    Index("uq_dashboard_view_name", "organization_id", "owner", "name", unique=True),
)
"""Views. ``owner`` is the id of the key or user that saved it, "" on an open gateway; times are epoch seconds."""


class SavedView(Struct, frozen=True, kw_only=True):
    """A view: ``query`` is that of the list's address. ``shared``: the whole organization sees it.

    ``mine``: the caller saved it; ``removable``: the caller may take it away; ``owner`` is who saved it, by name.
    """

    id: str
    name: str
    query: str
    shared: bool
    mine: bool
    removable: bool
    owner: str


class Saved:
    """The views of all organizations. Methods raise `Trouble` and SQLAlchemy's errors."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def seen(self, caller: GatewayKey | None) -> list[SavedView]:
        """What ``caller`` sees: their own, and what others share; by name."""
        organization, owner = _whose(caller)
        mine = or_(VIEW.c.owner == owner, VIEW.c.shared)
        query = select(VIEW).where(VIEW.c.organization_id == organization, mine).order_by(VIEW.c.name, VIEW.c.id)
        async with self._database.connect() as connection:
            rows = (await connection.execute(query.limit(MOST_OF_ALL))).mappings().all()
        return [_shown(row, caller) for row in rows]

    async def save(self, caller: GatewayKey | None, name: str, query: str, *, shared: bool) -> SavedView:
        """Keep a view; the caller's own of the same name becomes this one. On an open gateway all are shared."""
        name, query, shared = _named(name), reduced(query), shared or caller is None
        organization, owner = _whose(caller)
        values = {"query": query, "shared": shared, "changed_at": self._clock.now()}
        same = and_(VIEW.c.organization_id == organization, VIEW.c.owner == owner, VIEW.c.name == name)
        for _ in range(2):
            try:
                async with self._database.begin() as connection:
                    known = await connection.scalar(select(VIEW.c.id).where(same))
                    if known is not None:
                        await connection.execute(update(VIEW).where(same).values(**values))
                    else:
                        await self._room(connection, organization, owner)
                        known = new_id()
                        own = {"owner": owner, "owner_name": "" if caller is None else caller.name, "name": name}
                        row = {"organization_id": organization, "id": known, **own, **values}
                        await connection.execute(insert(VIEW).values(**row))
            except IntegrityError:
                continue  # somebody saved the same in the same instant, and it is there now
            return SavedView(
                id=known,
                name=name,
                query=query,
                shared=shared,
                mine=True,
                removable=True,
                owner="" if caller is None else caller.name,
            )
        raise Trouble(409, "That view is being saved by somebody else.")

    async def remove(self, caller: GatewayKey | None, id: str) -> SavedView:
        """Take a view away, and say which it was: one's own, or as an administrator one that is shared."""
        organization, _ = _whose(caller)
        one = and_(VIEW.c.organization_id == organization, VIEW.c.id == id)
        async with self._database.begin() as connection:
            row = (await connection.execute(select(VIEW).where(one))).mappings().one_or_none()
            found = None if row is None else _shown(row, caller)
            if found is None or not (found.mine or found.shared):
                raise Trouble(404, "There is no such view.")
            if not found.removable:
                raise Trouble(403, "Who saved it, or an administrator, takes it away.")
            await connection.execute(delete(VIEW).where(one))
        return found

    async def _room(self, connection: Any, organization: str, owner: str) -> None:
        here = VIEW.c.organization_id == organization
        count = select(func.count()).select_from(VIEW)
        if await connection.scalar(count.where(here, VIEW.c.owner == owner)) >= MOST:
            raise Trouble(400, f"{MOST} views are kept already; take one away first.")
        if await connection.scalar(count.where(here)) >= MOST_OF_ALL:
            raise Trouble(400, f"The organization keeps {MOST_OF_ALL:,} views already.")


def reduced(query: str) -> str:
    """The query of an address with what makes a view alone. Raises `Trouble` (400) for one that is none."""
    if len(query) > MAX_QUERY:
        raise Trouble(400, f"The address of a view has at most {MAX_QUERY:,} characters.")
    try:
        pairs = dict(parse_qsl(query.removeprefix("?"), max_num_fields=50))
    except ValueError:
        raise Trouble(400, "That is no address of a view.") from None
    known: list[tuple[str, str]] = [(name, pairs[name].replace("\0", "")) for name in KNOWN if name in pairs]
    return urlencode(known, quote_via=quote)


def _named(name: str) -> str:
    name = " ".join(name.replace("\0", " ").split())
    if not 1 <= len(name) <= MAX_NAME:
        raise Trouble(400, f"A view has a name of 1 to {MAX_NAME} characters.")
    return name


def _whose(caller: GatewayKey | None) -> tuple[str, str]:
    return ("default", "") if caller is None else (caller.organization, caller.id)


def _shown(row: Any, caller: GatewayKey | None) -> SavedView:
    mine = row["owner"] == _whose(caller)[1]
    return SavedView(
        id=row["id"],
        name=row["name"],
        query=row["query"],
        shared=row["shared"],
        mine=mine,
        removable=mine or caller is None or (row["shared"] and caller.role == "admin"),
        owner=row["owner_name"],
    )
