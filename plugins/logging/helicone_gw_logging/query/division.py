"""Division: a time as whole days, whole hours and the rest, and the buckets in which what is read of them counts.

A day of UTC in which another zone's day begins lies in two buckets. It is read as a whole and counted in the bucket
that has more of it; the hours of the other part are read, too, counted where they belong, and taken away there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import CTE, BigInteger, ColumnElement, Select, and_, column, values

from helicone_gw_logging.measures import DAY_MS, HOUR_MS
from helicone_gw_logging.query.cuts import Range, between, merged, whole
from helicone_gw_logging.query.spans import Span

FEW: Final = 3
"""Pieces of time that are asked for one by one; more are asked for with one statement."""


MAX_LENT: Final = 400
"""Days that may lie in two buckets; where there are more, hours are read: a statement has to end somewhere."""
UNITS: Final = 100
"""Days or hours that are named one by one where that leads to rows through an index."""
MAX_UNITS: Final = 2000
"""Days or hours that are named one by one where they are not in one piece: databases know what that leads to, and
nothing of how many rows are between two columns of another table."""


BESIDE: Final = -1
"""Stands for the length of units that lie beside the span: they count in the bucket that they would be in."""

Part = tuple[int, int, Range]
"""A bucket, whether it adds (1) or takes away (-1), and what is in it."""


class Division(Struct, frozen=True):
    """``ranges`` are numbers of units, for each level, ``rest`` epoch milliseconds.

    ``homes`` says in which bucket a day is counted that lies in two, ``lent`` which pieces (from, to) are to be taken
    away from which bucket. ``less`` is what lies beside the span in a longer unit at its end: numbers of units for each
    level, and then epoch milliseconds, that are to be taken away.
    """

    cuts: Sequence[int]
    ranges: tuple[list[Range], ...]
    rest: list[Range]
    homes: dict[int, int]
    lent: list[tuple[int, int, int]]
    less: tuple[list[Range], ...] = ()

    def places(self, length: int = 0) -> Callable[[int], tuple[tuple[int, int], ...]]:
        """Where what was read counts, by its instant: in which buckets, and whether it adds (1) or takes away (-1).

        ``length`` is that of the units of its level; 0 of what is of the rest, `BESIDE` of what is to be taken away.
        """
        known: dict[int, tuple[tuple[int, int], ...]] = {}

        def find(at: int) -> tuple[tuple[int, int], ...]:
            found = known.get(at)
            if found is None:
                found = known[at] = tuple(self._places(int(at), length))
            return found

        return find

    def parts(self, level: int | None, length: int = 1) -> list[Part]:
        """The ranges of a level (``None``: the rest) in pieces, each with the bucket in which it counts."""
        ranges, places = (
            self.rest if level is None else self.ranges[level],
            self.places(length if level is not None else 0),
        )
        ends = {end for _, end, _ in self.lent} | {day + DAY_MS for day in self.homes}
        marks = sorted({*self.cuts, *self.homes, *(start for start, _, _ in self.lent), *ends})
        found: list[Part] = []
        for first, last in ranges:
            inner = [mark // length for mark in marks if first * length < mark < last * length and mark % length == 0]
            for start, end in pairwise([first, *inner, last]):
                found += [(bucket, sign, (start, end)) for bucket, sign in places(start * length)]
        if self.less:
            less = self.less[-1 if level is None else level]
            places = self.places(BESIDE)
            for first, last in less:
                inner = [mark // length for mark in marks if first * length < mark < last * length]
                for start, end in pairwise([first, *inner, last]):
                    found += [(bucket, -sign, (start, end)) for bucket, sign in places(start * length)]
        return found

    def _places(self, at: int, length: int) -> Iterator[tuple[int, int]]:
        if len(self.cuts) <= 1:
            yield 0, 1
            return
        if length == DAY_MS and at in self.homes:
            yield self.homes[at], 1
            return
        yield max(0, bisect_right(self.cuts, at) - 1), 1
        if length not in (DAY_MS, BESIDE) and self.lent:
            found = bisect_right(self.lent, at, key=_start) - 1
            if found >= 0 and at < self.lent[found][1]:
                yield self.lent[found][2], -1


def divided(span: Span, cuts: Sequence[int], lengths: Sequence[int], *, beyond: bool = False) -> Division:
    """``span`` by units of these lengths, longest first, each a whole number of the next.

    ``beyond``: a day or an hour of which most is in the span is read as a whole, and what is beside the span taken
    away. Sums by the day, by the hour and rows must then tell apart the same values.
    """
    outer = span
    if beyond and [*lengths] == [DAY_MS, HOUR_MS]:
        longest = DAY_MS if span.end - span.start > DAY_MS else HOUR_MS
        outer = Span(_nearest(span.start, cuts, longest), _nearest(span.end, cuts, longest))
    # The first bucket has no beginning here: the span may have been extended beyond it.
    pieces, homes, lent = between(outer, cuts[1:]), dict[int, int](), list[tuple[int, int, int]]()
    every: list[list[Range]] = []
    for length in lengths:
        if length == DAY_MS and len(pieces) > 1:
            ranges, pieces = _days(outer, pieces, cuts, homes, lent)
        else:
            ranges, pieces = whole(pieces, length)
        every.append(ranges)
    rest, less = merged(pieces), [list[Range]() for _ in (*lengths, 0)]
    for adds, hours, some in _corrections(span, outer, cuts):
        if adds and hours:
            every[-1] = _touching([*every[-1], some])
        elif adds:
            rest = sorted([*rest, some])
        else:
            less[-2 if hours else -1].append(some)
    return Division(cuts, tuple(every), rest, homes, lent, tuple(less))


def _nearest(at: int, cuts: Sequence[int], longest: int) -> int:
    """The beginning of a day or of an hour that is nearest to ``at``: of one that can be read as a whole."""
    for length in (DAY_MS, HOUR_MS) if longest == DAY_MS else (HOUR_MS,):
        begins = at // length * length
        inner = [cut for cut in cuts[1:] if begins < cut < begins + length]
        # Where one bucket ends in a day, and that on the hour, hours tell what of the day is whose.
        if not inner or (len(inner) == 1 and inner[0] % HOUR_MS == 0):
            return begins if 2 * (at - begins) < length else begins + length
    return at


def _corrections(span: Span, outer: Span, cuts: Sequence[int]) -> Iterator[tuple[bool, bool, Range]]:
    """What makes ``outer`` the ``span``: whether it is to be added, whether it is hours (else milliseconds), which."""
    ends = (span.start, outer.start, span.start < outer.start), (span.end, outer.end, outer.end < span.end)
    for at, pivot, adds in ends:
        if at == pivot:
            continue
        hour = _nearest(at, cuts, HOUR_MS)
        if hour % HOUR_MS:
            hour = at // HOUR_MS * HOUR_MS if pivot < at else -(-at // HOUR_MS) * HOUR_MS
        if hour != pivot:
            yield adds, True, (min(pivot, hour) // HOUR_MS, max(pivot, hour) // HOUR_MS)
        if hour != at:
            # An hour on the other side was counted, too, and does not belong there.
            inside = min(pivot, at) <= hour <= max(pivot, at)
            yield adds == inside, False, (min(hour, at), max(hour, at))


def _days(
    span: Span,
    pieces: Sequence[Span],
    cuts: Sequence[int],
    homes: dict[int, int],
    lent: list[tuple[int, int, int]],
) -> tuple[list[Range], list[Span]]:
    """`cuts.whole` for days, those among them that lie in exactly two buckets."""
    cut_days: dict[int, list[int]] = {}
    for piece in pieces[1:]:
        if piece.start % DAY_MS:
            cut_days.setdefault(piece.start // DAY_MS, []).append(piece.start)
    if len(cut_days) > MAX_LENT:
        return whole(pieces, DAY_MS)
    for day, there in cut_days.items():
        begins, ends = day * DAY_MS, (day + 1) * DAY_MS
        if len(there) > 1 or begins < span.start or ends > span.end:
            continue
        before = max(0, bisect_right(cuts, there[0]) - 2)
        if there[0] - begins < ends - there[0]:
            homes[begins] = before + 1
            lent.append((begins, there[0], before + 1))
        else:
            homes[begins] = before
            lent.append((there[0], ends, before))
    lent.sort()
    found: list[Range] = []
    rest: list[Span] = []
    for piece in pieces:
        start, end = piece.start, piece.end
        first, last = start // DAY_MS, (end - 1) // DAY_MS
        edges = {first * DAY_MS, last * DAY_MS} & homes.keys()
        start = (first + 1) * DAY_MS if first * DAY_MS in edges and start % DAY_MS else start
        end = last * DAY_MS if last * DAY_MS in edges and end % DAY_MS else end
        ranges, beside = whole([Span(start, max(start, end))], DAY_MS)
        found += ranges
        rest += [one for one in beside if one.start < one.end]
    found += [(begins // DAY_MS, begins // DAY_MS + 1) for begins in homes]
    rest += [Span(start, end) for start, end, _ in lent]
    return _touching(found), sorted(rest, key=lambda one: one.start)


def _touching(ranges: Sequence[Range]) -> list[Range]:
    found: list[Range] = []
    for first, last in sorted(ranges):
        if found and found[-1][1] == first:
            found[-1] = found[-1][0], last
        else:
            found.append((first, last))
    return found


def _start(lent: tuple[int, int, int]) -> int:
    return lent[0]


def within(
    query: Select[Any], time: ColumnElement[int], ranges: Sequence[Range], *, singly: bool = False
) -> Iterator[Select[Any]]:
    """``query`` where ``time`` is in ``ranges``: as it takes databases least to find them.

    ``singly``: each of few units together with something else leads to rows through an index.
    """
    number = sum(last - first for first, last in ranges)
    if (singly and 0 < number <= UNITS) or (len(ranges) > FEW and number <= MAX_UNITS):
        yield query.where(time.in_([unit for first, last in ranges for unit in range(first, last)]))
    elif len(ranges) <= FEW:
        for first, last in ranges:
            yield query.where(time >= first, time < last)
    else:
        yield query.where(table([(0, 1, one) for one in ranges], time)[1])


def table(parts: Sequence[Part], time: ColumnElement[int]) -> tuple[CTE, ColumnElement[bool]]:
    """Parts as a table with ``number`` (of the bucket) and ``sign``, and the condition that joins it to ``time``."""
    units = _units(parts)
    if units:
        names = [column(name, BigInteger) for name in ("number", "sign", "unit")]
        pieces = values(*names, name="pieces", literal_binds=True).data(units).cte()
        return pieces, time == pieces.c.unit
    names = [column(name, BigInteger) for name in ("number", "sign", "first", "last")]
    rows = [(number, sign, first, last) for number, sign, (first, last) in parts]
    pieces = values(*names, name="pieces", literal_binds=True).data(rows).cte()
    # The outermost bounds are for who plans: what is between two columns is not known beforehand.
    least, greatest = min(first for _, _, (first, _) in parts), max(last for _, _, (_, last) in parts)
    return pieces, and_(time >= pieces.c.first, time < pieces.c.last, time >= least, time < greatest)


def counts_in(parts: Sequence[Part]) -> dict[int, list[tuple[int, int]]] | None:
    """The buckets in which each day or hour of ``parts`` counts, and whether it adds or takes away; ``None`` where it
    is one part, or they are too many to be named."""
    units = _units(parts) if len(parts) > 1 else []
    found: dict[int, list[tuple[int, int]]] = {}
    for number, sign, unit in units:
        found.setdefault(unit, []).append((number, sign))
    return found or None


def _units(parts: Sequence[Part]) -> list[tuple[int, int, int]]:
    """Each day or hour of ``parts``, unless they are too many."""
    if sum(last - first for _, _, (first, last) in parts) > MAX_UNITS:
        return []
    return [(number, sign, unit) for number, sign, (first, last) in parts for unit in range(first, last)]
