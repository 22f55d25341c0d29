"""Permits: what the caller's key may use, checked immediately before every attempt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from helicone_gw.errors import PermissionDenied
from helicone_gw.exchange import Exchange
from helicone_gw.model import Target

READING = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
MODELLESS = frozenset({"files", "uploads"})
"""Requests that a key with permitted models may send without naming one: reading, and storing data."""


def check_permits(exchange: Exchange, target: Target) -> None:
    """Raise `PermissionDenied` when the caller's key may not use ``target``."""
    permits = exchange.permits
    if permits is None:
        return
    name = "This key" if exchange.key is None else f"Key {exchange.key.name!r}"
    if not permits.allows_provider(target.provider):
        raise PermissionDenied(f"{name} may not use provider {target.provider!r}.", code="provider_not_permitted")
    if not permits.allows_model(target.model):
        raise PermissionDenied(f"{name} may not use model {target.model!r}.", code="model_not_permitted")
    if permits.models is None:
        return
    request = exchange.request
    for model in _further_models(request.body or b""):
        if not permits.allows_model(model):
            raise PermissionDenied(f"{name} may not use model {model[:200]!r}.", code="model_not_permitted")
    if target.model is None and not (request.method in READING or request.operation in MODELLESS):
        # What names no model that we can read may still name one that the provider can.
        raise PermissionDenied(
            f"{name} is limited to certain models, and this {request.method} {request.path} names none.",
            code="model_not_permitted",
        )


class _Naming(msgspec.Struct):
    models: Any = None
    tools: Any = None


def _further_models(body: bytes) -> Iterator[str]:
    """Models that a JSON body names beside its own: OpenRouter's list of what to fall back to, models of tools."""
    if b"models" not in body and b"tools" not in body and b"\\u" not in body:
        return
    try:
        naming = msgspec.json.decode(body, type=_Naming)
    except (ValueError, RecursionError):
        return  # no object; its provider refuses it
    for listed in (naming.models, naming.tools):
        for each in listed if isinstance(listed, list) else ():
            model = each.get("model") if isinstance(each, dict) else each
            if isinstance(model, str):
                yield model
