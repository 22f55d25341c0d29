"""Arrival: what the head of a request to a provider says by itself, before anybody was asked and anything was read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from helicone_gw.asgi.types import Scope
from helicone_gw.dialects import wire_format
from helicone_gw.headers import Headers
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw.ingress.credentials import plain_bearer
from helicone_gw.ingress.location import Location
from helicone_gw.scope_extensions import HEAD

_NONE: Mapping[str, Any] = {}


class Arrival:
    """A head, read. Clients send the same one again and again, and one reading then serves them all.

    ``head`` are its bytes, where the server gives them; ``headers`` are without ``Content-Length`` where it may come
    again. ``wire`` is the format of the body, if it is JSON of a known operation; ``bearer`` the one credential there
    is, if it is as plain as that.
    """

    __slots__ = ("bearer", "guarded", "head", "headers", "helicone", "is_json", "location", "wire")

    def __init__(self, scope: Scope, headers: Headers, location: Location) -> None:
        self.headers = headers
        self.location = location
        self.head: bytes = scope.get("extensions", _NONE).get(HEAD, b"")
        self.helicone = parse_helicone_headers(headers, head=self.head)
        self.wire = wire_format(location.dialect, location.operation) if location.json else None
        self.is_json = _is_json(headers.first.get(b"content-type"))
        self.bearer = plain_bearer(location, headers)
        self.guarded = False
        """Whether it was found to come from no web page that may not call."""


@lru_cache(maxsize=256)
def _is_json(content_type: bytes | None) -> bool:
    """Whether the body is JSON, as far as its type says; clients that give none mean JSON."""
    return content_type is None or b"json" in content_type.lower() or content_type.lower().startswith(b"text/plain")
