"""Known: a part of a user's id is looked for among all users that there are, and not in every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from sqlalchemy import func, select

from helicone_gw_logging.presence import all_users_are_kept
from helicone_gw_logging.query.beside import is_part_of_id
from helicone_gw_logging.query.columns import field
from helicone_gw_logging.query.few import FEW
from helicone_gw_logging.query.nodes import Both, Condition, Node, both
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.query.where import compare
from helicone_gw_logging.totals import USER

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MOST: Final = 500
"""Users that are named one by one."""
_TIME: Final = field("request_response_rmt", "request_created_at")


async def known(connection: AsyncConnection, scope: Scope, wanted: Wanted) -> Wanted:
    """``wanted``, said in other words where users tell which requests that can be: those of few users are named, and
    of many it is added since when and until when there were any."""
    parts = wanted.filter.parts if isinstance(wanted.filter, Both) and wanted.filter.operator == "and" else None
    asked: list[Node] = [wanted.filter] if parts is None else [*parts]
    places = [number for number, part in enumerate(asked) if isinstance(part, Condition) and _is_part_of_users_id(part)]
    if not places or not await all_users_are_kept(connection, scope.organization):
        return wanted
    for number in places:
        asked[number] = await _named(connection, scope, asked[number])  # type: ignore[arg-type]
    return replace(wanted, filter=both("and", asked))


def _is_part_of_users_id(condition: Condition) -> bool:
    return is_part_of_id(condition) and condition.field.column == "user_id"


async def _named(connection: AsyncConnection, scope: Scope, condition: Condition) -> Node:
    columns = USER.c
    own, such = columns.organization_id == scope.organization, compare(columns.user_id, condition)
    figures = func.count(), func.sum(columns.requests), func.min(columns.first_at), func.max(columns.last_at)
    users, requests, first, last = (await connection.execute(select(*figures).where(own, such))).one()
    if users <= MOST and int(requests or 0) < FEW:
        ids = tuple(await connection.scalars(select(columns.user_id).where(own, such)))
        return Condition(condition.field, "in", ids)
    return Both("and", (condition, Condition(_TIME, "gte", first), Condition(_TIME, "lte", last)))
