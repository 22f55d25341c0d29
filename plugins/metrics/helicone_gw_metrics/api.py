"""``GET /metrics``. The core asks for a gateway key as for every page of its own; it has to be the operator's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from quart import Blueprint, Response, request

from helicone_gw import ApiOperation, PermissionDenied, caller

OPERATOR = "default"
"""The organisation that sees what concerns all of them: figures are not told apart by organisation."""


OPERATION: Final = ApiOperation(
    method="GET",
    path="/metrics",
    tag="gateway",
    summary="Figures of the gateway, for Prometheus.",
    plain=("text/plain", "application/openmetrics-text"),
    data=str,
)


def routes(name: str, page: Callable[[str], Awaitable[tuple[bytes, str]]]) -> Blueprint:
    """The page of the plugin instance ``name``; ``page`` makes it from the field ``Accept``."""
    pages = Blueprint(f"{name}-api", __name__)

    @pages.get("/metrics")
    async def metrics() -> Response:
        key = caller(request.scope)
        if key is not None and key.organization != OPERATOR:
            raise PermissionDenied(
                f"These are figures of all organisations, for keys of {OPERATOR!r} alone.", code="organization_required"
            )
        body, content_type = await page(request.headers.get("accept", ""))
        return Response(body, content_type=content_type)

    return pages
