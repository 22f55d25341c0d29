"""Reading the log: lists and details for other plugins (`log`), and what the REST API asks (everything else)."""

from helicone_gw_logging.query.log import (
    MAX_LIMIT,
    AmbiguousId,
    Cursor,
    Filter,
    LoggedBody,
    LoggedRequest,
    RequestDetail,
    follow,
    get_request,
    list_requests,
    ready,
)

__all__ = [
    "MAX_LIMIT",
    "AmbiguousId",
    "Cursor",
    "Filter",
    "LoggedBody",
    "LoggedRequest",
    "RequestDetail",
    "follow",
    "get_request",
    "list_requests",
    "ready",
]
