"""Scope: whose rows a query may see. Every statement over the log is bound to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Table, and_, select

from helicone_gw_logging.tables import REQUEST

if TYPE_CHECKING:
    from helicone_gw import GatewayKey


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows of an organization; with ``key_id`` only those of requests that came with that key."""

    organization: str = "default"
    key_id: str | None = None

    @property
    def whole(self) -> bool:
        """Whether this is all of the organization, so that its sums (`helicone_gw_logging.totals`) answer for it."""
        return self.key_id is None

    def of(self, table: Table) -> ColumnElement[bool]:
        """The rows of ``table`` that may be seen. Raises `ValueError` for sums when the scope is not `whole`."""
        return self._narrowed(table, table.c.organization_id == self.organization)

    def of_few(self, table: Table) -> ColumnElement[bool]:
        """The same, for a statement that names few rows by another column.

        SQLite, which keeps no statistics, would take an index of organizations as well as one of ids, and read all rows
        of the organization.
        """
        return self._narrowed(table, table.c.organization_id.concat("") == self.organization)

    def _narrowed(self, table: Table, own: ColumnElement[bool]) -> ColumnElement[bool]:
        if self.key_id is None:
            return own
        if table is REQUEST:
            return and_(own, REQUEST.c.key_id == self.key_id)
        if "seq" not in table.c:
            raise ValueError(f"{table.name} does not tell keys apart")
        mine = select(REQUEST.c.seq).where(
            REQUEST.c.organization_id == self.organization, REQUEST.c.key_id == self.key_id
        )
        return and_(own, table.c.seq.in_(mine))


def scope_of(key: GatewayKey | None) -> Scope:
    """What the caller with ``key`` may see: their organization's rows. ``None``: a gateway without keys."""
    return Scope() if key is None else Scope(key.organization)
