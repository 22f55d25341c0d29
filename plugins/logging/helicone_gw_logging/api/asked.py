"""Asked: what queries about many requests have in common: which ones, in which buckets, told apart by what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace

from helicone_gw_logging.api.routes import Call, Refused
from helicone_gw_logging.api.schemas import FilterBody
from helicone_gw_logging.api.times import TimeFilter
from helicone_gw_logging.measures import DAY_MS
from helicone_gw_logging.query.buckets import Increment
from helicone_gw_logging.query.cuts import cuts, steps, zone
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.plan import By, Group, Question
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.sums import Place, Sums

MAX_GROUPS = 100
"""Values that are told apart in one answer."""

Value = str | int | bool | None
"""A value that requests are told apart by; null where it is unknown."""


class Asked(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which requests: those of a time for which a filter holds.

    ``previous``: also what came in the time of the same length before that.
    """

    timeFilter: TimeFilter  # noqa: N815 - the contract's names
    userFilter: FilterBody = "all"  # noqa: N815
    previous: bool = False

    def question(self, call: Call) -> Question:
        """As the log is asked."""
        return Question(call.scope, self.timeFilter.span(), read_filter(self.userFilter)).narrowed()


class InBuckets(Asked, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which requests, and in which buckets of time.

    ``timeZone`` is a name such as "Europe/Berlin"; without it ``timeZoneDifference`` says how many minutes clocks are
    ahead of UTC. Weeks begin on Monday. ``by`` tells requests apart, the ``limit`` values with most
    requests being shown; ``propertyKey`` names the property where it is "property". ``bucketMilliseconds`` asks for
    buckets of that length from the start on, instead of a calendar's.
    """

    dbIncrement: Increment = "hour"  # noqa: N815 - the contract's names
    timeZone: Annotated[str, Meta(max_length=100)] | None = None  # noqa: N815
    timeZoneDifference: Annotated[int, Meta(ge=-1439, le=1439)] = 0  # noqa: N815
    by: By | None = None
    propertyKey: Annotated[str, Meta(min_length=1, max_length=256)] | None = None  # noqa: N815
    limit: Annotated[int, Meta(ge=1, le=MAX_GROUPS)] = 10
    bucketMilliseconds: Annotated[int, Meta(ge=1000, le=366 * DAY_MS)] | None = None  # noqa: N815

    def group(self) -> Group | None:
        """What requests are told apart by. Raises `Refused` where it is a property, and none is named."""
        return group_of(self.by, self.propertyKey)

    def buckets(self) -> tuple[int, ...]:
        """Where they begin. Raises `FilterError` where there are too many."""
        if self.bucketMilliseconds is not None:
            return tuple(steps(self.timeFilter.span(), self.bucketMilliseconds))
        return tuple(cuts(self.timeFilter.span(), self.dbIncrement, zone(self.timeZone, self.timeZoneDifference)))


def added(found: Mapping[Place, Sums], value: Any) -> Sums | None:
    """All buckets of one value together."""
    total: Sums | None = None
    for (_, each), sums in found.items():
        if each == value:
            total = dict(sums) if total is None else {name: total[name] + number for name, number in sums.items()}
    return total


def shown(value: Any) -> Value:
    """A value as the API shows it: what is not known is "", and 0 for a status, among the sums."""
    return None if value == "" or (value == 0 and value is not False) else value


def group_of(by: By | None, key: str | None) -> Group | None:
    """What requests are told apart by. Raises `Refused` where a property is, and is not named."""
    if by == "property" and key is None:
        raise Refused(400, "propertyKey: it has to be given where by is 'property'.")
    return None if by is None else Group(by, key or "")


def before(question: Question) -> Question:
    """The same question about the time of the same length before."""
    length = question.span.end - question.span.start
    span = Span(question.span.start - length, question.span.start)
    return replace(question, span=span, cuts=tuple(cut - length for cut in question.cuts))
