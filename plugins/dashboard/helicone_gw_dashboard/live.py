"""Live: pages that are told of new requests, by server-sent events (HTML, section 9.2)."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard.lens import MINUTE, Lens, leaf
from helicone_gw_dashboard.rendering import HEADERS
from helicone_gw_dashboard.view import Trouble, View

SECONDS: Final = 1.0
"""Between two looks."""

LIFETIME: Final = 600.0
"""Seconds after which a page has to ask anew; a browser does by itself."""

BEHIND: Final = 5_000
"""Milliseconds by which a row may be late: rows are written in batches, by several processes."""

OLDEST: Final = 15 * MINUTE
"""How long a request may have taken and still be told of when it ends."""

MOST: Final = 50
"""Rows of one event; what is more at once is in the list when the page is loaded again."""

REMEMBERED: Final = 2_000
"""Rows that are remembered as told of."""


async def following(view: View, lens: Lens, shown: Callable[[list[Any]], str]) -> Response:
    """Events with the rows that match ``lens`` as they come, ``shown`` making HTML of them.

    Raises `Trouble` (503) when `DashboardConfig.live_streams` pages are told already.
    """
    site, clock, since = view.site, view.gateway.clock, view.now - BEHIND
    if site.live >= site.config.live_streams:
        raise Trouble(503, "Too many pages are told of new requests already; this one can be loaded again.")
    told: OrderedDict[str, None] = OrderedDict.fromkeys(row["id"] for row in await _ended(view, lens, since))

    async def events(since: int = since) -> AsyncIterator[bytes]:
        # Counted here and not before: what is never begun would never be taken off again.
        site.live += 1
        until = clock.monotonic() + LIFETIME
        try:
            yield b"retry: 2000\n\n"
            while clock.monotonic() < until and view.gateway.ready and not view.gateway.pages.closing:
                await clock.sleep(SECONDS)
                now = view.now
                try:
                    found = await _ended(view, lens, since)
                except Trouble as trouble:
                    yield _event("trouble", {"message": trouble.message})
                    continue
                fresh = [row for row in found if row["id"] not in told]
                since = max(since, now - BEHIND)
                for row in fresh:
                    told[row["id"]] = None
                while len(told) > REMEMBERED:
                    told.popitem(last=False)
                # A comment when there is nothing: whoever has left is noticed when something is written.
                yield _event("rows", {"html": shown(fresh), "count": len(fresh)}) if fresh else b":\n\n"
        finally:
            site.live -= 1

    headers = {**HEADERS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(events(), 200, headers, content_type="text/event-stream")


async def _ended(view: View, lens: Lens, since: int) -> list[Any]:
    """Requests that ended after ``since``, newest first."""
    node = [
        leaf("request_created_at", "gte", since - OLDEST),
        leaf("response_created_at", "gte", since),
        *lens.filters,
    ]
    rows: list[Any] = await view.ask("POST", "/v1/request/query", json={"filter": node, "limit": MOST})
    return rows


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
