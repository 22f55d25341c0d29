"""``GET /v1/budgets``: how budgets stand, as the caller may see it: ``{"data": [...], "error": null}``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct
from quart import Blueprint, request
from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import ApiOperation, StoreUnavailable, caller
from helicone_gw_ratelimit.budget_report import concerns, described
from helicone_gw_ratelimit.budgeting import Budgeting

MOST: Final = 1000
"""Accounts of one answer: those with the largest spending."""


class Account(Struct, frozen=True, rename="camel"):
    """How a budget stands for whom it is: dollars as exact decimals, and how many of its requests are under way."""

    budget: str
    organization: str
    segment: str
    mode: str
    period: str
    limit: str
    spent: str
    left: str
    percent: int
    resets_at: str | None
    reserved: str
    under_way: int


OPERATION: Final = ApiOperation(
    method="GET",
    path="/v1/budgets",
    tag="limits",
    summary="How budgets stand: those that all share, and the caller's own.",
    data=list[Account],
)


def routes(name: str, instances: Callable[[], Sequence[Budgeting]]) -> Blueprint:
    """The page of the plugin instance ``name``, which speaks for all ``instances``."""
    pages = Blueprint(f"{name}-budgets", __name__)

    @pages.get("/v1/budgets")
    async def budgets() -> tuple[dict[str, Any], int]:
        key = caller(request.scope)
        data: list[dict[str, Any]] = []
        for found in instances():
            try:
                standings = await found.accounts.standings(MOST)
            except (StoreUnavailable, SQLAlchemyError, OSError):
                return {"data": None, "error": "What was spent cannot be read at the moment."}, 503
            for each in standings:
                budget = found.at(each.place) if concerns(key, each.place) else None
                if budget is not None:
                    data.append(described(budget, each, live=True))
        return {"data": data, "error": None}, 200

    return pages
