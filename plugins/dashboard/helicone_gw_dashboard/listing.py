"""Listing: what lists of users, values and models share: an order, an offset, and how long each row's bar is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from helicone_gw_dashboard.view import Trouble, View

LIMIT: Final = 50
"""Rows of one part of a list."""

MOST_OFFSET: Final = 1_000_000


def order(view: View, sorts: Mapping[str, str], usual: str) -> str:
    """The order that the address names, one of ``sorts``. Raises `Trouble` (400) for any other."""
    name = view.args.get("sort", usual)
    if name not in sorts:
        raise Trouble(400, "There is no such order.")
    return name


def offset(view: View) -> int:
    """Rows that the part begins after. Raises `Trouble` (400) where the address has no number."""
    try:
        return min(max(int(view.args.get("offset", "0")), 0), MOST_OFFSET)
    except ValueError:
        raise Trouble(400, "The offset in the address is not a number.") from None


def most(view: View, values: Iterable[float | None]) -> float:
    """What the longest bar stands for: the largest of all rows, which a further part of the list is told."""
    try:
        known = float(view.args.get("most", "0"))
    except ValueError:
        known = 0.0
    return max((value or 0.0 for value in values), default=0.0) if not known > 0 else known


def share(value: float | None, of: float) -> float:
    """The length of a bar, from 0 to 1."""
    return min(max((value or 0.0) / of, 0.0), 1.0) if of else 0.0
