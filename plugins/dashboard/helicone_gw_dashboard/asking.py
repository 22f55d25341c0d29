"""Asking: what the REST API is asked about the requests of a lens, as several pages ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from helicone_gw_dashboard.formatting import iso
from helicone_gw_dashboard.lens import DAY, HOUR, MINUTE, Lens

if TYPE_CHECKING:
    from helicone_gw_dashboard.view import View

SERIES: Final = "/v1/metrics/series/query"
PERCENTILES: Final = "/v1/metrics/percentiles/query"
TOP: Final = "/v1/metrics/top/query"
SQL: Final = "/v1/helicone-sql/execute"

_INCREMENTS: Final = ((3 * HOUR, "min", MINUTE), (8 * DAY, "hour", HOUR), (120 * DAY, "day", DAY))
"""Times up to so long are drawn in buckets of this length."""


def increment(lens: Lens) -> tuple[str, int]:
    """The name and the length (milliseconds) of the buckets in which the lens's time is drawn."""
    length = lens.end - lens.start
    for longest, name, each in _INCREMENTS:
        if length <= longest:
            return name, each
    return ("week", 7 * DAY) if length <= 800 * DAY else ("month", 30 * DAY)


def asked(lens: Lens) -> dict[str, Any]:
    """The time and the filters of the lens, as queries about many requests take them."""
    return {**_time(lens.start, lens.until), "userFilter": list(lens.filters)}


def buckets(view: View, lens: Lens) -> dict[str, Any]:
    """The same, over time, in buckets of the reader's own zone."""
    name = view.zone_name
    zone: dict[str, Any] = {"timeZone": name} if name else {"timeZoneDifference": view.minutes_ahead}
    return {**asked(lens), "dbIncrement": increment(lens)[0], **zone}


async def compared(view: View, path: str, lens: Lens, body: Mapping[str, Any]) -> dict[str, Any]:
    """What ``path`` answers to ``body`` about the lens, and as ``previous`` what it answers about the time before."""
    if not lens.name:
        one: dict[str, Any] = await view.ask("POST", path, json={**body, "previous": True})
        return one
    before = lens.previous
    now, then = await asyncio.gather(
        view.ask("POST", path, json=body),
        view.ask("POST", path, json={**body, **_time(before.start, before.end)}),
    )
    return {**now, "previous": then}


def _time(start: int, end: int) -> dict[str, Any]:
    return {"timeFilter": {"start": iso(start), "end": iso(end)}}
