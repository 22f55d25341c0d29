"""Naming: what the sessions of a batch change in the sums of their names, and in hours of which it is noted.

A session counts on the day when it was last heard of. One that is heard of again is taken away there, with all that it
came to, and added where it belongs now: how many sessions a name has since some day is then a sum over days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from helicone_gw_logging.columns import columns
from helicone_gw_logging.leaving import tell, told_before
from helicone_gw_logging.measures import DAY_MS, HOUR_MS
from helicone_gw_logging.statements import Values
from helicone_gw_logging.totals import NAME_SUMS, SESSION

if TYPE_CHECKING:
    from sqlalchemy import Connection

_CHUNK: Final = 500
_NAMES: Final = columns(SESSION)
_KEY: Final = 3
_FIRST, _LAST = _NAMES.index("first_at"), _NAMES.index("last_at")
_SUMMED: Final = [_NAMES.index(name) for name in NAME_SUMS[1:]]


def moved(connection: Connection, sessions: Sequence[Values]) -> list[Values]:
    """What `totals.NAME_DAY` must have added when ``sessions``, rows of `totals.SESSION`, will have been.

    Belongs into their transaction, before they are. What changes in hours that are noted is told.
    """
    if not sessions:
        return []
    changed: dict[Values, list[Values]] = defaultdict(list)
    told: list[Values] = []
    known, bound = _known(connection, sessions), told_before(connection) * HOUR_MS
    for row in sessions:
        organization, name = row[0], row[2]
        there = known.get(row[:_KEY])
        first, last, sums = row[_FIRST], row[_LAST], [row[at] for at in _SUMMED]
        if there is not None:
            was_first, was_last, *had = there
            away = was_first, was_last, -1, *[-n for n in had]
            changed[organization, was_last // DAY_MS, name].append(away)
            if was_last < bound:
                told.append((organization, was_last // HOUR_MS, name, *away))
            first, last = min(first, was_first), max(last, was_last)
            sums = [now + before for now, before in zip(sums, had, strict=True)]
        changed[organization, last // DAY_MS, name].append((first, last, 1, *sums))
        if last < bound:
            told.append((organization, last // HOUR_MS, name, first, last, 1, *sums))
    tell(connection, told)
    return spans(changed)


def spans(rows: Mapping[Values, Sequence[Values]]) -> list[Values]:
    """One row a key: the key, the first and the last time, and the sums of what follows these."""
    made = []
    for key, added in rows.items():
        firsts, lasts, *sums = zip(*added, strict=True)
        made.append((*key, min(firsts), max(lasts), *map(sum, sums)))
    return made


def _known(connection: Connection, sessions: Sequence[Values]) -> dict[Values, Values]:
    """What the database has of them already: their times and sums, by key."""
    own: dict[str, set[str]] = defaultdict(set)
    for row in sessions:
        own[row[0]].add(row[1])
    found: dict[Values, Values] = {}
    told = [SESSION.c[_NAMES[at]] for at in (0, 1, 2, _FIRST, _LAST, *_SUMMED)]
    for organization, ids in own.items():
        wanted = sorted(ids)
        for start in range(0, len(wanted), _CHUNK):
            some = SESSION.c.session_id.in_(wanted[start : start + _CHUNK])
            query = select(*told).where(SESSION.c.organization_id == organization, some)
            for row in connection.execute(query):
                found[tuple(row[:_KEY])] = tuple(row[_KEY:])
    return found
