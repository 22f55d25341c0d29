"""Export over HTTP: all requests that a filter matches, as a file that is streamed."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from helicone_gw_logging.api.routes import Call, Plain, Routes
from helicone_gw_logging.api.schemas import FilterBody
from helicone_gw_logging.api.times import TimeFilter
from helicone_gw_logging.query.columns import field
from helicone_gw_logging.query.export import begun, pieces
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.formats import CONTENT_TYPES, Format, checked, written
from helicone_gw_logging.query.nodes import Condition, both
from helicone_gw_logging.query.wanted import Wanted

ROUTES = Routes("export")

TOTAL: Final = "X-Total-Count"
"""The field of the answer that says how many requests there are; it is not there where counting them takes too long."""


class ExportQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which requests, and how: all ``columns`` where none are named, and as many as there are without a ``limit``."""

    filter: FilterBody = "all"
    timeFilter: TimeFilter | None = None  # noqa: N815 - the contract's name
    format: Format = "csv"
    columns: Annotated[list[str], Meta(min_length=1, max_length=200)] | None = None
    limit: Annotated[int, Meta(ge=1)] | None = None


@ROUTES.post(
    "/v1/request/export", body=ExportQuery, plain=("text/csv", "application/x-ndjson", "application/vnd.apache.parquet")
)
async def requests(call: Call, body: ExportQuery) -> Plain:
    """All requests that a filter matches, oldest first, as CSV, JSON lines or Parquet.

    ``X-Total-Count`` of the answer says how many there are. What is logged meanwhile is not part of it. An export that
    cannot be finished breaks off without the end of its transfer.
    """
    checked(body.format)
    node = read_filter(body.filter)
    if body.timeFilter is not None:
        span, at = body.timeFilter.span(), field("request_response_rmt", "received_at")
        node = both("and", (node, Condition(at, "gte", span.start), Condition(at, "lt", span.end)))
    wanted = Wanted(node)
    export = await begun(call.database, call.scope, wanted, body.columns)
    if export.total is not None:
        call.headers[TOTAL] = str(export.total if body.limit is None else min(export.total, body.limit))
    call.headers["Content-Disposition"] = f'attachment; filename="requests.{body.format}"'
    found = pieces(call.database, call.scope, wanted, export, body.limit)
    return Plain(written(found, export.columns, body.format), CONTENT_TYPES[body.format])
