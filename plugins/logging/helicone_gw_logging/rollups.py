"""Rollups: what requests add to the sums of their hour, of their session and of their user, gathered for a batch.

The same request adds the same, whenever it comes: late ones go to the hour in which they were received, and one that is
changed takes away what it had added and adds what it comes to now.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy.util import await_only

from helicone_gw_logging.columns import picking
from helicone_gw_logging.histograms import METRICS, bucket
from helicone_gw_logging.measures import is_known
from helicone_gw_logging.naming import moved, spans
from helicone_gw_logging.statements import Values, add
from helicone_gw_logging.tables import PROPERTY, REQUEST
from helicone_gw_logging.totals import (
    ALL,
    DIMENSION,
    DIMENSION_DAY,
    EVERY,
    HISTOGRAM,
    HISTOGRAM_DAY,
    NAME_DAY,
    OTHER,
    PROPERTY_KEY,
    ROLLUP,
    ROLLUP_DAY,
    SESSION,
    SUMMARY_SUMS,
    SUMS,
    TOKENS,
    USER,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from helicone_gw_logging.vocabulary import Vocabulary

Fold = Callable[[str, int, str, str, int], str]
"""Organization, hour, dimension, value and how many requests have it -> the value, or `OTHER` where that hour tells no
more apart."""

UNTOLD = frozenset({"helicone-session-id", "helicone-session-path"})
"""Properties without sums of their own: nearly every value is a new one, and sessions are summed up anyway."""

_columns = partial(picking, REQUEST)
_HOUR = _columns("organization_id", "hour")
_SHARED = _columns(
    *("organization_id", "hour", "key_owner", "provider", "model", "request_model", "status", "source"),
    *("user_id", "session_id", "session_name", "prompt_id", "country_code", "key_id"),
    *("outcome", "error_code", "cache_status"),
)
"""What says where a request is added: those that have all of it in common are added together."""
_COUNTED_NAMES = (
    *TOKENS,
    *("usage_estimated", "cost_nano_usd", "saved_nano_usd", "saved_ms", "saved_prompt_tokens"),
    *("saved_completion_tokens", "latency", "time_to_first_token", "threat", "received_at"),
)
_COUNTED = _columns(*_COUNTED_NAMES)
_TOTAL_TOKENS, _COST, _LATENCY, _FIRST = (
    _COUNTED_NAMES.index(name) for name in ("total_tokens", "cost_nano_usd", "latency", "time_to_first_token")
)
_PROPERTY = picking(PROPERTY, "key_lower", "key", "value_start")
_HITS = frozenset({"hit", "joined"})
_SUMMARY = itemgetter(*(SUMS.index(name) for name in SUMMARY_SUMS))
_PREFIX = "property:"
_FEW = 16
"""Requests that are added on the event loop: to hand them to a thread would take longer."""
_AT_ONCE = 64
"""Requests that are added in a thread before the event loop gets its turn: some hundred microseconds."""


class Totals(Struct):
    """Rows for the tables of sums by their primary keys; each is all that was added under that key, one by one."""

    rollups: dict[Values, list[Values]] = {}
    dimensions: dict[Values, list[Values]] = {}
    histograms: dict[Values, int] = {}
    sessions: dict[Values, list[Values]] = {}
    users: dict[Values, list[Values]] = {}
    keys: dict[Values, list[Values]] = {}
    spelled: dict[tuple[str, str], str] = {}

    def add_all(self, changes: Iterable[tuple[Values, Sequence[Values], int]], fold: Fold) -> None:
        """Add requests with their properties: values without ``seq``, and 1, or -1 to take them away again.

        Meant for a thread, if they are many.
        """
        groups: dict[Values, list[Values]] = {}
        for number, (request, properties, sign) in enumerate(changes, 1):
            shared, counted = _SHARED(request), _COUNTED(request)
            _append(groups, (sign, shared), counted)
            if properties:
                self._add_properties(shared, counted, properties, fold, sign)
            if number % _AT_ONCE == 0:
                # Whoever waits for the interpreter gets it now, and not after the five milliseconds that it would take.
                time.sleep(0)
        for (sign, shared), counts in groups.items():
            self._add(shared, [*zip(*counts, strict=True)], len(counts), fold, sign)

    def _add(self, shared: Values, columns: Sequence[Values], number: int, fold: Fold, sign: int) -> None:
        """Add requests that have all of ``shared`` in common, a column of values for each of `_COUNTED`."""
        organization, hour, owner, provider, answered, asked, status, source, *who, outcome, code, _ = shared
        user, session, name, prompt, country, gateway_key = who
        model = fold(organization, hour, "model", answered or asked or "", number)
        provider = fold(organization, hour, "provider", provider or "", number)
        sums = _contribution(shared, columns, number, sign)
        _append(
            self.rollups,
            (organization, hour, owner or "", provider, model, status or 0, bool(sums[_CACHE_HITS]), source),
            sums,
        )
        histograms = self.histograms
        for metric, values in zip(METRICS, (columns[_LATENCY], columns[_FIRST], columns[_TOTAL_TOKENS]), strict=True):
            for index, counted in Counter(map(bucket, filter(is_known, values))).items():
                at = organization, metric, provider, model, hour, index
                histograms[at] = histograms.get(at, 0) + counted * sign
        _append(self.dimensions, (organization, EVERY, hour, ALL), sums)
        for dimension, value in (
            ("error", None if outcome == "ok" else code or outcome),
            ("user", user),
            ("session", name),
            ("prompt", prompt),
            ("country", country),
            ("key", gateway_key),
        ):
            if value:
                value = fold(organization, hour, dimension, value, number)
                _append(self.dimensions, (organization, dimension, hour, value), sums)
        if user or session:
            received = columns[-1]
            summary = min(received), max(received), *_SUMMARY(sums)
            if user:
                _append(self.users, (organization, user), summary)
            if session:
                _append(self.sessions, (organization, session, name or ""), summary)

    def _add_properties(
        self, shared: Values, counted: Values, properties: Iterable[Values], fold: Fold, sign: int
    ) -> None:
        organization, hour = shared[:2]
        received_at = counted[-1]
        sums = _contribution(shared, [(value,) for value in counted], 1, sign)
        for values in properties:
            lower, key, value = _PROPERTY(values)
            if lower in UNTOLD:
                continue
            told = fold(organization, -1, "property", lower, 1)
            if told == lower:
                spelled = self.spelled.setdefault((organization, lower), key)
                _append(self.keys, (organization, lower, spelled), (received_at, received_at, sign))
                value = fold(organization, hour, _PREFIX + lower, value, 1)
            else:
                value = OTHER
            _append(self.dimensions, (organization, _PREFIX + told, hour, value), sums)

    def write(self, connection: Connection) -> None:
        """Add everything to the tables."""
        days: dict[Values, list[Values]] = {}
        hours = _sums(self.rollups)
        for organization, hour, owner, provider, model, status, hit, source, *sums in hours:
            _append(days, (organization, hour // 24, owner, provider, model, status, hit, source), tuple(sums))
        add(connection, ROLLUP, hours)
        add(connection, ROLLUP_DAY, _sums(days))
        days = {}
        hours = _sums(self.dimensions)
        for organization, dimension, hour, value, *sums in hours:
            _append(days, (organization, dimension, hour // 24, value), tuple(sums))
        add(connection, DIMENSION, hours)
        add(connection, DIMENSION_DAY, _sums(days))
        by_hour, by_day = self._counts()
        add(connection, HISTOGRAM, by_hour)
        add(connection, HISTOGRAM_DAY, by_day)
        sessions = spans(self.sessions)
        add(connection, NAME_DAY, moved(connection, sessions))
        add(connection, SESSION, sessions)
        add(connection, USER, spans(self.users))
        add(connection, PROPERTY_KEY, spans(self.keys))

    def _counts(self) -> tuple[list[Values], list[Values]]:
        """The rows of the histograms by the hour and by the day, those for all providers and models among them."""
        hours: dict[Values, int] = dict(self.histograms)
        days: dict[Values, int] = {}
        for (organization, metric, provider, model, hour, index), number in self.histograms.items():
            day = hour // 24
            all_day = organization, metric, ALL, ALL, day, index
            all_hour = organization, metric, ALL, ALL, hour, index
            of_day = organization, metric, provider, model, day, index
            hours[all_hour] = hours.get(all_hour, 0) + number
            days[all_day] = days.get(all_day, 0) + number
            days[of_day] = days.get(of_day, 0) + number
        by_hour = [(*key, number) for key, number in hours.items() if number]
        return by_hour, [(*key, number) for key, number in days.items() if number]


def gather(
    connection: Connection, vocabulary: Vocabulary, changes: Sequence[tuple[Values, Sequence[Values], int]]
) -> Totals:
    """What ``changes`` come to: each a request, its properties, and 1 to add it or -1 to take it away."""
    vocabulary.expect(connection, {_HOUR(request) for request, _, _ in changes})
    while True:
        folded, totals = vocabulary.folded, Totals()
        if connection.dialect.is_async and len(changes) > _FEW:
            await_only(asyncio.to_thread(totals.add_all, changes, vocabulary.fold))
        else:
            totals.add_all(changes, vocabulary.fold)
        if vocabulary.complete(connection):
            return totals
        vocabulary.folded = folded


def _contribution(shared: Values, columns: Sequence[Values], number: int, sign: int) -> Values:
    """What ``number`` requests add to each of `totals.SUMS`; ``columns`` are their values of `_COUNTED`."""
    outcome, _, cache = shared[-3:]
    status = shared[6]
    # What is not known adds nothing.
    sums = [sum(filter(None, column)) for column in columns]
    total_known, cost_known, latency_known, first_known = [
        number - columns[place].count(None) for place in (_TOTAL_TOKENS, _COST, _LATENCY, _FIRST)
    ]
    estimated, cost, saved, saved_ms, saved_in, saved_out, latency, first, threats = sums[len(TOKENS) : -1]
    added = (
        number,
        0 if outcome == "ok" else number,
        *sums[: len(TOKENS)],
        number - total_known,
        estimated,
        cost,
        number - cost_known,
        number if cache in _HITS else 0,
        saved,
        saved_ms,
        saved_in,
        saved_out,
        latency,
        latency_known,
        first,
        first_known,
        threats,
        number if status == 429 and outcome == "refused" else 0,
    )
    return added if sign > 0 else tuple([-value for value in added])


_CACHE_HITS = SUMS.index("cache_hits")


def _append(rows: dict[Values, list[Values]], key: Values, row: Values) -> None:
    found = rows.get(key)
    if found is None:
        rows[key] = [row]
    else:
        found.append(row)


def _sums(rows: dict[Values, list[Values]]) -> list[Values]:
    """One row a key: the key and the sums. What comes to nothing is left out."""
    summed = [
        (key, added[0] if len(added) == 1 else tuple(map(sum, zip(*added, strict=True)))) for key, added in rows.items()
    ]
    return [(*key, *sums) for key, sums in summed if any(sums)]
