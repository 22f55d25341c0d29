"""Accounts: what the store knows of budgets, told by the table what it never knew or forgot, and read for people."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import StoreUnavailable
from helicone_gw_ratelimit.account import UNKNOWN
from helicone_gw_ratelimit.budget_table import Place, SpendTable, Spent, newest_generation
from helicone_gw_ratelimit.ledger import Ledger
from helicone_gw_ratelimit.periods import Span

if TYPE_CHECKING:
    from helicone_gw import Gateway, Store
    from helicone_gw_ratelimit.backup import Backup
    from helicone_gw_ratelimit.budgets import Budget
    from helicone_gw_ratelimit.spending import Charge

MAX_KNOWN: Final = 100_000
"""Accounts of which it is remembered that the store knows them; for others it is asked, which costs a query."""

LOAD_TIMEOUT: Final = 10.0
"""Seconds that the database has to say what was spent before. It is asked once an account and period, and a gateway
that has much to do must not take its own lateness for the database's."""

READ_AT_ONCE: Final = 100


class Standing(Struct, frozen=True):
    """How an account stands, in nano-dollars; ``under_way`` are requests."""

    place: Place
    span: Span
    spent: int
    reserved: int
    under_way: int


class Accounts:
    """The accounts of ``budgets`` in ``store``, and what ``backup`` and ``table`` know of them."""

    def __init__(
        self, gateway: Gateway, store: Store, budgets: Mapping[str, Budget], table: SpendTable, backup: Backup
    ) -> None:
        self._store = store
        self._clock = gateway.clock
        self._log = gateway.log
        self._budgets = budgets
        self._table = table
        self._backup = backup
        self._ledger = Ledger()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._loading: dict[str, asyncio.Task[None]] = {}
        self.seeded = 0
        """Accounts that the store was told of."""
        self.failures = 0
        """Times that the database could not say what was spent."""

    async def warm(self) -> None:
        """Tell the store of the accounts that all share, so that the first request need not wait for that.

        Raises `StoreUnavailable`.
        """
        now = self._clock.now()
        for name, budget in self._budgets.items():
            if budget.config.segment == "global":
                place, span = Place("default", name, budget.every, "global"), budget.period.at(now)
                await self._load(budget.keys(place, span)[0], place, span)

    async def prepare(self, charges: Sequence[Charge]) -> None:
        """See to it that the store knows every account.

        Raises `StoreUnavailable`, also where the database does not say what was spent before: without that nobody can
        tell what is left.
        """
        for charge in charges:
            key = charge.keys[0]
            if key in self._known:
                self._known.move_to_end(key)
            else:
                await self._load(key, charge.place, charge.span)

    def forget(self, charges: Sequence[Charge]) -> bool:
        """Note which accounts the store turned out not to know; whether there is any."""
        unknown = [each.keys[0] for each in charges if each.fields is not None and each.fields[2] == UNKNOWN]
        for key in unknown:
            self._known.pop(key, None)
        return bool(unknown)

    async def _load(self, key: str, place: Place, span: Span) -> None:
        loading = self._loading.get(key)
        if loading is None:
            loading = self._loading[key] = asyncio.create_task(self._seed(key, place, span), name="ratelimit.seed")
            loading.add_done_callback(lambda done: self._loaded(key, done))
        # Shielded: a client that leaves must not take the answer from those who wait beside it.
        await asyncio.shield(loading)

    def _loaded(self, key: str, loading: asyncio.Task[None]) -> None:
        del self._loading[key]
        if not loading.cancelled():
            loading.exception()  # read, so that it does not count as lost when every client has left

    async def _seed(self, key: str, place: Place, span: Span) -> None:
        budget, now = self._budgets[place.budget], self._clock.now()
        first, last = span.start * 1_000_000, span.start * 1_000_000
        if budget.width:
            last = int(now * 1_000_000)
            first = (last // budget.width - budget.count) * budget.width
        try:
            async with asyncio.timeout(LOAD_TIMEOUT):
                generation, rows = newest_generation(await self._backup.at(place, first, last))
        except (SQLAlchemyError, OSError, TimeoutError) as problem:
            self.failures += 1
            self._log.error("what was spent of a budget cannot be read", problem=type(problem).__name__)
            raise StoreUnavailable("What was spent of a budget cannot be read at the moment.") from None
        pairs = [(row.period // budget.width if budget.width else 0, row.spent) for row in rows]
        flat = [number for pair in pairs for number in pair]
        given = (generation, budget.keep(span, now), budget.width, budget.count, len(budget.thresholds))
        await self._store.run(self._ledger.seed, budget.keys(place, span), (*given, *budget.thresholds, *flat))
        self.seeded += 1
        self._known[key] = None
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    async def reset(self, row: Spent) -> None:
        """Begin the generation of ``row`` in its account, if it is one of now. Raises `StoreUnavailable`."""
        budget = self._budgets.get(row.place.budget)
        if budget is None or budget.every != row.place.every:
            return
        now = self._clock.now()
        span = budget.period.at(now)
        if not budget.width and row.period != span.start * 1_000_000:
            return
        given = (row.generation, budget.keep(span, now))
        if (await self._store.run(self._ledger.reset, budget.keys(row.place, span), given))[0]:
            self._log.info("budget was reset", budget=budget.name, segment=row.place.segment)

    async def adopt(self, row: Spent) -> None:
        """Hear what was spent in all of an account: other workers spend, too. Raises `StoreUnavailable`."""
        budget = self._budgets.get(row.place.budget)
        if budget is None or budget.every != row.place.every:
            return
        span = budget.period.at(row.period / 1_000_000)
        part = row.period // budget.width if budget.width else 0
        given = (row.generation, budget.width, budget.count, part, row.spent, *budget.thresholds)
        await self._store.run(self._ledger.adopt, budget.keys(row.place, span), given)

    async def standings(self, limit: int) -> list[Standing]:
        """The accounts that were spent from, the most first, and those of budgets that all share; at most ``limit``.

        Raises `StoreUnavailable`, and what SQLAlchemy raises.
        """
        now = self._clock.now()
        await self._backup.flush()
        places: dict[Place, None] = {}
        for name, budget in self._budgets.items():
            if budget.config.segment == "global":
                places[Place("default", name, budget.every, "global")] = None
        for row in await self._table.current(now, limit):
            found = self._budgets.get(row.place.budget)
            if found is not None and found.every == row.place.every:
                places[row.place] = None
        wanted = [(place, self._budgets[place.budget].period.at(now)) for place in list(places)[:limit]]
        standings: list[Standing] = []
        for start in range(0, len(wanted), READ_AT_ONCE):
            standings += await self._read(wanted[start : start + READ_AT_ONCE])
        return standings

    async def _read(self, wanted: Sequence[tuple[Place, Span]]) -> list[Standing]:
        calls: list[Any] = []
        for place, span in wanted:
            budget = self._budgets[place.budget]
            if budget.keys(place, span)[0] not in self._known:
                await self._load(budget.keys(place, span)[0], place, span)
            calls.append((self._ledger.read, budget.keys(place, span), (budget.width, budget.count)))
        answers: list[Any] = await self._store.run_all(calls)
        return [
            Standing(place, span, spent, reserved, under_way)
            for (place, span), (spent, reserved, _, under_way) in zip(wanted, answers, strict=True)
        ]

    async def close(self) -> None:
        """Stop asking the database."""
        loading = list(self._loading.values())
        for task in loading:
            task.cancel()
        await asyncio.gather(*loading, return_exceptions=True)
