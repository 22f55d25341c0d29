"""Lens: which requests a page looks at, as its address says: a time, and filters that are the REST API's own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final

from helicone_gw_dashboard.trouble import Trouble

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

RANGES: Final[Mapping[str, int]] = {
    "15m": 15 * MINUTE,
    "1h": HOUR,
    "24h": DAY,
    "7d": 7 * DAY,
    "30d": 30 * DAY,
    "90d": 90 * DAY,
}
"""The ranges to choose from, in milliseconds. They end with the minute, hour or day that is not over yet."""

_WHOLE: Final = ((HOUR, MINUTE), (7 * DAY, HOUR))
"""Ranges up to so long consist of whole ones of these; longer ones of whole days of the reader's zone."""

USUAL: Final = "24h"
MAX_FILTER: Final = 4_000
"""Characters of a filter in an address."""

TABLE: Final = "request_response_rmt"
KEYED: Final = ("properties", "scores")
"""Columns of that table that have a key."""

SEARCHED: Final = ("user_id", "session_id", "session_name", "model", "error_message")
"""Columns in which the words of a search are looked for, beside the request's id."""

_SIGNS: Final[Mapping[str, str]] = {
    "equals": "=",
    "is": "=",
    "not-equals": "≠",
    "gt": ">",
    "gte": "≥",
    "lt": "<",
    "lte": "≤",
    "contains": "contains",
    "not-contains": "lacks",
    "like": "is like",
    "ilike": "is like",
    "in": "is one of",
}
_NAMES: Final[Mapping[str, str]] = {
    "user_id": "user",
    "session_id": "session",
    "key_name": "key",
    "cost_nano_usd": "cost",
    "time_to_first_token": "first token",
    "request_body": "prompt",
    "response_body": "answer",
    "error_code": "error",
    "country_code": "country",
    "request_model": "model asked for",
    "total_tokens": "tokens",
    "cache_status": "cache",
}


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter as a page shows it: ``text``, and the ``params`` of the same page without it."""

    text: str
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Lens:
    """Requests received from ``start`` until before ``end`` (epoch milliseconds) that all ``filters`` match.

    ``name`` is one of `RANGES`, or "" for a time of the user's own; days begin at midnight in ``zone``.
    """

    name: str
    start: int
    end: int
    filters: tuple[Any, ...] = ()
    zone: tzinfo = UTC

    @classmethod
    def read(cls, args: Mapping[str, str], now: int, usual: str = USUAL, zone: tzinfo = UTC) -> Lens:
        """The lens of an address's parameters ``range``, ``from``, ``to`` and ``filter``. Raises `Trouble` (400)."""
        filters = _filters(args.get("filter", ""))
        if "from" in args or "to" in args:
            start, end = _moment(args.get("from"), now - DAY), _moment(args.get("to"), now)
            if start >= end:
                raise Trouble(400, "The time in the address ends before it begins.")
            return cls("", start, end, filters, zone)
        name = args.get("range", usual)
        if name not in RANGES:
            raise Trouble(400, f"The range in the address is none of {', '.join(RANGES)}.")
        return cls(name, _begun(name, now, zone), now, filters, zone)

    @property
    def time(self) -> dict[str, str]:
        """The parameters that say the time."""
        return {"range": self.name} if self.name else {"from": str(self.start), "to": str(self.end)}

    @property
    def params(self) -> dict[str, str]:
        """All parameters, for the address of another page that is to look at the same."""
        return {**self.time, "filter": self.filter} if self.filters else self.time

    @property
    def filter(self) -> str:
        """The parameter that says the filters; "" for none."""
        return json.dumps(self.filters, ensure_ascii=False, separators=(",", ":")) if self.filters else ""

    @property
    def node(self) -> list[Any]:
        """What the REST API takes as ``filter``: the time and the filters."""
        return [
            leaf("request_created_at", "gte", self.start),
            leaf("request_created_at", "lt", self.end),
            *self.filters,
        ]

    @property
    def until(self) -> int:
        """The end of the last minute, hour or day of a range, which is not over yet: whole ones are quicker to sum."""
        return _shifted(self.name, self.start, self.zone, 1) if self.name else self.end

    @property
    def previous(self) -> Lens:
        """The time before it: as much of a range as is over of this one, so that both can be compared."""
        if not self.name:
            return replace(self, start=2 * self.start - self.end, end=self.start)
        start, end = (_shifted(self.name, at, self.zone, -1) for at in (self.start, self.end))
        return replace(self, name="", start=start, end=end)

    def plus(self, column: str, operator: str, value: Any, key: str | None = None) -> dict[str, str]:
        """`params` with one filter more; it takes the place of one that asks the same column the same way."""
        return self.narrowed(leaf(column, operator, value, key)).params

    def narrowed(self, *added: Any) -> Lens:
        """The same with further conditions, each in the place of one that asks the same column the same way."""
        asked = [asks(each) for each in added]
        kept = [each for each in self.filters if asks(each) is None or asks(each) not in asked]
        return replace(self, filters=(*kept, *added))

    def searching(self, words: str) -> dict[str, str]:
        """`params` for what ``words`` are found in, in place of what was searched for before."""
        conditions = [leaf("request_id", "equals", words), *(leaf(name, "contains", words) for name in SEARCHED)]
        found: Any = conditions[-1]
        for condition in reversed(conditions[:-1]):
            found = {"left": condition, "operator": "or", "right": found}
        kept = [each for each in self.filters if _words(each) is None]
        return replace(self, filters=(*kept, found)).params

    def during(self, start: int, end: int) -> dict[str, str]:
        """`params` with another time."""
        return replace(self, name="", start=start, end=end).params

    @property
    def chips(self) -> list[Chip]:
        """The filters, to be shown and taken away."""
        return [
            Chip(text(each), replace(self, filters=self.filters[:at] + self.filters[at + 1 :]).params)
            for at, each in enumerate(self.filters)
        ]


