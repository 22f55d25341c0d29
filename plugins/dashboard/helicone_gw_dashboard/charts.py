"""Charts: what the script of the charts is given, as JSON: times, and a line or bars for each series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from helicone_gw_dashboard.formatting import instant
from helicone_gw_dashboard.view import Panel

Chart = dict[str, Any]


def chart(times: Sequence[Any], bucket: int, unit: str, *lanes: Mapping[str, Any]) -> Chart:
    """A chart over ``times`` (ISO 8601), each the beginning of a bucket of ``bucket`` milliseconds.

    ``unit`` is count, money or duration (milliseconds). A lane has ``name``, ``values``, ``look`` (bars, line, before:
    a thin line for the time before) and ``colour``, a number. ``known`` says whether there is anything to be drawn.
    """
    x = [round(at.timestamp()) if (at := instant(time)) else 0 for time in times]
    known = any(value for lane in lanes for value in lane["values"] if lane["look"] != "before")
    return {"x": x, "bucket": bucket, "unit": unit, "lanes": list(lanes), "known": known}


def lane(name: str, values: Sequence[float | None], look: str = "line", colour: int = 0) -> dict[str, Any]:
    """One series of a chart."""
    return {"name": name, "values": list(values), "look": look, "colour": colour}


def overview(panels: Mapping[str, Panel], bucket: int) -> dict[str, Chart]:
    """The charts of the overview, by name; those without data are left out."""
    made: dict[str, Chart] = {}
    series = panels["series"].data
    if series is not None:
        now = series["buckets"]
        before = (series.get("previous") or {}).get("buckets") or []
        times = [each["at"] for each in now]

        def of(name: str) -> list[float | None]:
            return [each[name] for each in now]

        def earlier(name: str) -> list[float | None]:
            values: list[float | None] = [each[name] for each in before][: len(now)]
            return values + [None] * (len(now) - len(values))

        made["requests"] = chart(
            times,
            bucket,
            "count",
            lane("requests", of("requests"), "bars", 0),
            lane("errors", of("errors"), "bars", 1),
            lane("the time before", earlier("requests"), "before"),
        )
        made["cost"] = chart(
            times,
            bucket,
            "money",
            lane("cost", of("cost"), "bars", 2),
            lane("the time before", earlier("cost"), "before"),
        )
        made["tokens"] = chart(
            times,
            bucket,
            "count",
            lane("all tokens", of("total_tokens"), "bars", 0),
            lane("of them output", of("completion_tokens"), "bars", 3),
        )
        made["cache"] = chart(
            times,
            bucket,
            "count",
            lane("hits", of("cache_hits"), "bars", 2),
            lane("the time before", earlier("cache_hits"), "before"),
        )
    for name in ("latency", "first"):
        found = panels[name].data
        if found is not None and found["buckets"]:
            made[name] = chart(
                [each["at"] for each in found["buckets"]],
                bucket,
                "duration",
                *(
                    lane(share, [each["values"][share] for each in found["buckets"]], "line", colour)
                    for colour, share in ((0, "p50"), (3, "p95"), (1, "p99"))
                ),
            )
    return made
