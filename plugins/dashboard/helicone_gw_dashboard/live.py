"""Live: pages that are told of new requests, by server-sent events (HTML, section 9.2)."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from quart import Response, request

from helicone_gw_dashboard.lens import MINUTE, Lens, leaf
from helicone_gw_dashboard.rendering import HEADERS
from helicone_gw_dashboard.view import Trouble, View

SECONDS: Final = 1.0
"""Between two looks."""

LIFETIME: Final = 60.0
"""Seconds after which a page has to ask anew, so that whoever may not see it any more is told no longer; a browser does
that by itself, `RETRY` milliseconds later."""

RETRY: Final = 1_000

BEHIND: Final = 5_000
"""Milliseconds by which a row may be late: rows are written in batches, by several processes."""

OLDEST: Final = 15 * MINUTE
"""How long a request may have taken and still be told of when it ends."""

MOST: Final = 50
"""Rows of one event; what is more at once is in the list when the page is loaded again."""

_FULL: Final = "Too many pages are told of new requests already; this one can be loaded again."

REMEMBERED: Final = 2_000
"""Rows that are remembered as told of."""


async def following(view: View, lens: Lens, shown: Callable[[list[Any]], str]) -> Response:
    """Events with the rows that match ``lens`` as they come, ``shown`` making HTML of them.

    A browser that comes again says how far it was told (``Last-Event-ID``), and is told from there.
    Raises `Trouble` (503) when `DashboardConfig.live_streams` pages are told already.
    """
    site, clock, now = view.site, view.gateway.clock, view.now
    if site.live >= site.config.live_streams:
        raise Trouble(503, _FULL)
    before = _told_until(request.headers.get("Last-Event-ID"), now)
    since = (now if before is None else before) - BEHIND
    known = await _ended(view, lens, since)
    told: OrderedDict[str, None] = OrderedDict.fromkeys(row["id"] for row in known if before is None)

    async def events(since: int = since) -> AsyncIterator[bytes]:
        # Counted here and not before: what is never begun would never be taken off again.
        if site.live >= site.config.live_streams:
            yield _event("trouble", {"message": _FULL}, now)
            return
        site.live += 1
        until = clock.monotonic() + LIFETIME
        try:
            yield f"retry: {RETRY}\nid: {now}\n\n".encode()
            while clock.monotonic() < until and view.gateway.ready and not view.gateway.pages.closing:
                await clock.sleep(SECONDS)
                looked = view.now
                try:
                    found = await _ended(view, lens, since)
                except Trouble as trouble:
                    yield _event("trouble", {"message": trouble.message}, since + BEHIND)
                    continue
                fresh = [row for row in found if row["id"] not in told]
                since = max(since, looked - BEHIND)
                told.update(dict.fromkeys(row["id"] for row in fresh))
                while len(told) > REMEMBERED:
                    told.popitem(last=False)
                # Something is written when there is nothing to tell, too: whoever has left is noticed by that.
                news = {"html": shown(fresh), "count": len(fresh)}
                yield _event("rows", news, looked) if fresh else f"id: {looked}\n\n".encode()
        finally:
            site.live -= 1

    headers = {**HEADERS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(events(), 200, headers, content_type="text/event-stream")


def _told_until(last: str | None, now: int) -> int | None:
    """Until when a browser was told that comes again; ``None`` for one that is new, or was away for long."""
    if last is None or not last.isascii() or not last.isdecimal() or len(last) > 15:
        return None
    return int(last) if now - OLDEST < int(last) <= now else None


async def _ended(view: View, lens: Lens, since: int) -> list[Any]:
    """Requests that ended after ``since``, newest first."""
    node = [
        leaf("request_created_at", "gte", since - OLDEST),
        leaf("response_created_at", "gte", since),
        *lens.filters,
    ]
    rows: list[Any] = await view.ask("POST", "/v1/request/query", json={"filter": node, "limit": MOST})
    return rows


def _event(name: str, data: dict[str, Any], at: int) -> bytes:
    return f"event: {name}\nid: {at}\ndata: {json.dumps(data)}\n\n".encode()
