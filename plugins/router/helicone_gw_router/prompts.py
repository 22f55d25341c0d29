"""Prompts: what of a request is changed before it is routed, because its model string or a header asks for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from helicone_gw import MalformedBody
from helicone_gw_router.grammar import ONLINE
from helicone_gw_router.online import has_plugins, with_search
from helicone_gw_router.overflow import allowed, estimated, middle_out, truncated

if TYPE_CHECKING:
    from helicone_gw import Exchange, Request
    from helicone_gw_router.registry import Registry
    from helicone_gw_router.resolving import Resolver
    from helicone_gw_router.routes import Routes

LARGEST = 8 << 20
"""Bytes of a body that is cut; a larger one is left to its provider to refuse."""


def changes(request: Request, model: str) -> bool:
    """Whether anything of ``request``, which asks for ``model``, may have to be changed; no, for nearly all."""
    return (
        request.helicone.token_limit_exception_handler is not None
        or ONLINE in model
        or (request.operation == "chat" and has_plugins(request))
    )


def searching(exchange: Exchange, resolver: Resolver, routes: Routes) -> Request:
    """The request with web search, if its model string (``:online``) or a plugin in its body asks for it."""
    request = exchange.request
    if request.model is None:
        return request
    online = ONLINE in request.model and resolver.parse(request.model, exchange).online
    if not (online or has_plugins(request)):
        return request
    choices = routes.choices(request.router or request.model, exchange)
    plugin = bool(choices) and all(choice.target.provider == "openrouter" for choice in choices)
    return with_search(request, as_plugin=plugin, online=online)


def fitting(request: Request, exchange: Exchange, resolver: Resolver, routes: Routes, registry: Registry) -> Request:
    """The request, cut or given to another model, if its header asks for that and its prompt is too long.

    The context of ``Helicone-Model-Override`` counts, else that of the first model, for a named route its first
    target's. A model whose context nobody knows, and a body that is not an object, stay.
    """
    handler = request.helicone.token_limit_exception_handler
    if handler is None or request.model is None or not request.body or len(request.body) > LARGEST:
        return request
    body = _object(request)
    first = _first(request, routes)
    names = [item.name for item in resolver.parse(first, exchange).items]
    known = registry.find(names[0]) if names else None
    context = None if known is None else known.context
    if body is None or context is None:
        return request
    limit = allowed(body, context)
    too_long = estimated(body) > limit
    if handler == "fallback":
        parts = [part for raw in request.model.split(",") if (part := raw.strip()) and not part.startswith("!")]
        return request.replace(model=parts[1 if too_long else 0]) if len(parts) > 1 else request
    if not too_long:
        return request
    changed = truncated(body) if handler == "truncate" else middle_out(body, limit)
    return request.replace(body=json.dumps(changed, ensure_ascii=False, separators=(",", ":")).encode())


def _first(request: Request, routes: Routes) -> str:
    """The model string whose first model is the one that the prompt must fit."""
    if request.helicone.model_override is not None:
        return request.helicone.model_override
    parts = [part for raw in (request.model or "").split(",") if (part := raw.strip()) and not part.startswith("!")]
    name = request.router or (parts[0] if parts else "")
    return routes.first_model(name) or name


def _object(request: Request) -> dict[str, Any] | None:
    try:
        body = request.json()
    except MalformedBody:
        return None
    return body if isinstance(body, dict) else None
