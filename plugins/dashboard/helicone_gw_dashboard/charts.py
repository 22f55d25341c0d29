"""Charts: what the script of the charts is given, as JSON: times, and a line or bars for each series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from helicone_gw_dashboard.formatting import instant

Chart = dict[str, Any]


def chart(times: Sequence[Any], bucket: int, unit: str, *lanes: Mapping[str, Any]) -> Chart:
    """A chart over ``times`` (ISO 8601), each the beginning of a bucket of ``bucket`` milliseconds.

    ``unit`` is count, money or duration (milliseconds). A lane has ``name``, ``values``, ``look`` (bars, line, before:
    a thin line for the previous period) and ``colour``, a number. ``known`` says whether there is anything to be drawn,
    ``unknown`` whether a value is not known, which is drawn as a gap.
    """
    x = [round(at.timestamp()) if (at := instant(time)) else 0 for time in times]
    values = [value for lane in lanes if lane["look"] != "before" for value in lane["values"]]
    known, unknown = any(values), None in values
    return {"x": x, "bucket": bucket, "unit": unit, "lanes": list(lanes), "known": known, "unknown": unknown}


def lane(name: str, values: Sequence[float | None], look: str = "line", colour: int = 0) -> dict[str, Any]:
    """One series of a chart."""
    return {"name": name, "values": list(values), "look": look, "colour": colour}


def of_series(series: Mapping[str, Any], bucket: int) -> dict[str, Chart]:
    """The charts of what requests come to over time (``/v1/metrics/series/query``), by name."""
    now = series["buckets"]
    earlier = ((series.get("previous") or {}).get("buckets") or [])[: len(now)]
    times = [each["at"] for each in now]

    def of(name: str) -> list[float | None]:
        return [each[name] for each in now]

    def before(name: str) -> dict[str, Any]:
        values = [each[name] for each in earlier]
        return lane("previous period", [*values, *[None] * (len(now) - len(values))], "before")

    def made(unit: str, *lanes: Mapping[str, Any]) -> Chart:
        return chart(times, bucket, unit, *lanes)

    requests, errors = lane("requests", of("requests"), "bars", 0), lane("errors", of("errors"), "bars", 1)
    every, output = lane("all", of("total_tokens"), "bars", 0), lane("output", of("completion_tokens"), "bars", 3)
    return {
        "requests": made("count", requests, errors, before("requests")),
        "cost": made("money", lane("cost", of("cost"), "bars", 2), before("cost")),
        "tokens": made("count", every, output),
        "cache": made("count", lane("hits", of("cache_hits"), "bars", 2), before("cache_hits")),
    }


def of_percentiles(found: Mapping[str, Any], bucket: int) -> Chart:
    """The chart of percentiles over time (``/v1/metrics/percentiles/query``)."""
    buckets = found["buckets"] or []
    colours = ((0, "p50"), (3, "p95"), (1, "p99"))
    lanes = [lane(share, [each["values"][share] for each in buckets], "line", colour) for colour, share in colours]
    return chart([each["at"] for each in buckets], bucket, "duration", *lanes)
