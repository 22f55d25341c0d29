"""Live: what exchanges hold of their budgets while they run: more when a stream or another attempt needs it, and anew
before a lease ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from helicone_gw import PaymentRequired, StoreUnavailable, Usage
from helicone_gw_ratelimit.budgets import NO_RETRY
from helicone_gw_ratelimit.debit import Debit
from helicone_gw_ratelimit.ledger import REFUSED, Ledger
from helicone_gw_ratelimit.spending import Spending, SpendingKey, billed, each_of

if TYPE_CHECKING:
    from helicone_gw import Attempt, Chunk, Exchange, Gateway, Store
    from helicone_gw_ratelimit.spending import Charge, Pricing

RENEW_AT_ONCE: Final = 200
"""Exchanges whose leases are renewed in one round trip."""

CUT: Final = "budget_exceeded"
"""Why a stream ends; in a client's dialect that is the stop reason of an answer that had no more room."""


class Live:
    """The exchanges under way that hold something. ``lease`` is in seconds; 0: the store dies with the process."""

    def __init__(
        self,
        gateway: Gateway,
        store: Store,
        pricing: Pricing,
        lease: float,
        key: SpendingKey,
        count: Callable[[str, str], None],
    ) -> None:
        self._key = key
        self._store = store
        self._clock = gateway.clock
        self._log = gateway.log
        self._background = gateway.background
        self._pricing = pricing
        self._lease = lease
        self._count = count
        self._ledger = Ledger()
        self._holders: dict[str, Spending] = {}
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._holders)

    def began(self, exchange: Exchange, spending: Spending) -> None:
        """``exchange`` holds what ``spending`` says."""
        self._holders[exchange.id] = spending
        if self._lease and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._renew(), name="ratelimit.budgets.renew")

    def ended(self, exchange: Exchange) -> None:
        """It does no longer."""
        self._holders.pop(exchange.id, None)

    async def close(self) -> None:
        """Stop renewing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    # Streams

    def chunk(self, exchange: Exchange, chunk: Chunk) -> None:
        """Count one event of a stream; hold more, or end it, where what is held is used up."""
        spending = exchange.stash.get(self._key)
        if spending is None or chunk.kind != "event" or not exchange.attempts:
            return
        debit = spending.debit
        if debit is None:
            debit = spending.debit = self._debit(exchange, spending)
        used, ceiling = debit.add(chunk.data), spending.ceiling
        if ceiling is not None and used >= ceiling:
            self._cut(exchange, spending)
        elif used + spending.step > spending.held:
            self._short(exchange, spending, used)

    def _debit(self, exchange: Exchange, spending: Spending) -> Debit:
        *before, attempt = exchange.attempts
        price = self._pricing.of_attempt(exchange, attempt)
        prompt = None if price is None else price.cost(Usage(input_tokens=spending.input_tokens, output_tokens=0))
        base = billed(before, spending.estimate or 0)[0] + (0 if prompt is None else prompt.nano_usd)
        return Debit(exchange.original, base, price, spending.input_tokens)

    def _short(self, exchange: Exchange, spending: Spending, used: int) -> None:
        """What is held ends within a step of what is used."""
        if spending.refused:
            if used >= spending.held:
                self._cut(exchange, spending)
        elif spending.extending:
            # A store that is slow to answer must not let a stream run on: a slice is what it may be ahead of it.
            if used >= spending.held + spending.step:
                self._cut(exchange, spending)
        else:
            spending.extending = True
            self._start(self._extend(exchange, spending, used + 2 * spending.step), spending)

    def _cut(self, exchange: Exchange, spending: Spending) -> None:
        cutting = next((charge for charge in spending.charges if charge.cut), None)
        if cutting is not None and spending.cut_by is None:
            spending.cut_by = cutting.rule.name
            self._count("cut", cutting.rule.name)
            exchange.end_stream(CUT)

    async def _extend(self, exchange: Exchange, spending: Spending, held: int) -> None:
        try:
            answer = await self._hold(exchange.id, spending, held, lambda charge: not charge.cut)
            if answer == REFUSED:
                spending.refused = True
            else:
                spending.held = held
        except StoreUnavailable:
            # Nobody can tell what is left; a slice later it is asked again, or the stream has ended.
            pass
        finally:
            spending.extending = False

    def _start(self, work: Any, spending: Spending) -> None:
        if self._lease:
            try:
                self._background.spawn(work, "ratelimit.extend")
            except RuntimeError:  # too many tasks: the next event asks again
                spending.extending = False
            return
        # The store in memory never waits, so that its coroutine ends at once.
        try:
            work.send(None)
        except StopIteration:
            return
        work.close()
        raise RuntimeError("the store in memory waited")

    # Attempts

    async def attempt(self, exchange: Exchange, attempt: Attempt) -> None:
        """Hold enough for another attempt when one failed that has to be paid for all the same.

        Raises `PaymentRequired` where a hard budget has not enough left: nobody may try again at its expense.
        """
        spending = exchange.stash.get(self._key)
        if spending is None or attempt.error is None or exchange.committed:
            return
        if attempt.cost is not None and attempt.cost.nano_usd <= 0:
            return
        each = max(each_of(spending, charge) for charge in spending.charges)
        held = billed(exchange.attempts, each)[0] + each
        if held <= spending.held:
            return
        if await self._hold(exchange.id, spending, held, lambda charge: not charge.hard) != REFUSED:
            spending.held = held
            return
        names = ", ".join(repr(charge.rule.name) for charge in spending.charges if charge.hard)
        raise PaymentRequired(
            f"An attempt failed that has to be paid for, and budget {names} has too little left for another.",
            headers=NO_RETRY,
            details={"budget": [charge.rule.name for charge in spending.charges if charge.hard]},
        )

    # Leases

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._lease / 3)
            holders = list(self._holders.items())
            for start in range(0, len(holders), RENEW_AT_ONCE):
                calls: list[Any] = [
                    (self._ledger.extend, *_claims(holder, spending, spending.held, lambda charge: True))
                    for holder, spending in holders[start : start + RENEW_AT_ONCE]
                    if holder in self._holders
                ]
                try:
                    await self._store.run_all(calls)
                except Exception as problem:
                    # They end by themselves if the store stays away; what is settled then counts all the same. And
                    # whatever it was, what is held by the exchanges to come is renewed.
                    self._log.warning("reservations cannot be renewed", problem=type(problem).__name__)

    async def _hold(self, holder: str, spending: Spending, held: int, forced: Callable[[Charge], bool]) -> Any:
        return (await self._store.run(self._ledger.extend, *_claims(holder, spending, held, forced)))[0]


def _claims(
    holder: str, spending: Spending, held: int, forced: Callable[[Charge], bool]
) -> tuple[list[str], Sequence[Any]]:
    """Keys and arguments of `Ledger.extend` for ``held``; ``forced``: whatever the limit."""
    keys: list[str] = []
    given: list[Any] = [holder, len(spending.charges)]
    for charge in spending.charges:
        _, _, limit, lease, keep, width, count, _ = charge.arguments
        keys += charge.keys
        given += (max(held, charge.amount), -1 if forced(charge) else limit, lease, keep, width, count)
    return keys, given
