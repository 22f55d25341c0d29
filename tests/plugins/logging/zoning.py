"""What tests of zones have in common: small ones, and which parts of the log are read for a filter."""

from __future__ import annotations

from typing import Any

from helicone_gw.database import Database
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.pieces import Piece
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.query.zoning import zoned
from helicone_gw_logging.zones import note_zones

SIZE = 16
"""Requests of a zone."""


def rmt(column: str, operator: str, value: Any) -> Any:
    return {"request_response_rmt": {column: {operator: value}}}


async def noted(database: Database) -> int:
    return len([done async for done in note_zones(database)])


async def pieces(database: Database, asked: Any, organization: str = "default") -> tuple[Piece, ...] | None:
    async with database.connect() as connection:
        return (await zoned(connection, Scope(organization), Wanted(read_filter(asked)))).among


async def among(database: Database, asked: Any, organization: str = "default") -> tuple[tuple[int, int], ...] | None:
    """The zones that are read, those side by side together, and what is not noted."""
    told = await pieces(database, asked, organization)
    if told is None:
        return None
    *noted, rest = told
    found: list[tuple[int, int]] = []
    for zone in sorted({first // SIZE for piece in noted for first, _ in piece.ranges}):
        begin = found.pop()[0] if found and found[-1][1] == zone * SIZE else zone * SIZE
        found.append((begin, (zone + 1) * SIZE))
    return (*found, *rest.ranges)


def numbers(first: int, last: int) -> tuple[int, int]:
    return first * SIZE, last * SIZE
