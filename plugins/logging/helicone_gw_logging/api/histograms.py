"""Histograms over HTTP: how numbers are distributed, in the form that Helicone's clients read."""

from __future__ import annotations

from msgspec import Struct

from helicone_gw_logging.query.spread import Spread


class HistogramRow(Struct, frozen=True, kw_only=True):
    """How many have a number from ``range_start`` to ``range_end``."""

    range_start: str
    range_end: str
    value: int


class AverageRow(Struct, frozen=True, kw_only=True):
    """The average of what is in a histogram."""

    average: float


def histogram(spread: Spread) -> list[HistogramRow]:
    """A spread as Helicone's clients read it."""
    return [
        HistogramRow(range_start=f"{step.start:.9g}", range_end=f"{step.end:.9g}", value=step.count)
        for step in spread.steps
    ]


def average(spread: Spread) -> list[AverageRow]:
    """The average, none where there is no number."""
    return [] if spread.average is None else [AverageRow(average=spread.average)]
