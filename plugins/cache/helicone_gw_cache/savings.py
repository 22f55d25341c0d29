"""Savings: what hits spared those who asked, noted on the exchange for the log and counted for each owner."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec import Struct, field

from helicone_gw import Cost, Exchange, Usage
from helicone_gw_cache.entry import Entry
from helicone_gw_cache.ready import TOKENS

NO_TOKENS: Final = Usage(input_tokens=0, output_tokens=0)
"""The usage of a hit: no provider was asked, so these zeros are known."""

NO_CHARGE: Final = Cost(0, source="cache")
"""The cost of a hit."""

MAX_OWNERS: Final = 1000
"""Owners whose sums are kept apart; of more, the longest unheard of go into the total alone."""


class Saved(Struct):
    """What hits have saved since the gateway started.

    ``tokens`` is by the names of `TOKENS`, and holds what providers reported; ``unknown_tokens`` and ``unknown_cost``
    count the hits on answers of which nobody knows the tokens or the cost, so that the sums can be told for what they
    are: a lower bound. ``milliseconds`` is the time that the answers took when they were new, less the time that the
    hits took.
    """

    hits: int = 0
    misses: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOKENS, 0))
    nano_usd: int = 0
    milliseconds: int = 0
    unknown_tokens: int = 0
    unknown_cost: int = 0

    def add(self, other: Saved) -> None:
        """Take what another one holds into this one."""
        self.hits += other.hits
        self.misses += other.misses
        self.nano_usd += other.nano_usd
        self.milliseconds += other.milliseconds
        self.unknown_tokens += other.unknown_tokens
        self.unknown_cost += other.unknown_cost
        for name, count in other.tokens.items():
            self.tokens[name] += count


class Savings:
    """Accounts for hits and misses. `total` is for metrics, `of` for the owner of a gateway key."""

    def __init__(self) -> None:
        self._others = Saved()
        self._owners: OrderedDict[tuple[str, str], Saved] = OrderedDict()

    @property
    def total(self) -> Saved:
        """The sums over all owners."""
        total = Saved()
        total.add(self._others)
        for saved in self._owners.values():
            total.add(saved)
        return total

    def of(self, organization: str, owner: str) -> Saved:
        """An owner's sums: "" is who asks a gateway without keys."""
        return self._owners.get((organization, owner)) or Saved()

    def hit(self, exchange: Exchange, entry: Entry, waited_ms: int = 0, status: str = "hit") -> None:
        """Account for a hit on ``entry``.

        On the exchange: the provider, model and stop reason of the answer, no tokens and no cost, and for the log
        ``cache.status`` (``status``), ``cache.key``, ``cache.reference_id`` (the original's ``Helicone-Id``),
        ``cache.latency_ms`` (how long that took), ``cache.saved_ms`` (less ``waited_ms``, the milliseconds that this
        hit took), ``cache.saved_nano_usd`` (``None``: unknown), and ``cache.saved_<class>`` for each class of tokens
        that was reported.
        """
        ready = entry.ready
        saved_ms = max(0, entry.latency_ms - waited_ms)
        exchange.provider = entry.provider
        exchange.model = entry.model
        exchange.stop_reason = entry.stop_reason
        exchange.usage = NO_TOKENS
        exchange.cost = NO_CHARGE
        exchange.annotate_all(ready.notes)
        exchange.annotate("cache.saved_ms", saved_ms)
        if status != "hit":
            exchange.annotate("cache.status", status)
        saved = self._account(exchange)
        saved.hits += 1
        saved.milliseconds += saved_ms
        if entry.cost_nano_usd is None:
            saved.unknown_cost += 1
        else:
            saved.nano_usd += entry.cost_nano_usd
        if not ready.knows_tokens:
            saved.unknown_tokens += 1
        for name, count in ready.tokens:
            saved.tokens[name] += count

    def miss(self, exchange: Exchange, reason: str) -> None:
        """Account for a miss: ``cache.status`` is "miss", ``cache.miss_reason`` says why."""
        exchange.annotate("cache.status", "miss")
        exchange.annotate("cache.miss_reason", reason)
        self._account(exchange).misses += 1

    def _account(self, exchange: Exchange) -> Saved:
        key = exchange.key
        who = exchange.organization, "" if key is None else key.owner
        saved = self._owners.get(who)
        if saved is not None:
            self._owners.move_to_end(who)
            return saved
        if len(self._owners) >= MAX_OWNERS:
            self._others.add(self._owners.popitem(last=False)[1])
        saved = self._owners[who] = Saved()
        return saved
