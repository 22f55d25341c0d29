"""Spans: a time from start to end as whole hours, which sums answer for, and the pieces beside them, which rows do."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import ColumnElement, Table, and_, false, or_

from helicone_gw_logging.measures import HOUR_MS
from helicone_gw_logging.tables import REQUEST


class Span(Struct, frozen=True):
    """From ``start`` (inclusive) to ``end`` (exclusive), in epoch milliseconds."""

    start: int
    end: int

    @property
    def hours(self) -> tuple[int, int]:
        """The first hour that is wholly inside, and the first one after these that is not; equal when there is none."""
        first, last = -(-self.start // HOUR_MS), self.end // HOUR_MS
        return (first, last) if first < last else (first, first)

    @property
    def edges(self) -> list[Span]:
        """What is beside the whole hours: at most two pieces."""
        first, last = self.hours
        if first == last:
            return [self] if self.start < self.end else []
        pieces = [Span(self.start, first * HOUR_MS), Span(last * HOUR_MS, self.end)]
        return [piece for piece in pieces if piece.start < piece.end]

    def of_sums(self, table: Table) -> ColumnElement[bool]:
        """The rows of a table of sums by the hour that are wholly inside."""
        first, last = self.hours
        return and_(table.c.hour >= first, table.c.hour < last)

    def of_edges(self, table: Table = REQUEST) -> ColumnElement[bool]:
        """The rows of ``table`` that were received beside the whole hours."""
        return or_(false(), *(piece.whole(table) for piece in self.edges))

    def whole(self, table: Table = REQUEST) -> ColumnElement[bool]:
        """The rows of ``table`` that were received inside."""
        return and_(table.c.received_at >= self.start, table.c.received_at < self.end)
