"""Values: what is known of an exchange as rows, in the order of their columns. Never raises for odd values: what a
column cannot hold is unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import JSON, Boolean, Integer, Table

from helicone_gw import Target
from helicone_gw_logging.columns import arranging, columns
from helicone_gw_logging.facts import AS_IN_ALL, KNOWN, KNOWN_OF_ATTEMPT, AttemptFacts, Facts
from helicone_gw_logging.measures import HOUR_MS, TOKEN_COLUMNS, count, duration, is_known, milliseconds, tokens
from helicone_gw_logging.statements import Values
from helicone_gw_logging.tables import ATTEMPT, REQUEST
from helicone_gw_logging.texts import KEY_BYTES, NAME_BYTES, TEXT_BYTES, VALUE_START_BYTES, label, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from helicone_gw import Cost

MAX_PROPERTIES = 500
"""Most properties of one request."""

_COST = ("cost_nano_usd", "cost_source", "cost_version", "cost_estimated")
_NO_COST: Values = (None, None, None, False)
_NO_TEXT = (Integer, Boolean, JSON)
_LONG = frozenset({"path", "error_message", "target_url", "translation_loss"})
_SURELY_START = VALUE_START_BYTES // 4  # characters, of up to four bytes of UTF-8 each
_ORGANIZATION = KNOWN.index("organization_id")
_PROVIDER_REQUEST_ID = KNOWN_OF_ATTEMPT.index("provider_request_id")
_TARGET = itemgetter(*(KNOWN_OF_ATTEMPT.index(name) for name in ("provider", "request_model", "deployment")))

_request_row = arranging(
    REQUEST,
    *KNOWN,
    *TOKEN_COLUMNS,
    *_COST,
    "received_at",
    "hour",
    "first_byte_at",
    "first_token_at",
    "ended_at",
    "latency",
    "time_to_first_token",
    "service_tier",
    "target",
    "provider_request_id",
    "attempt_count",
    "cost_recomputed_at",
    without="annotations",
)
_attempt_row = arranging(
    ATTEMPT,
    *KNOWN_OF_ATTEMPT,
    *TOKEN_COLUMNS,
    *_COST,
    "organization_id",
    "received_at",
    "service_tier",
    "started_at",
    "first_byte_at",
    "ended_at",
    "provider_cost_nano_usd",
)


def text_places(table: Table) -> tuple[int, ...]:
    """Where text stands in a row, but for annotations."""
    types = (table.columns[name].type for name in columns(table))
    return tuple(place for place, kind in enumerate(types) if not isinstance(kind, _NO_TEXT))


class Arranged(Struct, frozen=True):
    """The rows of an exchange, and all texts in them, a line each. The request's goes without its annotations."""

    request: Values
    attempts: list[Values]
    properties: list[Values]
    texts: str


def arranged(facts: Facts) -> Arranged:
    """The rows that ``facts`` come to."""
    received_at, _, first_token_at, ended_at = facts.times
    at, first_byte, first_token, ended = milliseconds(facts.times)
    received = at or 0
    organization = facts.known[_ORGANIZATION]
    usage, attempts = facts.usage, facts.attempts
    counted, costs = tokens(usage), _cost_values(facts.cost)
    last = attempts[-1].known if attempts else None
    row = _request_row(
        (
            *facts.known,
            *counted,
            *costs,
            received,
            received // HOUR_MS,
            first_byte,
            first_token,
            ended,
            duration(received_at, ended_at),
            duration(received_at, first_token_at),
            None if usage is None else usage.service_tier,
            None if last is None else str(Target(*_TARGET(last))),
            None if last is None else last[_PROVIDER_REQUEST_ID],
            len(attempts),
            None,
        )
    )
    request, texts = _tidy(row, _REQUEST_TEXTS)
    rows = []
    for attempt in attempts:
        made, more = _tidy(_attempt_values(attempt, organization, received, usage, counted, costs), _ATTEMPT_TEXTS)
        rows.append(made)
        texts = f"{texts}\n{more}"
    properties = _properties(facts.properties, organization, received) if facts.properties else []
    for _, _, lower, key, value, _ in properties:
        texts = f"{texts}\n{lower}\n{key}\n{value}"
    return Arranged(request, rows, properties, texts)


def _attempt_values(
    attempt: AttemptFacts, organization: str, received: int, used: Any, counted: Values, costs: Values
) -> Values:
    """Of usage and cost of the exchange, which the attempt may share, there are ``counted`` and ``costs`` already."""
    usage = used if attempt.usage is AS_IN_ALL else attempt.usage
    started, first_byte, ended = milliseconds(attempt.times)
    return _attempt_row(
        (
            *attempt.known,
            *(counted if usage is used else tokens(usage)),
            *(costs if attempt.cost is AS_IN_ALL else _cost_values(attempt.cost)),
            organization,
            received,
            None if usage is None else usage.service_tier,
            started or 0,
            first_byte,
            ended,
            None if usage is None else count(usage.cost),
        )
    )


def _cost_values(cost: Cost | None) -> Values:
    if cost is None:
        return _NO_COST
    return count(cost.nano_usd), label(cost.source) or None, label(cost.version) or None, cost.estimated


def _properties(said: Mapping[str, str], organization: str, received_at: int) -> list[Values]:
    rows: dict[str, Values] = {}
    for key, value in said.items():
        lower = label(key.lower(), KEY_BYTES) or ""
        if lower in rows or len(rows) == MAX_PROPERTIES:
            continue
        whole = text(value, TEXT_BYTES) or ""
        start = whole if len(whole) <= _SURELY_START else text(whole, VALUE_START_BYTES)
        rows[lower] = organization, received_at, lower, label(key, KEY_BYTES), whole, start
    return list(rows.values())


class _Texts:
    """The texts of a table's rows: where they are, and how long each may be (bytes of UTF-8)."""

    def __init__(self, table: Table) -> None:
        names, places = columns(table), text_places(table)
        self.limits = {place: TEXT_BYTES if names[place] in _LONG else NAME_BYTES for place in places}
        self.of: Callable[[Values], Sequence[Any]] = itemgetter(*places)


_REQUEST_TEXTS, _ATTEMPT_TEXTS = _Texts(REQUEST), _Texts(ATTEMPT)


def _tidy(row: Values, texts: _Texts) -> tuple[Values, str]:
    """``row`` with texts that any database takes, and these together.

    Usually nothing is to be done, which is told of all of them together.
    """
    try:
        together = "\n".join(filter(is_known, texts.of(row)))
    except TypeError:
        together = "\0"
    if len(together) > NAME_BYTES or not together.isascii() or "\0" in together:
        limits = texts.limits
        row = tuple([text(value, limits[place]) if place in limits else value for place, value in enumerate(row)])
        together = "\n".join(filter(is_known, texts.of(row)))
    return row, together
