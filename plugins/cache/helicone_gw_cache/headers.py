"""Header fields: how long a request wants its answer kept, and which of an answer's fields are kept with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct

from helicone_gw import Headers
from helicone_gw_cache.config import YEAR

_DIRECTIVE = re.compile(r'\s*([a-z0-9-]+)\s*(?:=\s*(?:"([^"]*)"|([^",\s]*)))?\s*(?:,|$)')
_LONGEST = 2048


class Control(Struct, frozen=True):
    """What ``Cache-Control`` of a request (RFC 9111 section 5.2.1) asks of us.

    ``ttl`` is in seconds, at most a year; ``None``: not said. ``no_cache``: a stored answer will not do. ``no_store``:
    neither is a stored answer wanted, nor is this one to be kept.
    """

    ttl: float | None = None
    no_cache: bool = False
    no_store: bool = False


NOTHING_SAID = Control()


def control(headers: Headers) -> Control:
    """Read ``Cache-Control``. Never raises: what cannot be read counts as not said.

    ``s-maxage`` wins over ``max-age``. A lifetime of 0 is ``no_store``: nothing is fresh for so short a time.
    """
    if b"cache-control" not in headers.first:
        return NOTHING_SAID
    return _read(",".join(headers.get_all("cache-control"))[:_LONGEST])


@lru_cache(maxsize=256)
def _read(text: str) -> Control:
    said: dict[str, str] = {}
    at = 0
    lower = text.lower()
    while at < len(lower):
        found = _DIRECTIVE.match(lower, at)
        if found is None:
            # Not a directive: what follows the next comma may be one.
            comma = lower.find(",", at)
            if comma < 0:
                break
            at = comma + 1
            continue
        said.setdefault(found[1], found[2] or found[3] or "")
        at = found.end()
    ttl = _seconds(said.get("s-maxage"))
    if ttl is None:
        ttl = _seconds(said.get("max-age"))
    return Control(ttl, "no-cache" in said, "no-store" in said or ttl == 0)


def _seconds(text: str | None) -> float | None:
    """Whole seconds (RFC 9111 section 1.2.2), at most a year."""
    if text is None or not (text.isascii() and text.isdecimal()):
        return None
    return YEAR if len(text) > 9 else min(float(text), YEAR)


_NOT_KEPT = frozenset(
    b"set-cookie set-cookie2 age date retry-after retry-after-ms content-length content-encoding transfer-encoding "
    b"connection keep-alive trailer upgrade alt-svc www-authenticate proxy-authenticate authentication-info".split()
)
# What an account had left of its limits at that time; a client that reads it now would wait for nothing.
_LIMITS = (b"x-ratelimit-", b"anthropic-ratelimit-", b"x-ms-ratelimit-", b"ratelimit")


def kept(fields: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """Those of an answer's fields that are also true of a copy of it."""
    return tuple([field for field in fields if _is_kept(field[0])])


@lru_cache(maxsize=1024)
def _is_kept(name: bytes) -> bool:
    return name not in _NOT_KEPT and not name.startswith((b"helicone-", *_LIMITS))
