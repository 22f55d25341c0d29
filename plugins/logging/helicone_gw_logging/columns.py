"""Columns: what stands where in a row of values. It begins behind ``seq``, which is given when it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from sqlalchemy import Table

from helicone_gw_logging.statements import Values


def columns(table: Table) -> tuple[str, ...]:
    """The names of a row's values, in their order."""
    return tuple(column.name for column in table.columns if column.name != "seq")


def picking(table: Table, *names: str) -> Callable[[Values], Values]:
    """What picks the values of these columns (two or more of them) out of a row."""
    places = columns(table)
    return itemgetter(*(places.index(name) for name in names))


def arranging(table: Table, *names: str, without: str | None = None) -> Callable[[Values], Values]:
    """What puts values in the order of ``names`` into the order of a row. Every column but ``without`` is there once.

    Raises `ValueError` otherwise.
    """
    wanted = [name for name in columns(table) if name != without]
    if sorted(names) != sorted(wanted):
        raise ValueError(f"not the columns of {table.name}: {sorted(set(names) ^ set(wanted))}")
    return itemgetter(*(names.index(name) for name in wanted))


def changed(table: Table, values: Values, changes: Mapping[str, Any]) -> Values:
    """A row, or its beginning, in which these columns have other values."""
    return tuple([changes.get(name, value) for name, value in zip(columns(table), values, strict=False)])
