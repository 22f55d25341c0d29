"""One row per exchange, whatever its outcome: requests, attempts, properties and bodies in SQLite or Postgres.

What is exported here is the read API, for other plugins too.
"""

from helicone_gw_logging.query import (
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
from helicone_gw_logging.tables import AttemptRow, RequestRow

__all__ = [
    "AmbiguousId",
    "AttemptRow",
    "Cursor",
    "Filter",
    "LoggedBody",
    "LoggedRequest",
    "RequestDetail",
    "RequestRow",
    "follow",
    "get_request",
    "list_requests",
    "ready",
]
