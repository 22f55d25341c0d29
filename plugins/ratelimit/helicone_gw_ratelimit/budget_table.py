"""The table of what was spent of budgets, by organisation, budget, segment and period: what outlives a process.

Processes with one store write its totals, so that writing one twice, or late, changes nothing: within a generation the
larger is the newer one. A process with a store of its own adds what it spent to what others did: workers, and the
gateway that a reload retires. A reset begins the next generation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    delete,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy import text as sql

if TYPE_CHECKING:
    from helicone_gw import Database

BRANCH: Final = "ratelimit"
VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"
"""The Alembic revisions of this plugin's tables."""

KEPT: Final = 400 * 86400.0
"""Seconds for which a period is kept after its end."""

MOST_RESETS: Final = 10_000
"""Resets that are read at once. Where more accounts are reset, gateways follow for the rest at their next start."""

BATCH: Final = 500
"""Rows of one transaction."""

SPEND: Final = Table(
    "budget_spend",
    MetaData(),
    Column("organization_id", String, primary_key=True),
    Column("budget", String, primary_key=True),
    Column("every", String, primary_key=True),
    Column("segment", String, primary_key=True),
    Column("period", BigInteger, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("ends_at", Float),
    Column("updated_at", Float, nullable=False),
    Column("reset_at", Float),
)

_INSERT: Final = """
INSERT INTO budget_spend (organization_id, budget, every, segment, period, generation, spent, ends_at, updated_at)
VALUES (:organization_id, :budget, :every, :segment, :period, :generation, :spent, :ends_at, :updated_at)
ON CONFLICT (organization_id, budget, every, segment, period) DO UPDATE SET
  spent = CASE {rules} ELSE excluded.spent END,
  generation = excluded.generation,
  updated_at = excluded.updated_at
WHERE excluded.generation >= budget_spend.generation
"""
_WRITE: Final = sql(
    _INSERT.format(
        rules="WHEN excluded.generation = budget_spend.generation AND excluded.spent < budget_spend.spent "
        "THEN budget_spend.spent"
    )
)
_ADD: Final = sql(
    _INSERT.format(rules="WHEN excluded.generation = budget_spend.generation THEN budget_spend.spent + excluded.spent")
)


class Place(Struct, frozen=True):
    """Whose spending of which budget: ``every`` names the period's kind, ``segment`` the segment ("user:alice")."""

    organization: str
    budget: str
    every: str
    segment: str


class Spent(Struct, frozen=True):
    """What was spent at a place in one period, or one part of a rolling window: all of it, or something more.

    ``period`` is its beginning in microseconds since the epoch, ``spent`` nano-dollars, ``ends_at`` when it stops to
    count (epoch seconds, ``None``: never).
    """

    place: Place
    period: int
    generation: int
    spent: int
    ends_at: float | None = None

    def newer(self, other: Spent | None) -> Spent:
        """Of two totals of one period, the one that was true later."""
        if other is None or (self.generation, self.spent) >= (other.generation, other.spent):
            return self
        return other

    def plus(self, other: Spent | None) -> Spent:
        """Two amounts of one period together; of two generations, the newer one's."""
        if other is None or self.generation > other.generation:
            return self
        return other if self.generation < other.generation else replace(self, spent=self.spent + other.spent)


class SpendTable:
    """Reads and writes the table. Every method raises what SQLAlchemy raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def migrate(self) -> None:
        """Bring the table up to date."""
        await self._database.migrate(BRANCH, VERSIONS)

    async def write(self, rows: Sequence[Spent], now: float, *, add: bool = False) -> None:
        """Write totals; older ones than those that are there change nothing. ``add``: what is there, and this."""
        # In one order everywhere: two processes that write the same rows must not wait for each other in a circle.
        ordered = sorted(rows, key=_order)
        for start in range(0, len(ordered), BATCH):
            values = [
                {
                    **_columns(row.place),
                    "period": row.period,
                    "generation": row.generation,
                    "spent": row.spent,
                    "ends_at": row.ends_at,
                    "updated_at": now,
                }
                for row in ordered[start : start + BATCH]
            ]
            async with self._database.begin() as connection:
                await connection.execute(_ADD if add else _WRITE, values)

    async def at(self, place: Place, first: int, last: int) -> list[Spent]:
        """The totals of a place for periods that began from ``first`` to ``last`` (microseconds), both included."""
        query = select(SPEND).where(_is(place), SPEND.c.period.between(first, last))
        return await self._read(query)

    async def again(self, rows: Sequence[Spent]) -> list[Spent]:
        """The totals of the places and periods of ``rows``, at most `BATCH` of them."""
        columns = [SPEND.c[name] for name in ("organization_id", "budget", "every", "segment", "period")]
        return await self._read(select(SPEND).where(tuple_(*columns).in_([_order(row) for row in rows])))

    async def current(self, now: float, limit: int, budget: str | None = None) -> list[Spent]:
        """Totals of the periods that have not ended, the largest first, at most ``limit``."""
        query = select(SPEND).where(or_(SPEND.c.ends_at.is_(None), SPEND.c.ends_at > now))
        if budget is not None:
            query = query.where(SPEND.c.budget == budget)
        return await self._read(query.order_by(SPEND.c.spent.desc()).limit(limit))

    async def reset(self, budget: str, segment: str | None, now: float) -> int:
        """Begin a new generation at every current place of ``budget`` (and ``segment``); how many places that were."""
        current = and_(SPEND.c.budget == budget, or_(SPEND.c.ends_at.is_(None), SPEND.c.ends_at > now))
        if segment is not None:
            current = and_(current, SPEND.c.segment == segment)
        columns = (SPEND.c.organization_id, SPEND.c.budget, SPEND.c.every, SPEND.c.segment)
        query = select(*columns, func.max(SPEND.c.generation)).where(current).group_by(*columns)
        async with self._database.begin() as connection:
            places = (await connection.execute(query)).all()
            for organization, name, every, found, generation in places:
                place = Place(organization, name, every, found)
                changed = update(SPEND).where(_is(place), current)
                await connection.execute(changed.values(generation=generation + 1, spent=0, reset_at=now))
        return len(places)

    async def resets(self, since: float, now: float) -> list[tuple[Spent, float]]:
        """Current rows that were reset at ``since`` or later, and when; the last `MOST_RESETS` of them."""
        query = select(SPEND).where(SPEND.c.reset_at >= since, or_(SPEND.c.ends_at.is_(None), SPEND.c.ends_at > now))
        query = query.order_by(SPEND.c.reset_at.desc()).limit(MOST_RESETS)
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [(_spent(row), row["reset_at"]) for row in rows]

    async def prune(self, now: float) -> None:
        """Forget periods that ended long ago."""
        async with self._database.begin() as connection:
            await connection.execute(delete(SPEND).where(SPEND.c.ends_at < now - KEPT))

    async def _read(self, query: Any) -> list[Spent]:
        async with self._database.connect() as connection:
            return [_spent(row) for row in (await connection.execute(query)).mappings()]


def newest_generation(rows: Iterable[Spent]) -> tuple[int, list[Spent]]:
    """The newest generation of a place's rows, and the rows of that generation."""
    known = list(rows)
    generation = max((row.generation for row in known), default=0)
    return generation, [row for row in known if row.generation == generation]


def _order(row: Spent) -> tuple[str, str, str, str, int]:
    place = row.place
    return place.organization, place.budget, place.every, place.segment, row.period


def _columns(place: Place) -> dict[str, str]:
    return {
        "organization_id": place.organization,
        "budget": place.budget,
        "every": place.every,
        "segment": place.segment,
    }


def _is(place: Place) -> Any:
    return and_(*(SPEND.c[name] == value for name, value in _columns(place).items()))


def _spent(row: Any) -> Spent:
    place = Place(row["organization_id"], row["budget"], row["every"], row["segment"])
    return Spent(place, row["period"], row["generation"], row["spent"], row["ends_at"])
