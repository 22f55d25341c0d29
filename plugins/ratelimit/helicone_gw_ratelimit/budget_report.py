"""Reports: how budgets stand, for people and programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from helicone_gw_ratelimit.accounts import Standing
from helicone_gw_ratelimit.budget_config import plain
from helicone_gw_ratelimit.budget_table import Place, Spent, newest_generation
from helicone_gw_ratelimit.segments import clean

if TYPE_CHECKING:
    from helicone_gw import GatewayKey
    from helicone_gw_ratelimit.budgets import Budget

SHARED = ("global", "model", "route", "provider")
"""Segments that concern everybody of an organisation."""


def described(budget: Budget, standing: Standing, *, live: bool) -> dict[str, Any]:
    """One account, JSON-able; dollars are exact decimals. Only who is ``live`` knows what is under way."""
    left = budget.limit - standing.spent - standing.reserved
    report: dict[str, Any] = {
        "budget": standing.place.budget,
        "organization": standing.place.organization,
        "segment": standing.place.segment,
        "mode": budget.config.mode,
        "period": budget.every,
        "limit": plain(budget.limit),
        "spent": plain(standing.spent),
        "left": plain(max(0, left)),
        "percent": standing.spent * 100 // budget.limit,
        "resetsAt": budget.resets_at(standing.span),
    }
    return report | {"reserved": plain(standing.reserved), "underWay": standing.under_way} if live else report


def concerns(key: GatewayKey | None, place: Place) -> bool:
    """Whether ``key`` may see an account: what all of its organisation share, and its own.

    Of other keys, users and properties it learns nothing. Without keys everybody sees everything.
    """
    if key is None:
        return True
    if place.organization != key.organization:
        return False
    own = (f"key:{clean(key.id)}", f"owner:{clean(key.owner)}")
    return place.segment.partition(":")[0] in SHARED or place.segment in own


def written(budgets: Mapping[str, Budget], rows: Iterable[Spent], now: float) -> list[Standing]:
    """How accounts stand by the table alone; budgets that all share are there although nothing was spent."""
    places: dict[Place, list[Spent]] = {
        Place("default", name, budget.every, "global"): []
        for name, budget in budgets.items()
        if budget.config.segment == "global"
    }
    for row in rows:
        budget = budgets.get(row.place.budget)
        if budget is not None and budget.every == row.place.every:
            places.setdefault(row.place, []).append(row)
    return [
        Standing(
            place, budgets[place.budget].period.at(now), sum(row.spent for row in newest_generation(found)[1]), 0, 0
        )
        for place, found in places.items()
    ]
