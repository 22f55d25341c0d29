"""OfKeys: the limits and budgets that gateway keys bring along, each counted for its key alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, cast

from helicone_gw import Unavailable
from helicone_gw_ratelimit.budget_config import BudgetConfig
from helicone_gw_ratelimit.budget_table import Place
from helicone_gw_ratelimit.budgets import Budget
from helicone_gw_ratelimit.policy import Algorithm, parse_policy
from helicone_gw_ratelimit.rules import PolicyRule
from helicone_gw_ratelimit.segments import clean

if TYPE_CHECKING:
    from helicone_gw import GatewayKey
    from helicone_gw_ratelimit.matching import Targets
    from helicone_gw_ratelimit.rules import Estimates
    from helicone_gw_ratelimit.spending import Charge

NAME: Final = "key"
"""What such limits are called, for clients, counters and logs."""

REMEMBERED: Final = 4096
"""Limits of keys that are remembered; of more, those used longest ago are made anew."""

MAX_ACCOUNTS: Final = 10_000
"""Accounts of keys whose limit is remembered for ``GET /v1/budgets``."""

PERIODS: Final = ("day", "week", "month", "total")


class PoliciesOfKeys:
    """The policies of gateway keys, as rules. ``unknown_cost`` is in nano-dollars."""

    def __init__(self, estimates: Estimates, algorithm: Algorithm, unknown_cost: int) -> None:
        self._estimates = estimates
        self._algorithm = algorithm
        self._unknown_cost = unknown_cost
        self._rule = lru_cache(maxsize=REMEMBERED)(self._make)

    def rules(self, key: GatewayKey) -> list[PolicyRule]:
        """One for each limit of ``key``. Raises `Unavailable`: one that cannot be read admits nobody."""
        try:
            return [self._rule(key.id, text) for text in key.limits]
        except ValueError:
            raise unreadable(key) from None

    def _make(self, key_id: str, text: str) -> PolicyRule:
        policy = parse_policy(text)
        kind = "bucket" if self._algorithm == "token-bucket" else "window"
        # By window, so that so many a minute and so many a day are two; another quota keeps the balance.
        return PolicyRule(
            policy,
            self._algorithm,
            name=NAME,
            words=(kind, "of-key", clean(key_id), str(policy.window)),
            estimates=self._estimates,
            unknown_cost=self._unknown_cost,
        )


class BudgetsOfKeys:
    """The budgets of gateway keys: ``25/month`` is an account of the key's own, whose limit may change meanwhile."""

    def __init__(self, targets: Targets, lease: float) -> None:
        self._targets = targets
        self._lease = lease
        self._budget = lru_cache(maxsize=REMEMBERED)(self._make)
        self._seen: OrderedDict[Place, Budget] = OrderedDict()
        kinds = [self._make(f"1/{period}") for period in PERIODS]
        self.kinds: Mapping[str, Budget] = {budget.name: budget for budget in kinds}
        """One for each period, by name: all that accounts need to know, but for the limit."""

    def budgets(self, key: GatewayKey) -> list[Budget]:
        """One for each budget of ``key``. Raises `Unavailable`: one that cannot be read admits nobody."""
        try:
            return [self._budget(text) for text in key.budgets]
        except ValueError:
            raise unreadable(key) from None

    def _make(self, text: str) -> Budget:
        dollars, _, period = text.partition("/")
        if period not in PERIODS or not dollars.replace(".", "", 1).isdigit():
            raise ValueError(text)
        every = cast(Literal["day", "week", "month", "total"], period)
        config = BudgetConfig(limit=Decimal(dollars), period=every, segment="key", alerts=())
        return Budget(f"{NAME}({period})", config, self._targets, self._lease)

    def charged(self, budget: Budget, charge: Charge) -> None:
        """Remember what ``budget`` the account of ``charge`` has."""
        self._seen[charge.place] = budget
        self._seen.move_to_end(charge.place)
        if len(self._seen) > MAX_ACCOUNTS:
            self._seen.popitem(last=False)

    def at(self, place: Place) -> Budget | None:
        """The budget of an account, as the last request of its key brought it along."""
        return self._seen.get(place)


def unreadable(key: GatewayKey) -> Unavailable:
    """What a caller is told whose key has a limit that nobody can read."""
    return Unavailable(f"Key {key.name!r} has a limit that cannot be read.", code="limits_not_enforced")
