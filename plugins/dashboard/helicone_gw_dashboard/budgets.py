"""Budgets: whether what is spent of each will last until it begins anew."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from helicone_gw_dashboard.formatting import duration, instant

SURE: Final = 0.02
"""Share of a period that has to be over before anything is said of its end."""


def span(period: str, resets_at: str | None) -> tuple[float, float] | None:
    """When the period that ends at ``resets_at`` began, and that end, in epoch seconds; ``None`` for what has neither.

    A month is as long as it is in that time's own zone.
    """
    end = instant(resets_at)
    if end is None or resets_at is None:
        return None
    if period == "month":
        local = datetime.fromisoformat(resets_at)
        return (local - timedelta(days=1)).replace(day=1).timestamp(), end.timestamp()
    if period in ("day", "week"):
        return (end - timedelta(days=1 if period == "day" else 7)).timestamp(), end.timestamp()
    return None


def elapsed(period: str, resets_at: str | None, now: int) -> float | None:
    """How much of the period is over, from 0 to 1; ``None`` for what has no beginning or no end.

    ``now`` is epoch milliseconds.

    >>> elapsed("day", "2026-11-27T00:00:00+00:00", 1_795_737_600_000 - 6 * 3_600_000)
    0.75
    """
    known = span(period, resets_at)
    if known is None:
        return None
    begin, end = known
    return min(max((now / 1000 - begin) / (end - begin), 0.0), 1.0)


def paced(account: Mapping[str, Any], now: int) -> dict[str, Any]:
    """``account``, as ``GET /v1/budgets`` has it, with ``elapsed`` and ``pace``, a few words on how it will end."""
    over = elapsed(account["period"], account["resetsAt"], now)
    spent, limit = float(account["spent"]), float(account["limit"])
    pace = ""
    if spent >= limit:
        pace = "spent"
    elif over is not None and over >= SURE and spent:
        if spent / over < limit:
            pace = f"{spent / over / limit * 100:,.0f} % at its end"
        else:
            end = instant(account["resetsAt"])
            whole = 0.0 if end is None else (end.timestamp() * 1000 - now) / (1 - over) if over < 1 else 0.0
            pace = f"spent in {duration((limit / spent - 1) * over * whole)}"
    return {**account, "elapsed": over, "pace": pace}
