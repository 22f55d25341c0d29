"""What the application is told of a request: its ASGI scope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helicone_gw.asgi.types import Scope
from helicone_gw.engines.http1.head import Request

Address = tuple[str, int]
_ASGI = {"version": "3.0", "spec_version": "2.3"}


def http_scope(
    request: Request,
    extensions: Mapping[str, Any],
    *,
    scheme: str,
    client: Address | None,
    server: Address | None,
    root_path: str,
    state: Mapping[str, Any],
) -> Scope:
    """The scope of ``request``."""
    target = request.target
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": request.version,
        "method": request.method,
        "scheme": scheme,
        "path": target.path,
        "raw_path": target.raw_path,
        "query_string": target.query,
        "root_path": root_path,
        "headers": request.fields,
        "client": client,
        "server": server,
        "state": dict(state),
        "extensions": extensions,
    }
