"""Pages: all operations of this API, mounted, with their document at ``/v1/admin/openapi.json``."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec
from quart import Blueprint

from helicone_gw import ApiOperation, api_document
from helicone_gw_security.admin import all_organizations, gateway_keys, organizations, people, provider_keys, records
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


def described() -> list[ApiOperation]:
    """Every operation, and this API's own document, as documents have them."""
    own = ApiOperation(
        method="GET",
        path=DOCUMENT,
        tag="administration",
        summary="The document of this API alone.",
        plain=("application/json",),
        data=dict[str, Any],
    )
    return [*(operation.described() for operation in operations()), own]


def document() -> dict[str, Any]:
    """The document of this API alone (OpenAPI 3.1)."""
    about = "Gateway keys, providers' keys, users, organisations and the audit log."
    return api_document(
        [operation.described() for operation in operations()], title="helicone-gw: administration", description=about
    )


def admin_pages(name: str, desk: Desk) -> Blueprint:
    """The pages of the plugin instance ``name``."""
    return blueprint(name, desk, operations(), cache(lambda: msgspec.json.encode(document())), DOCUMENT)
