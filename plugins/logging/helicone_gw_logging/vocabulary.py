"""Vocabulary: which values of a dimension an hour tells apart, so that no client makes the sums grow without bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import Select, select

from helicone_gw_logging.totals import DIMENSION, OTHER, PROPERTY_KEY, ROLLUP

if TYPE_CHECKING:
    from sqlalchemy import Connection

Place = tuple[str, int, str]
"""Organization, hour and dimension; the hour of what does not begin anew with each of them is -1."""

MAX_PLACES = 512
"""Places whose values are remembered between batches; those read longest ago are forgotten, and read again."""


class Vocabulary:
    """The values of each place that have sums of their own: the first ``most`` that came.

    ``folded`` counts the requests of which a value went to `OTHER`. Other processes that write to the same database may
    each have let in a few when it was nearly full: what is in the tables counts, and the sums are right either way.
    """

    def __init__(self, most: int = 1000) -> None:
        self.most = most
        self.folded = 0
        self._known: OrderedDict[Place, set[str]] = OrderedDict()
        self._missing: dict[Place, None] = {}
        self._hours: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._dimensions: dict[str, set[str]] = {}

    def fold(self, organization: str, hour: int, dimension: str, value: str, requests: int = 1) -> str:
        """``value``, which so many ``requests`` have, or `OTHER`. Right only once `complete` said so of all of them."""
        if not value:
            return value
        place = organization, hour, dimension
        known = self._known.get(place)
        if known is None:
            self._missing[place] = None
            return value
        if value in known:
            return value
        if len(known) < self.most:
            known.add(value)
            return value
        self.folded += requests
        return OTHER

    def expect(self, connection: Connection, hours: Iterable[tuple[str, int]]) -> None:
        """Read beforehand what values of these organizations and hours will be asked for, as far as that is known."""
        for organization, hour in hours:
            if (organization, hour) in self._hours:
                continue
            self._hours[organization, hour] = None
            for dimension in self._dimensions.get(organization, ()):
                self._missing[organization, hour, dimension] = None
        self.complete(connection)

    def complete(self, connection: Connection) -> bool:
        """Whether every place that was asked for is known; those that are not are read now, to be asked again."""
        if not self._missing:
            while len(self._known) > MAX_PLACES:
                self._known.popitem(last=False)
            while len(self._hours) > MAX_PLACES:
                self._hours.popitem(last=False)
            return True
        for place in self._missing:
            organization, hour, dimension = place
            if hour >= 0:
                self._dimensions.setdefault(organization, set()).add(dimension)
            self._known[place] = set(connection.scalars(_there(*place).limit(self.most + 1)))
        self._missing.clear()
        return False


def _there(organization: str, hour: int, dimension: str) -> Select[tuple[str]]:
    if dimension == "property":
        return select(PROPERTY_KEY.c.key_lower).where(PROPERTY_KEY.c.organization_id == organization)
    if dimension in ("model", "provider"):
        columns = ROLLUP.c
        return (
            select(columns[dimension]).distinct().where(columns.organization_id == organization, columns.hour == hour)
        )
    columns = DIMENSION.c
    return select(columns.value).where(
        columns.organization_id == organization, columns.dimension == dimension, columns.hour == hour
    )
