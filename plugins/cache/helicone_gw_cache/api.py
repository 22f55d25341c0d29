"""The cache over HTTP: what callers have in it, one entry, and clearing; nobody sees or clears what is another's.

``GET /v1/cache/stats``, ``DELETE /v1/cache`` (both take ``provider``, ``model`` and ``older_than``),
``GET`` and ``DELETE /v1/cache/entries/{key}``. Answers have the envelope of Helicone's own API:
``{"data": ..., "error": null}`` or ``{"data": null, "error": "..."}``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from quart import Blueprint, request

from helicone_gw import Audit, Clock, GatewayKey, caller, require_role
from helicone_gw_cache.backends import Backend, Selection, Unreachable
from helicone_gw_cache.describing import counters_as_json, entry_as_json, parse_age, saved_as_json, stats_as_json
from helicone_gw_cache.entry import Entry
from helicone_gw_cache.savings import Savings

FILTERS: Final = ("provider", "model", "older_than")
"""Parameters of the query that narrow what is meant; any other one is refused, for it would be taken for one."""

_Answer = tuple[dict[str, Any], int]


def routes(name: str, backend: Callable[[], Backend], savings: Savings, clock: Clock, audit: Audit) -> Blueprint:
    """The pages of the plugin instance ``name``. ``backend`` gives its backend once it is started."""
    pages = Blueprint(f"{name}-api", __name__, url_prefix="/v1/cache")

    @pages.get("/stats")
    async def stats() -> _Answer:
        key = caller(request.scope)
        selection = _selection(key, clock.now())
        held = stats_as_json(backend().kind, await backend().stats(selection))
        held["saved"] = saved_as_json(savings.of(*_owner(key)))
        if key is None:  # whoever asks is everybody
            held["counters"] = counters_as_json(backend().counters)
        return _good(held)

    @pages.delete("")
    async def clear() -> _Answer:
        key = caller(request.scope)
        require_role(key, "member")
        selection = _selection(key, clock.now())
        cleared = await backend().clear(selection)
        await audit(key, "cache.clear", f"cache:{name}", after={**request.args.to_dict(), "cleared": cleared})
        return _good({"cleared": cleared})

    @pages.get("/entries/<key>")
    async def entry(key: str) -> _Answer:
        found = await _entry(backend(), key)
        return _nothing() if found is None else _good(entry_as_json(found, clock.now()))

    @pages.delete("/entries/<key>")
    async def delete(key: str) -> _Answer:
        who = caller(request.scope)
        require_role(who, "member")
        if await _entry(backend(), key) is None:
            return _nothing()
        cleared = int(await backend().delete(key))
        await audit(who, "cache.clear", f"cache:{name}", after={"entry": key, "cleared": cleared})
        return _good({"cleared": cleared})

    @pages.errorhandler(_WrongQuery)
    async def wrong(problem: _WrongQuery) -> _Answer:
        return _bad(400, str(problem))

    @pages.errorhandler(Unreachable)
    async def unreachable(problem: Unreachable) -> _Answer:
        return _bad(503, "The cache cannot be reached.")

    return pages


class _WrongQuery(Exception):
    pass


def _owner(key: GatewayKey | None) -> tuple[str, str]:
    return ("default", "") if key is None else (key.organization, key.owner)


async def _entry(backend: Backend, key: str) -> Entry | None:
    """The entry, if it is there and the caller's: to others it is as if it were not. Raises `Unreachable`."""
    owner = _owner(caller(request.scope))
    failed = backend.counters.unavailable
    found = (await backend.get_many([key]))[0]
    if found is None and backend.counters.unavailable != failed:
        raise Unreachable("nobody knows whether it is there")
    return found if found is not None and (found.organization, found.owner) == owner else None


def _selection(key: GatewayKey | None, now: float) -> Selection:
    """What of the caller's is meant. Raises `_WrongQuery`."""
    given: dict[str, str] = {}
    for name, value in request.args.items(multi=True):
        if name not in FILTERS:
            raise _WrongQuery(f"There is no parameter {name[:100]!r}; there are {', '.join(FILTERS)}.")
        if not value or name in given:
            raise _WrongQuery(f"The parameter {name!r} needs exactly one value.")
        given[name] = value
    organization, owner = _owner(key)
    age = given.get("older_than")
    try:
        stored_before = None if age is None else now - parse_age(age)
    except ValueError as problem:
        raise _WrongQuery(f"The parameter 'older_than' {problem}.") from None
    return Selection(organization, owner, given.get("provider"), given.get("model"), stored_before)


def _good(data: dict[str, Any]) -> _Answer:
    return {"data": data, "error": None}, 200


def _bad(status: int, error: str) -> _Answer:
    return {"data": None, "error": error}, status


def _nothing() -> _Answer:
    return _bad(404, "There is no such entry.")
