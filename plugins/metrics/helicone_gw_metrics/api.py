"""``GET /metrics``. The core asks for a gateway key as for every page of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from quart import Blueprint, Response, request


def routes(name: str, page: Callable[[str], Awaitable[tuple[bytes, str]]]) -> Blueprint:
    """The page of the plugin instance ``name``; ``page`` makes it from the field ``Accept``."""
    pages = Blueprint(f"{name}-api", __name__)

    @pages.get("/metrics")
    async def metrics() -> Response:
        body, content_type = await page(request.headers.get("accept", ""))
        return Response(body, content_type=content_type)

    return pages
