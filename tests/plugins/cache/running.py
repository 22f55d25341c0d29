"""What the tests of the running cache share: gateways with the plugin, and what a client sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helicone_gw.testing import Reply, RunningGateway
from helicone_gw_cache.plugin import CachePlugin

ON = {"Helicone-Cache-Enabled": "true"}
DEBUG = {**ON, "Helicone-Cache-Debug": "true"}


def plugin(running: RunningGateway) -> CachePlugin:
    """The gateway's cache."""
    return next(each for each in running.gateway.plugins if isinstance(each, CachePlugin))


def said(reply: Reply) -> str | None:
    """HIT, MISS or nothing."""
    return reply.headers.get("helicone-cache")


def reason(reply: Reply) -> str | None:
    """Why, for clients that asked."""
    return reply.headers.get("helicone-cache-reason")


def notes(running: RunningGateway, index: int = -1) -> Mapping[str, Any]:
    """What the cache noted for the log on the exchange that ended at this place."""
    found = running.exchanges[index].annotations
    return {name.removeprefix("cache."): value for name, value in found.items() if name.startswith("cache.")}


def calls(running: RunningGateway) -> int:
    """How often a provider was asked."""
    return len(running.provider.requests)
