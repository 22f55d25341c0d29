"""Budgeting: everything that budgets do in the life of an exchange, in the order in which the plugin's hooks ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from helicone_gw import Measurement, PaymentRequired, StoreUnavailable
from helicone_gw_ratelimit.accounts import Accounts
from helicone_gw_ratelimit.backup import Backup
from helicone_gw_ratelimit.budget_config import dollars
from helicone_gw_ratelimit.budget_table import Place, SpendTable
from helicone_gw_ratelimit.budgets import Budget, named
from helicone_gw_ratelimit.headers import warn
from helicone_gw_ratelimit.ledger import CROSSED
from helicone_gw_ratelimit.live import Live
from helicone_gw_ratelimit.of_keys import BudgetsOfKeys
from helicone_gw_ratelimit.spending import Charge, Pricing, Spending, SpendingKey, actual

if TYPE_CHECKING:
    from helicone_gw import Attempt, Chunk, Exchange, Gateway, Store
    from helicone_gw_ratelimit.config import RatelimitConfig
    from helicone_gw_ratelimit.estimate import Estimator
    from helicone_gw_ratelimit.limits import Claim, Fields, Limits


FREE: Final = frozenset({"count_tokens", "models", "moderations"})
"""Operations that name a model and cost nothing."""


REMIND_AGAIN: Final = 5.0
"""Seconds until a store that forgot an account is told again what was spent, where the database was away."""

MAX_REMINDERS: Final = 1000
"""Settlements that wait for that; further ones are not in the table, and are counted."""


class Budgeting:
    """The budgets of the plugin instance ``name``. ``count(what, budget)`` counts what happened to which budget."""

    def __init__(
        self,
        name: str,
        config: RatelimitConfig,
        gateway: Gateway,
        store: Store,
        limits: Limits,
        estimator: Estimator,
        count: Callable[[str, str], None],
    ) -> None:
        # The store in memory dies with the process, and so does everything that a lease would be for.
        lease = 0.0 if gateway.config.store.url.startswith("memory:") else config.lease
        self._clock = gateway.clock
        self._log = gateway.log
        self._background = gateway.background
        self._store = store
        self._limits = limits
        self._estimator = estimator
        self._count = count
        self._name = name
        self._reminders = 0
        self._alarmed = False
        self.unwritten = 0
        """Settlements that the store knows of and the table does not, because neither could be told of the other."""
        self._shared = lease > 0
        self._key: SpendingKey = SpendingKey(f"{name}.spending")
        self.budgets = {
            each: Budget(each, budget, gateway.routing.targets, lease)
            for each, budget in named(name, config.budgets).items()
        }
        self._of_keys = BudgetsOfKeys(gateway.routing.targets, lease) if config.key_budgets else None
        known = self.budgets if self._of_keys is None else {**self.budgets, **self._of_keys.kinds}
        self._table = SpendTable(gateway.database)
        self.backup = Backup(
            self._table,
            gateway.clock,
            gateway.log,
            shared=self._shared,
            write_every=config.budget_write_every,
            on_reset=lambda row: self.accounts.reset(row),
            on_total=lambda row: self.accounts.adopt(row),
        )
        self.accounts = Accounts(gateway, store, known, self._table, self.backup)
        self._pricing = Pricing(gateway)
        self.live = Live(gateway, store, self._pricing, lease, self._key, count)

    async def start(self) -> None:
        """Bring the table up to date and begin to write. Raises `helicone_gw.MigrationError` and SQLAlchemy's."""
        await self._table.migrate()
        self.backup.start()
        try:
            await self.accounts.warm()
        except StoreUnavailable as problem:
            # Requests try again; a gateway that starts without its store goes on as it would if that went away.
            self._log.warning("what was spent of budgets is not known yet", problem=type(problem).__name__)

    async def close(self) -> None:
        """Write what is still to be written."""
        await self.live.close()
        await self.accounts.close()
        await self.backup.close()

    def measurements(self, labels: Mapping[str, str]) -> Iterator[Measurement]:
        """What became of what was spent, on its way to the database and back."""
        backup, accounts = self.backup, self.accounts
        for name, says, value in (
            ("under_way", "Requests that hold something of a budget.", len(self.live)),
            ("totals_waiting", "Totals that wait for the database.", len(backup)),
        ):
            yield Measurement(f"ratelimit_budget_{name}", "gauge", says, value, labels)
        for name, says, value in (
            ("totals_written", "Totals that were written to the database.", backup.written),
            ("totals_dropped", "Totals that found no room to wait.", backup.dropped),
            ("totals_unwritten", "Settlements that the database does not know of.", self.unwritten),
            ("write_failures", "Times that the database took no totals.", backup.failures),
            ("accounts_seeded", "Accounts that the store was told of.", accounts.seeded),
            ("read_failures", "Times that the database could not say what was spent.", accounts.failures),
        ):
            yield Measurement(f"ratelimit_budget_{name}", "counter", says, value, labels)

    # DOWN

    def charges(self, exchange: Exchange) -> list[Charge]:
        """What every budget that is for ``exchange`` asks of it. Raises `helicone_gw.PaymentRequired`.

        Requests that name no model (lists, files, ...) are free as far as anybody can tell beforehand.
        """
        request = exchange.request
        if (request.model is None and request.router is None) or request.operation in FREE:
            return []
        budgets = [budget for budget in self.budgets.values() if budget.fits is None or budget.fits(exchange)]
        key = exchange.key
        if key is not None and key.budgets and self._of_keys is not None:
            budgets += self._of_keys.budgets(key)
        if not budgets:
            return []
        expected = self._estimator.expected(exchange)
        tokens = expected.input_tokens
        estimate = self._pricing.estimate(exchange, tokens, expected.output_tokens)
        now = self._clock.now()
        charges: list[Charge] = []
        for budget in budgets:
            try:
                charge = budget.charge(exchange, estimate, now, self._pricing)
            except PaymentRequired:
                self._count("refused", budget.name)
                exchange.annotate(f"{self._name}.refused", [budget.name])
                raise
            charges.append(charge)
            if self._of_keys is not None:
                self._of_keys.charged(budget, charge)
        exchange.stash[self._key] = Spending.of(charges, self._pricing, estimate, tokens)
        return charges

    def at(self, place: Place) -> Budget | None:
        """The budget of an account; ``None`` for a key's that made no request here since the start."""
        found = self.budgets.get(place.budget)
        return self._of_keys.at(place) if found is None and self._of_keys is not None else found

    async def prepare(self, charges: Sequence[Charge]) -> None:
        """See to it that the store knows what was spent before. Raises `StoreUnavailable`."""
        await self.accounts.prepare(charges)

    async def recall(self, charges: Sequence[Charge]) -> bool:
        """Whether the store refused because it had forgotten what was spent, and was told again.

        Raises `StoreUnavailable`.
        """
        if not self.accounts.forget(charges):
            return False
        await self.accounts.prepare(charges)
        return True

    def admitted(self, exchange: Exchange, charges: Sequence[Charge]) -> None:
        """Everything was reserved: watch what becomes of it, and warn where a threshold is reached."""
        spending = exchange.stash[self._key]
        self.live.began(exchange, spending)
        if exchange.request.stream:
            exchange.watch_stream()
            if any(charge.cut for charge in charges):
                # Who shared this stream would lose it when somebody else's budget ends.
                exchange.annotate("cache.share", False)
        for charge in charges:
            rule = charge.rule
            if isinstance(rule, Budget) and (text := rule.warning(charge)) is not None:
                warn(exchange, text)

    # While it runs

    def chunk(self, exchange: Exchange, chunk: Chunk) -> None:
        """Count an event of its stream."""
        self.live.chunk(exchange, chunk)

    async def attempt(self, exchange: Exchange, attempt: Attempt) -> None:
        """Hear how an attempt went. Raises `PaymentRequired` and `StoreUnavailable`."""
        await self.live.attempt(exchange, attempt)

    # END

    def finished(self, exchange: Exchange) -> None:
        """Note for the log what was counted, before it is settled."""
        spending = exchange.stash.get(self._key)
        if spending is None:
            return
        self.live.ended(exchange)
        amount, guessed = actual(exchange, spending, spending.charges[0])
        exchange.annotate(f"{self._name}.budget_nano_usd", amount)
        if guessed:
            exchange.annotate(f"{self._name}.budget_estimated", True)
        if spending.cut_by is not None:
            exchange.annotate(f"{self._name}.budget_cut", spending.cut_by)

    def settled(self, claim: Claim, fields: Fields) -> None:
        """The store has settled ``claim``: tell the table, and whoever watches, of a threshold that was crossed."""
        if not isinstance(claim, Charge) or not isinstance(claim.rule, Budget):
            return
        budget = claim.rule
        total = budget.total(claim, fields, shared=self._shared)
        if total is None:
            if self._reminders >= MAX_REMINDERS:
                self.unwritten += 1
                return
            claim.fields = fields
            self._background.spawn(self._remind(claim), "ratelimit.remind")
            return
        if total.spent:  # whoever makes up a thousand names that cost nothing fills no table with them
            self.backup.put(total)
        level = fields[3] % CROSSED
        if level:
            self._alert(budget, claim, fields[0], budget.config.alerts[level - 1])

    def _alert(self, budget: Budget, charge: Charge, spent: int, percent: int) -> None:
        self._count(f"{percent}%", budget.name)
        self._log.warning(
            "budget threshold reached",
            budget=budget.name,
            segment=charge.place.segment,
            percent=percent,
            spent=dollars(spent),
            limit=dollars(budget.limit),
            resets_at=budget.resets_at(charge.span),
        )

    async def _remind(self, charge: Charge) -> None:
        """Tell a store that forgot an account what was spent, and hear the new total; for as long as it takes."""
        budget = charge.rule
        assert isinstance(budget, Budget)
        _, _, _, _, keep, *_ = charge.arguments
        # Nothing more is settled, for nobody: the answer is what matters.
        nothing: tuple[Any, ...] = ("", 0, 0, keep, budget.width, budget.count, *budget.thresholds)
        self._reminders += 1
        try:
            while True:
                try:
                    await self.recall([charge])
                    told = await self._limits.settle(self._store, [[(charge, nothing)]])
                except StoreUnavailable as problem:
                    if not self._alarmed:  # once, and not for each of a thousand
                        self._alarmed = True
                        reason = type(problem).__name__
                        self._log.warning("what was spent of a budget could not be told; trying on", problem=reason)
                    await self._clock.sleep(REMIND_AGAIN)
                else:
                    self._alarmed = False
                    break
        finally:
            self._reminders -= 1
        total = budget.total(charge, told[0][0], shared=self._shared)
        if total is not None:
            self.backup.put(total)
