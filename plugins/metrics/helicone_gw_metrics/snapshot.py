"""Snapshot: all figures of one worker at one moment, and the sum of several."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import TYPE_CHECKING

import msgspec

from helicone_gw_metrics.tally import AttemptKey, AttemptRow, ErrorKey, ExchangeKey, ExchangeRow, Tally

if TYPE_CHECKING:
    from helicone_gw import Measurement

FigureKey = tuple[str, str, tuple[tuple[str, str], ...]]
"""Name, kind ("counter" or "gauge") and labels of a measurement."""


class Snapshot(msgspec.Struct):
    """The figures of one worker, or of several together.

    ``latency`` and ``first_token`` are the bounds of the buckets, in seconds. ``pid`` is the worker's process; 0 for a
    sum. ``final``: nothing will be added to it. ``absorbed`` names the snapshots that a sum of the dead contains.
    """

    latency: tuple[float, ...]
    first_token: tuple[float, ...]
    exchanges: list[tuple[ExchangeKey, ExchangeRow]] = []
    attempts: list[tuple[AttemptKey, AttemptRow]] = []
    errors: list[tuple[ErrorKey, int]] = []
    figures: list[tuple[FigureKey, str, float]] = []
    pid: int = 0
    final: bool = False
    absorbed: list[str] = []

    def without_gauges(self) -> Snapshot:
        """What is left of a worker that is gone."""
        left = [figure for figure in self.figures if figure[0][1] == "counter"]
        return msgspec.structs.replace(self, figures=left)


def snapshot(tally: Tally, figures: Iterable[Measurement], *, pid: int, final: bool = False) -> Snapshot:
    """The figures of this worker. It shares rows with ``tally``: encode it before that counts on."""
    return Snapshot(
        tally.latency,
        tally.first_token,
        list(tally.exchanges.items()),
        list(tally.attempts.items()),
        list(tally.errors.items()),
        [_figure(one) for one in figures if _usable(one)],
        pid,
        final,
    )


def merged(snapshots: Iterable[Snapshot], latency: Sequence[float], first_token: Sequence[float]) -> Snapshot:
    """The sum of ``snapshots``, with these bounds of buckets.

    Gauges are added, too, since each is of another process; of those in seconds the largest counts.
    """
    exchanges: dict[ExchangeKey, ExchangeRow] = {}
    attempts: dict[AttemptKey, AttemptRow] = {}
    errors: dict[ErrorKey, int] = {}
    figures: dict[FigureKey, tuple[str, float]] = {}
    for one in snapshots:
        for key, row in one.exchanges:
            row.latency = rebucketed(row.latency, one.latency, latency)
            row.first_token = rebucketed(row.first_token, one.first_token, first_token)
            held = exchanges.setdefault(key, row)
            if held is not row:
                _add(held, row)
        for called, sums in one.attempts:
            total = attempts.setdefault(called, sums)
            if total is not sums:
                total.count += sums.count
                total.seconds += sums.seconds
        for failure, count in one.errors:
            errors[failure] = errors.get(failure, 0) + count
        for figure, documentation, value in one.figures:
            before = figures.get(figure, (documentation, 0.0))[1]
            largest = figure[1] == "gauge" and figure[0].endswith("_seconds")
            figures[figure] = documentation, max(before, value) if largest else before + value
    return Snapshot(
        tuple(latency),
        tuple(first_token),
        list(exchanges.items()),
        list(attempts.items()),
        list(errors.items()),
        [(figure, *rest) for figure, rest in figures.items()],
    )


def rebucketed(counts: list[int], old: Sequence[float], new: Sequence[float]) -> list[int]:
    """``counts`` of buckets with the upper bounds ``old``, in buckets with the bounds ``new`` (after a reload).

    What was known to be at most so long still is at most that: it goes to the first bucket whose bound is no lower.
    """
    if tuple(old) == tuple(new):
        return counts
    moved = [0] * (len(new) + 1)
    for at, count in enumerate(counts):
        moved[len(new) if at >= len(old) else bisect_left(new, old[at])] += count
    return moved


def _usable(figure: Measurement) -> bool:
    """Whether ``figure`` is what its type says: a plugin's mistake must not cost all others their page."""
    texts = (figure.name, figure.help, *figure.labels, *figure.labels.values())
    return type(figure.value) in (int, float) and isfinite(figure.value) and all(isinstance(t, str) for t in texts)


def _figure(figure: Measurement) -> tuple[FigureKey, str, float]:
    labels = tuple((name, _text(value)) for name, value in figure.labels.items())
    return (_text(figure.name), figure.kind, labels), _text(figure.help), figure.value


def _text(value: str) -> str:
    # A lone surrogate cannot be written as UTF-8.
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _add(held: ExchangeRow, row: ExchangeRow) -> None:
    for name in held.__struct_fields__:
        mine, theirs = getattr(held, name), getattr(row, name)
        both = [a + b for a, b in zip(mine, theirs, strict=True)] if isinstance(mine, list) else mine + theirs
        setattr(held, name, both)
