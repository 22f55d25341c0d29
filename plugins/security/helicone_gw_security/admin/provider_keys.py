"""Providers' keys over REST: ``/v1/api-keys/provider-keys``. They are written and never shown."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from helicone_gw import BadRequest
from helicone_gw_security.admin.routing import Call, Conflict, Routes, nothing
from helicone_gw_security.provider_table import MAX_SECRET, NameTaken, ProviderTable, TooMany
from helicone_gw_security.tables import ProviderKeyRow

ROUTES = Routes("providers' keys")

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Secret = Annotated[str, Meta(min_length=1, max_length=MAX_SECRET)]


class NewProviderKey(Struct, forbid_unknown_fields=True, rename="camel"):
    """A provider's key to keep. ``shared``: all of the organisation's requests to that provider use it."""

    provider_name: Name
    provider_key_name: Name
    provider_key: Secret
    shared: bool = False


class NewSecret(Struct, forbid_unknown_fields=True, rename="camel"):
    """Another secret in the place of the one that is kept."""

    provider_key: Secret


class ProviderKeyView(Struct):
    """A provider's key that is kept: everything but the key. Times are epoch seconds."""

    id: str
    provider_name: str
    provider_key_name: str
    hint: str
    shared: bool
    created_at: float
    changed_at: float


@ROUTES.route("GET", "/v1/api-keys/provider-keys", data=list[ProviderKeyView])
async def list_provider_keys(call: Call) -> list[ProviderKeyView]:
    """List the providers' keys of the organisation, by everything but the keys."""
    table = call.desk.provider_keys
    return [] if table is None else [_view(row) for row in await table.all(call.organization)]


@ROUTES.route("POST", "/v1/api-keys/provider-key", body=NewProviderKey, data=ProviderKeyView, status=201, flat=True)
async def add(call: Call, body: NewProviderKey) -> ProviderKeyView:
    """Keep a provider's key, encrypted."""
    for text in (body.provider_name, body.provider_key_name):
        if not text.strip() or not text.isprintable():
            raise BadRequest("A name is printable text.")
    try:
        row = await _table(call).add(
            body.provider_key_name,
            body.provider_name,
            body.provider_key,
            now=call.now,
            organization=call.organization,
            shared=body.shared,
        )
    except NameTaken:
        raise Conflict("A provider key of this name exists.", code="name_taken") from None
    except TooMany as problem:
        raise Conflict(f"{problem}.", code="too_many") from None
    except ValueError as problem:
        raise BadRequest(f"{problem}.") from None
    await call.tell("provider_key.create", f"provider_key:{row.id}", None, _told(row))
    return _view(row)


@ROUTES.route("GET", "/v1/api-keys/provider-key/{id}", data=ProviderKeyView)
async def get(call: Call) -> ProviderKeyView:
    """One provider's key, by everything but the key."""
    return _view(await _found(call))


@ROUTES.route("PATCH", "/v1/api-keys/provider-key/{id}", body=NewSecret, data=ProviderKeyView)
async def replace(call: Call, body: NewSecret) -> ProviderKeyView:
    """Put another secret in the place of the one that is kept."""
    found = await _found(call)
    try:
        row = await _table(call).replace(found.id, body.provider_key, now=call.now, organization=call.organization)
    except ValueError as problem:
        raise BadRequest(f"{problem}.") from None
    if row is None:
        raise nothing("provider key")
    await call.tell("provider_key.replace", f"provider_key:{row.id}", _told(found), _told(row))
    return _view(row)


@ROUTES.route("DELETE", "/v1/api-keys/provider-key/{id}", data=ProviderKeyView)
async def remove(call: Call) -> ProviderKeyView:
    """Forget a provider's key; gateway keys that stand for it are refused from then on."""
    found = await _found(call)
    row = await _table(call).remove(found.id, organization=call.organization)
    if row is None:
        raise nothing("provider key")
    await call.tell("provider_key.remove", f"provider_key:{row.id}", _told(row))
    return _view(row)


def _table(call: Call) -> ProviderTable:
    if call.desk.provider_keys is None:
        raise Conflict("There is no encryption key: set security.encryption_keys first.", code="no_encryption_key")
    return call.desk.provider_keys


async def kept(call: Call, id: str | None) -> None:
    """Raise `NotFound` for a provider's key that the organisation has not; ``None`` is none at all."""
    if id is not None:
        await _row(call, id)


async def _found(call: Call) -> ProviderKeyRow:
    return await _row(call, call.path["id"])


async def _row(call: Call, id: str) -> ProviderKeyRow:
    table = call.desk.provider_keys
    for row in [] if table is None else await table.all(call.organization):
        if row.id == id:
            return row
    raise nothing("provider key")


def _told(row: ProviderKeyRow) -> dict[str, Any]:
    return {"name": row.name, "provider": row.provider, "hint": row.hint, "shared": row.shared}


def _view(row: ProviderKeyRow) -> ProviderKeyView:
    return ProviderKeyView(
        id=row.id,
        provider_name=row.provider,
        provider_key_name=row.name,
        hint=row.hint,
        shared=row.shared,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )
