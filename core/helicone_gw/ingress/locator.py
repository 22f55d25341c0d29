"""Locator: `locate` for one gateway, with a memory: clients ask for the same few addresses all day."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from helicone_gw.headers import Headers
from helicone_gw.ingress.location import FORCED_ROUTING, Location, locate

MAX_REMEMBERED = 1024
"""Addresses whose location is remembered; when there are more, all are forgotten and the memory begins anew."""

_LONGEST = 160
_FORCED = FORCED_ROUTING.lower().encode()
_HINTS = (b"anthropic-version", b"x-goog-api-key")

_Address = tuple[str, bytes | None, bytes, bool, bool, bytes | None]


class Locator:
    """Says where requests want to go; the arguments are those of `locate`.

    Only an address without a query and without a key in its path is remembered: neither repeats, and the latter is a
    secret.
    """

    def __init__(self, *, providers: Mapping[str, str], dialects: Mapping[str, str], domains: Collection[str]) -> None:
        self._providers = dict(providers)
        self._dialects = dict(dialects)
        self._domains = tuple(domains)
        self._remembered: dict[_Address, Location] = {}

    def __call__(self, method: str, raw_path: bytes, query: bytes, headers: Headers) -> Location:
        """The location of one request. Never raises."""
        first = headers.first
        if query or len(raw_path) > _LONGEST or _FORCED in first:
            return self._locate(method, raw_path, query, headers)
        # All that a location depends on: an address, a dialect's hint, and whether "/" is wanted as a page.
        accept = first.get(b"accept") if not raw_path.strip(b"/") else None  # "//" is "/", too
        address = (method, first.get(b"host"), raw_path, _HINTS[0] in first, _HINTS[1] in first, accept)
        location = self._remembered.get(address)
        if location is None:
            location = self._locate(method, raw_path, query, headers)
            if location.path_key is None:
                if len(self._remembered) >= MAX_REMEMBERED:
                    self._remembered.clear()
                self._remembered[address] = location
        return location

    def _locate(self, method: str, raw_path: bytes, query: bytes, headers: Headers) -> Location:
        return locate(
            method,
            headers.get("host") or "",
            raw_path,
            query,
            headers,
            providers=self._providers,
            dialects=self._dialects,
            domains=self._domains,
        )
