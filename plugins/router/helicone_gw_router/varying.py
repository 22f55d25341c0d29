"""What of a request, beside its address and body, decides where it goes: for a cache outside the router."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from helicone_gw_router.config import RouterConfig, When


def varies(config: RouterConfig) -> tuple[str, ...]:
    """The facts that conditions look at, as `helicone_gw.Plugin.vary` names them.

    Where several targets are meant for the same request (weights, hashes, latency), any of their answers is right.
    """
    conditions = [rule.when for rule in config.rules]
    for route in config.routes.values():
        conditions += [target.when for target in route.targets if not isinstance(target, str) and target.when]
    return tuple(sorted({fact for when in conditions for fact in _facts(when)}))


def _facts(when: When) -> Iterator[str]:
    if when.user is not None:
        yield "user"
    if when.key is not None:
        yield "key"
    yield from (f"header:{name.lower()}" for name in when.headers)
    yield from (f"property:{name.lower()}" for name in when.properties)
