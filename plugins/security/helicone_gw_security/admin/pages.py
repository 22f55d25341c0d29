"""Pages: all operations of this API, mounted, with their document at ``/v1/admin/openapi.json``."""

from __future__ import annotations

from functools import cache
from typing import Final

import msgspec
from quart import Blueprint

from helicone_gw_security.admin import all_organizations, gateway_keys, organizations, people, provider_keys, records
from helicone_gw_security.admin.openapi import document
from helicone_gw_security.admin.routing import Desk, Operation, Routes, blueprint

MODULES: Final[tuple[Routes, ...]] = (
    gateway_keys.ROUTES,
    provider_keys.ROUTES,
    people.ROUTES,
    organizations.ROUTES,
    all_organizations.ROUTES,
    records.ROUTES,
)
"""The modules of this package that have operations."""

DOCUMENT: Final = "/v1/admin/openapi.json"


def operations() -> list[Operation]:
    """Every operation."""
    return [operation for module in MODULES for operation in module.operations]


def admin_pages(name: str, desk: Desk) -> Blueprint:
    """The pages of the plugin instance ``name``."""
    known = operations()
    return blueprint(name, desk, known, cache(lambda: msgspec.json.encode(document(known))), DOCUMENT)
