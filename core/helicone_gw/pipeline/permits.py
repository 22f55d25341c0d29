"""Permits: what the caller's key may use, checked immediately before every attempt."""

from __future__ import annotations

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
    request = exchange.request
    if (
        permits.models is not None
        and target.model is None
        and not (request.method in READING or request.operation in MODELLESS)
    ):
        # What names no model that we can read may still name one that the provider can.
        raise PermissionDenied(
            f"{name} is limited to certain models, and this {request.method} {request.path} names none.",
            code="model_not_permitted",
        )
