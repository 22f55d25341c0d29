"""Remote: the cache of a running gateway, asked over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx

TIMEOUT: Final = 30.0
"""Seconds that an answer may take."""


class Refused(Exception):
    """The gateway did not answer, or not with what was asked for; says why, without the key."""


class Remote:
    """The gateway at ``url``, asked with a gateway key, which it may not need."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def stats(self, query: Mapping[str, str]) -> dict[str, Any]:
        """What the key's owner has in the cache. Raises `Refused`."""
        stats: dict[str, Any] = self._ask("GET", "/v1/cache/stats", query)
        return stats

    def clear(self, query: Mapping[str, str]) -> int:
        """Clear it. How many entries there were. Raises `Refused`."""
        return int(self._ask("DELETE", "/v1/cache", query)["cleared"])

    def entry(self, key: str) -> dict[str, Any] | None:
        """One entry, ``None`` if there is none. Raises `Refused`."""
        entry: dict[str, Any] | None = self._ask("GET", f"/v1/cache/entries/{quote(key, safe='')}", {})
        return entry

    def _ask(self, method: str, path: str, query: Mapping[str, str]) -> Any:
        try:
            # Not through a proxy of the environment: it is about this machine, or one that the user named.
            with httpx.Client(headers=self._headers, timeout=TIMEOUT, trust_env=False) as client:
                reply = client.request(method, self._url + path, params=dict(query))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError):
            raise Refused(f"No gateway answers at {_shown(self._url)}: is it running? (--url)") from None
        try:
            envelope = reply.json()
            if reply.status_code == 404 and "data" in envelope:
                return None
            if reply.status_code == 200:
                return envelope["data"]
            error = envelope["error"]
            message = str(error["message"] if isinstance(error, dict) else error)
        except (ValueError, TypeError, KeyError):
            message = "that is no answer of a gateway's cache"
        raise Refused(f"{_shown(self._url)} answered {reply.status_code}: {message}")


def _shown(url: str) -> str:
    """``url`` without a user and a password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
