"""What the strategy hash goes by: the part of a request that keeps it with the same target."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from helicone_gw import Exchange, Request


def hash_key(what: str, exchange: Exchange) -> str:
    """What the strategy hash goes by; where the request does not say: session, user, key, the prompt's beginning."""
    request = exchange.request
    for each in (what, "session", "user", "key"):
        value = _hash_value(each, request, exchange)
        if value:
            return value
    return _prompt(request)


def _hash_value(what: str, request: Request, exchange: Exchange) -> str | None:
    kind, _, name = what.partition(":")
    match kind:
        case "session":
            return request.helicone.session_id
        case "user":
            return request.user
        case "key":
            return None if exchange.key is None else exchange.key.id
        case "header":
            return request.headers.get(name)
        case "property":
            return request.helicone.properties.get(name)
        case "prompt":
            return _prompt(request)
    return None


def _prompt(request: Request) -> str:
    # A provider's prompt cache goes by the beginning; what follows differs from turn to turn.
    return (request.body or b"")[:1024].decode("latin-1")
