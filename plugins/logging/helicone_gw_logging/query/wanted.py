"""Wanted: which requests are asked for, and what leads to them."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, Table, and_, select

from helicone_gw_logging.query.nodes import ALL, Node
from helicone_gw_logging.query.pieces import Piece, inside
from helicone_gw_logging.query.plan import Question
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import Order, is_cached
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.where import exists, leading, led, where
from helicone_gw_logging.tables import REQUEST, SCORE

EVER: Final = Span(-(2**63), 2**63 - 1)
"""A time that is no bound."""
_BY_TIME: Final = Order()


class Wanted(Struct, frozen=True):
    """Which requests: a filter, and what is asked beside it; ``None`` asks nothing.

    ``among``: pieces of the log in one of which every such request is, where these are known.
    """

    filter: Node
    cached: bool | None = None
    scored: bool | None = None
    among: tuple[Piece, ...] | None = None

    @property
    def table(self) -> Table:
        """The one whose index leads to them."""
        found = led(self.filter)
        return REQUEST if found is None else leading(found[0])[0]

    def where(self, scope: Scope) -> ColumnElement[bool]:
        """As a condition over the requests of ``scope``, wherever they are."""
        return and_(where(self.filter, scope, few=self.among is not None), *self._beside())

    def numbers(self, scope: Scope, order: Order = _BY_TIME) -> Select[tuple[int]]:
        """Their numbers, yet to be put into ``order``.

        Where a property must have a value, or a score be there, an index of those leads: few requests may have it,
        and they can be anywhere.
        """
        found = led(self.filter)
        if self.among is not None:
            return select(REQUEST.c.seq).select_from(inside(self.among, scope.organization)).where(self.where(scope))
        if found is None:
            return select(REQUEST.c.seq).where(self.where(scope))
        (table, told), rest = leading(found[0]), found[1]
        same = and_(table.c.seq == REQUEST.c.seq, table.c.received_at == REQUEST.c.received_at)
        query = select(table.c.seq).where(table.c.organization_id == scope.organization, told)
        # The time that is asked about is that of the leading rows, too: many requests may have it after all.
        span = Question(scope, EVER, rest).narrowed().span
        if span != EVER:
            query = query.where(span.whole(table))
        others = and_(where(rest, scope), *self._beside())
        if order.name != _BY_TIME.name:
            return query.select_from(table.join(REQUEST, same)).where(others)
        if rest == ALL and scope.whole and self.cached is None and self.scored is None:
            return query
        # Not a join: a database may begin that with the larger table.
        return query.where(select(REQUEST.c.seq).where(same, others).correlate(table).exists())

    def _beside(self) -> list[ColumnElement[bool]]:
        clauses: list[ColumnElement[bool]] = []
        if self.cached is not None:
            clauses.append(is_cached() if self.cached else ~is_cached())
        if self.scored is not None:
            # A score may lead to the requests as well, by the same table.
            some = select(SCORE.c.seq).where(SCORE.c.seq == REQUEST.c.seq).correlate(REQUEST)
            scored = exists(some, few=self.among is not None)
            clauses.append(scored if self.scored else ~scored)
        return clauses