def _begun(name: str, now: int, zone: tzinfo) -> int:
    """When the range began that ends with what is not over yet."""
    length = RANGES[name]
    for longest, each in _WHOLE:
        if length <= longest:
            ahead = round((_local(now, zone).utcoffset() or timedelta()) / timedelta(milliseconds=1))
            return (now + ahead) // each * each - ahead - length + each
    return _midnight(_local(now, zone).date() - timedelta(days=length // DAY - 1), zone)


def _shifted(name: str, at: int, zone: tzinfo, by: int) -> int:
    """A moment as many ranges later, at the same time of day where the range consists of days."""
    length = RANGES[name]
    if length <= _WHOLE[-1][0]:
        return at + by * length
    there = _local(at, zone).replace(tzinfo=None) + timedelta(milliseconds=by * length)
    return round(there.replace(tzinfo=zone).timestamp() * 1000)


def _local(at: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at / 1000, zone)


def _midnight(day: date, zone: tzinfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def leaf(column: str, operator: str, value: Any, key: str | None = None) -> dict[str, Any]:
    """A condition as the REST API takes it. ``key`` is a property's, or a score's.

    >>> leaf("status", "gte", 400)
    {'request_response_rmt': {'status': {'gte': 400}}}
    """
    asked: dict[str, Any] = {operator: value}
    return {TABLE: {column: asked if key is None else {key: asked}}}


def text(node: Any) -> str:
    """A filter in words.

    >>> text(leaf("status", "gte", 400)), text(leaf("properties", "equals", "shop", "app"))
    ('status ≥ 400', 'app = shop')
    """
    asked = asks(node)
    if (words := _words(node)) is not None:
        return _shortened(f"“{words}” is found")
    if asked is None:
        return _shortened(json.dumps(node, ensure_ascii=False))
    column, key, operator = asked
    of_column = node[TABLE][column]
    value = of_column[key][operator] if key else of_column[operator]
    name = key or _NAMES.get(column, column.replace("_", " "))
    if value in (None, "null"):
        return f"{name} is {'' if operator != 'not-equals' else 'not '}unknown"
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    if isinstance(value, bool):
        shown = "yes" if value else "no"
    if column == "latency" or column == "time_to_first_token":
        shown += " ms"
    return _shortened(f"{name} {_SIGNS[operator]} {shown}")


def asks(node: Any) -> tuple[str, str, str] | None:
    """Column, key ("" without) and operator of a simple condition; ``None`` for whatever is more than one."""
    column, of_column = _only(_only(node, TABLE)[1])
    if column in KEYED:
        key, of_key = _only(of_column)
        operator, _ = _only(of_key)
        return (column, key, operator) if operator in _SIGNS else None
    operator, _ = _only(of_column)
    return (column, "", operator) if operator in _SIGNS else None


def _words(node: Any) -> str | None:
    """What a node of `Lens.searching` searches for; ``None`` for any other."""
    first = node.get("left") if isinstance(node, dict) and node.get("operator") == "or" else None
    asked = asks(first)
    if not isinstance(first, dict) or asked != ("request_id", "", "equals"):
        return None
    return str(first[TABLE]["request_id"]["equals"])


def _only(value: Any, name: str | None = None) -> tuple[str, Any]:
    if not isinstance(value, dict) or len(value) != 1 or (name is not None and name not in value):
        return "", None
    return next(iter(value.items()))


def _filters(said: str) -> tuple[Any, ...]:
    if not said or said == "all":
        return ()
    try:
        if len(said) > MAX_FILTER:
            raise ValueError(said[:10])
        node = json.loads(said)
    except (ValueError, RecursionError):
        raise Trouble(400, "The filter in the address is not JSON.") from None
    nodes: Sequence[Any] = node if isinstance(node, list) else [node]
    return tuple(each for each in nodes if each not in ("all", {}))


def _moment(said: str | None, usual: int) -> int:
    if said is None:
        return usual
    try:
        value = int(said)
    except ValueError:
        raise Trouble(400, "A time in the address is not a number of milliseconds.") from None
    if not 0 <= value < 1 << 48:
        raise Trouble(400, "A time in the address is out of bounds.")
    return value


def _shortened(said: str) -> str:
    return said if len(said) <= 80 else said[:79] + "…"
