"""Rollups: what requests add to the sums of their hour, of their session and of their user, gathered for a batch.

The same request adds the same, whenever it comes: late ones go to the hour in which they were received, and one that is
changed takes away what it had added and adds what it comes to now.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy.util import await_only

from helicone_gw_logging.columns import picking
from helicone_gw_logging.histograms import METRICS, bucket
from helicone_gw_logging.measures import is_known
from helicone_gw_logging.statements import Values, add
from helicone_gw_logging.tables import PROPERTY, REQUEST
from helicone_gw_logging.totals import (
    ALL,
    DIMENSION,
    DIMENSION_DAY,
    EVERY,
    HISTOGRAM,
    HISTOGRAM_DAY,
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

Fold = Callable[[str, int, str, str], str]
"""Organization, hour, dimension and value -> the value, or `OTHER` where that hour tells no more apart."""

UNTOLD = frozenset({"helicone-session-id", "helicone-session-path"})
"""Properties without sums of their own: nearly every value is a new one, and sessions are summed up anyway."""

_columns = partial(picking, REQUEST)
_KEY = _columns("organization_id", "hour", "key_owner", "provider", "model", "request_model", "status", "source")
_HOUR = _columns("organization_id", "hour")
_SUMMED = _columns(
    *TOKENS,
    "usage_estimated",
    "cost_nano_usd",
    "saved_nano_usd",
    "saved_ms",
    "saved_prompt_tokens",
    "saved_completion_tokens",
    "latency",
    "time_to_first_token",
    "threat",
)
_NUMBERS: dict[int | None, int] = {None: 0, 0: 0, 1: 1}
"""What is added for what is not known, and for what is true or false; all other values are numbers themselves."""
_KNOWN = _columns("total_tokens", "cost_nano_usd", "latency", "time_to_first_token")
_ENDED = _columns("outcome", "status", "cache_status")
_FAILURE = _columns("outcome", "error_code")
_IN_BUCKETS = _columns("latency", "time_to_first_token", "total_tokens")
_WHO = _columns("received_at", "user_id", "session_id", "session_name", "prompt_id", "country_code", "key_id")
_PROPERTY = picking(PROPERTY, "key_lower", "key", "value_start")
_HITS = frozenset({"hit", "joined"})
_SUMMARY = itemgetter(*(SUMS.index(name) for name in SUMMARY_SUMS))
_PREFIX = "property:"
_FEW = 16
"""Requests that are added on the event loop: to hand them to a thread would take longer."""
_AT_ONCE = 16
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
        """Add requests with their properties, each with its sign. Meant for a thread, if they are many."""
        for number, (request, properties, sign) in enumerate(changes, 1):
            self.add(request, properties, fold, sign)
            if number % _AT_ONCE == 0:
                # Whoever waits for the interpreter gets it now, and not after the five milliseconds that it would take.
                time.sleep(0)

    def add(self, request: Values, properties: Iterable[Values], fold: Fold, sign: int = 1) -> None:
        """Add a request: its values and those of its properties, without ``seq``. ``sign`` -1 takes it away again."""
        organization, hour, owner, provider, answered, asked, status, source = _KEY(request)
        received_at, user, session, name, prompt, country, gateway_key = _WHO(request)
        model = fold(organization, hour, "model", answered or asked or "")
        provider = fold(organization, hour, "provider", provider or "")
        sums = contribution(request)
        hit = bool(sums[_CACHE_HITS])
        if sign < 0:
            sums = tuple([-number for number in sums])
        _append(self.rollups, (organization, hour, owner or "", provider, model, status or 0, hit, source), sums)
        for metric, number in zip(METRICS, _IN_BUCKETS(request), strict=True):
            if number is not None:
                at = organization, metric, provider, model, hour, bucket(number)
                self.histograms[at] = self.histograms.get(at, 0) + sign
        _append(self.dimensions, (organization, EVERY, hour, ALL), sums)
        outcome, code = _FAILURE(request)
        for dimension, value in (
            ("error", None if outcome == "ok" else code or outcome),
            ("user", user),
            ("session", name),
            ("prompt", prompt),
            ("country", country),
            ("key", gateway_key),
        ):
            if value:
                value = fold(organization, hour, dimension, value)
                _append(self.dimensions, (organization, dimension, hour, value), sums)
        for values in properties:
            lower, key, value = _PROPERTY(values)
            if lower in UNTOLD:
                continue
            told = fold(organization, -1, "property", lower)
            if told == lower:
                spelled = self.spelled.setdefault((organization, lower), key)
                _append(self.keys, (organization, lower, spelled), (received_at, received_at, sign))
                value = fold(organization, hour, _PREFIX + lower, value)
            else:
                value = OTHER
            _append(self.dimensions, (organization, _PREFIX + told, hour, value), sums)
        if user or session:
            summary = received_at, received_at, *_SUMMARY(sums)
            if user:
                _append(self.users, (organization, user), summary)
            if session:
                _append(self.sessions, (organization, session, name or ""), summary)

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
        add(connection, SESSION, _spans(self.sessions))
        add(connection, USER, _spans(self.users))
        add(connection, PROPERTY_KEY, _spans(self.keys))

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


def contribution(request: Values) -> Values:
    """What a request adds to each of `totals.SUMS`."""
    values = _SUMMED(request)
    *tokens, estimated, cost, saved, saved_ms, saved_in, saved_out, latency, first, threat = map(
        _NUMBERS.get, values, values
    )
    total_known, cost_known, latency_known, first_known = map(is_known, _KNOWN(request))
    outcome, status, cache = _ENDED(request)
    return (
        1,
        0 if outcome == "ok" else 1,
        *tokens,
        0 if total_known else 1,
        estimated,
        cost,
        0 if cost_known else 1,
        1 if cache in _HITS else 0,
        saved,
        saved_ms,
        saved_in,
        saved_out,
        latency,
        1 if latency_known else 0,
        first,
        1 if first_known else 0,
        threat,
        1 if status == 429 and outcome == "refused" else 0,
    )


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


def _spans(rows: dict[Values, list[Values]]) -> list[Values]:
    """One row a key: the key, the first and the last time, and the sums of what follows these."""
    spans = []
    for key, added in rows.items():
        firsts, lasts, *sums = zip(*added, strict=True)
        spans.append((*key, min(firsts), max(lasts), *map(sum, sums)))
    return spans
