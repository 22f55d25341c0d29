"""Few: whether an index tells at once that few requests can be those that are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.query.where import rare
from helicone_gw_logging.tables import REQUEST

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

FEW: Final = 5000
"""Requests of which it costs little to put all in order."""


async def are_few(connection: AsyncConnection, scope: Scope, wanted: Wanted) -> bool:
    """Whether it is known where few requests are that can be those: a condition leaves fewer than `FEW`."""
    condition = rare(wanted.filter, scope)
    if condition is None:
        return False
    some = select(REQUEST.c.seq).where(condition).limit(FEW).subquery()
    return int(await connection.scalar(select(func.count()).select_from(some)) or 0) < FEW
