"""Gateway keys over REST: ``/v1/api-keys``, with Helicone's names for their members beside ours."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from helicone_gw import BadRequest, Role
from helicone_gw_security.admin.provider_keys import kept
from helicone_gw_security.admin.routing import Call, Conflict, Routes, nothing
from helicone_gw_security.keys import StoredKey
from helicone_gw_security.spec import KeySpec, parse_expiry
from helicone_gw_security.store import LISTS, NameTaken, state
from helicone_gw_security.tables import GatewayKeyRow

ROUTES = Routes("gateway keys")

Scope = Literal["all", "read", "write"]
PERMISSIONS: dict[str, Scope] = {"rw": "all", "r": "read", "w": "write"}
"""Helicone's ``key_permissions`` and the scopes that they are."""

FACTS = ("name", "owner", "role", "scope", "provider_key", "expires_at")
"""What a key has beside its lists, and may be given."""

MAX_GRACE = 24.0 * 366
"""Hours for which two secrets of a key may be valid at once."""

Texts = list[str] | None


class KeyChanges(Struct, forbid_unknown_fields=True):
    """What a gateway key may be given; left out: as it is, ``null``: unlimited."""

    name: str | UnsetType = UNSET
    api_key_name: str | UnsetType = UNSET
    owner: str | UnsetType | None = UNSET
    models: Texts | UnsetType = UNSET
    providers: Texts | UnsetType = UNSET
    paths: Texts | UnsetType = UNSET
    networks: Texts | UnsetType = UNSET
    origins: Texts | UnsetType = UNSET
    limits: Texts | UnsetType = UNSET
    budgets: Texts | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    scope: Scope | UnsetType = UNSET
    key_permissions: Literal["rw", "r", "w"] | UnsetType = UNSET
    provider_key: str | UnsetType | None = UNSET
    expires: Annotated[str, Meta(description="ISO 8601.")] | UnsetType | None = UNSET


class ProxyKey(Struct, forbid_unknown_fields=True, rename="camel"):
    """A gateway key that stands for one provider key, as Helicone's vault has them."""

    provider_key_id: str
    proxy_key_name: str
    limits: list[str] = []
    budgets: list[str] = []


class Rotation(Struct, forbid_unknown_fields=True):
    """How long the old secret works on, in hours."""

    grace_hours: Annotated[float, Meta(ge=0, le=MAX_GRACE)] = 24.0


class GatewayKeyView(Struct):
    """A gateway key; its secret is shown once, when it is made. Times are epoch seconds."""

    id: str
    name: str
    api_key_name: str
    owner: str
    organization: str
    prefix: str | None
    role: str
    scope: str
    models: Texts
    providers: Texts
    paths: Texts
    networks: Texts
    origins: Texts
    limits: Texts
    budgets: Texts
    provider_key: str | None
    created_at: float | None
    expires_at: float | None
    revoked_at: float | None
    rotated_at: float | None
    last_used_at: float | None
    state: str
    configured: bool


class NewKey(Struct, rename="camel"):
    """A key that was made, or has a new secret: the one time that the secret is shown."""

    id: str
    api_key: str
    key: GatewayKeyView


@ROUTES.route("GET", "/v1/api-keys", data=list[GatewayKeyView])
async def list_keys(call: Call) -> list[GatewayKeyView]:
    """List the gateway keys of the organisation, revoked ones as well."""
    configured: dict[str, GatewayKeyView] = {}
    for stored in call.desk.configured_keys:
        if stored.key.organization == call.organization:
            configured.setdefault(stored.key.id, _configured(stored, call.now))
    return [*configured.values(), *(view(row, call.now) for row in await call.desk.keys.all(call.organization))]


@ROUTES.route("POST", "/v1/api-keys", body=KeyChanges, data=NewKey, status=201, flat=True)
async def create(call: Call, body: KeyChanges) -> NewKey:
    """Make a gateway key; its secret is in this answer and nowhere else."""
    values = _values(body)
    if "name" not in values:
        raise BadRequest("A key needs a name.")
    return await _make(call, values)


@ROUTES.route("POST", "/v1/api-keys/proxy-key", body=ProxyKey, data=NewKey, status=201, flat=True)
async def create_proxy_key(call: Call, body: ProxyKey) -> NewKey:
    """Make a gateway key that stands for one provider key, with limits of its own."""
    values = {
        "name": body.proxy_key_name,
        "provider_key": body.provider_key_id,
        "limits": tuple(body.limits),
        "budgets": tuple(body.budgets),
    }
    return await _make(call, values)


@ROUTES.route("PATCH", "/v1/api-keys/{id}", body=KeyChanges, data=GatewayKeyView)
async def change(call: Call, body: KeyChanges) -> GatewayKeyView:
    """Change what a gateway key may do; its secret stays."""
    row = await _found(call)
    given = _values(body)
    await kept(call, given.get("provider_key"))
    values = {**_spec_of(row), **given}
    try:
        changed = await call.desk.keys.change(row.id, _spec(call, values), organization=call.organization)
    except NameTaken:
        raise Conflict("A key of this name exists.", code="name_taken") from None
    if changed is None:
        raise nothing("gateway key")
    before, after = _told(row), _told(changed)
    different = [name for name in after if before[name] != after[name]]
    await call.tell(
        "key.change",
        f"key:{row.id}",
        {name: before[name] for name in different},
        {name: after[name] for name in different},
    )
    return view(changed, call.now)


@ROUTES.route("POST", "/v1/api-keys/{id}/rotate", body=Rotation, data=NewKey, flat=True)
async def rotate(call: Call, body: Rotation) -> NewKey:
    """Give a gateway key a new secret; the old one works on for a while."""
    row = await _found(call)
    until = call.now + body.grace_hours * 3600
    secret, rows = await call.desk.keys.rotate(row.id, now=call.now, until=until, organization=call.organization)
    if len(rows) != 1:
        raise nothing("gateway key")
    await call.tell("key.rotate", f"key:{row.id}", None, {"name": row.name, "previous_until": until})
    return NewKey(row.id, secret, view(rows[0], call.now))


@ROUTES.route("DELETE", "/v1/api-keys/{id}", data=GatewayKeyView)
async def revoke(call: Call) -> GatewayKeyView:
    """Revoke a gateway key; it is refused everywhere within seconds."""
    row = await _found(call)
    rows = await call.desk.keys.revoke(row.id, now=call.now, organization=call.organization)
    if len(rows) != 1:
        raise nothing("gateway key")
    await call.tell("key.revoke", f"key:{row.id}", _told(row))
    return view(rows[0], call.now)


async def _make(call: Call, values: dict[str, Any]) -> NewKey:
    await kept(call, values.get("provider_key"))
    try:
        secret, row = await call.desk.keys.make(_spec(call, values), now=call.now)
    except NameTaken:
        raise Conflict("A key of this name exists.", code="name_taken") from None
    await call.tell("key.create", f"key:{row.id}", None, _told(row))
    return NewKey(row.id, secret, view(row, call.now))


async def _found(call: Call) -> GatewayKeyRow:
    for stored in call.desk.configured_keys:
        if stored.key.id == call.path["id"] and stored.key.organization == call.organization:
            raise Conflict("This key is in the configuration: change it there and restart.", code="configured")
    row = await call.desk.keys.get(call.path["id"], call.organization)
    if row is None or row.revoked_at is not None:
        raise nothing("gateway key")
    return row


def _values(body: KeyChanges) -> dict[str, Any]:
    """What ``body`` says, as `KeySpec` takes it."""
    given = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    if "api_key_name" in given:
        given.setdefault("name", given["api_key_name"])
        del given["api_key_name"]
    if "key_permissions" in given:
        given.setdefault("scope", PERMISSIONS[given["key_permissions"]])
        del given["key_permissions"]
    for name in LISTS:
        if name in given:
            empty: tuple[str, ...] | None = () if name in ("limits", "budgets") else None
            given[name] = tuple(given[name]) if given[name] is not None else empty
    if "expires" in given:
        text = given.pop("expires")
        try:
            given["expires_at"] = None if text is None else parse_expiry(text).timestamp()
        except (ValueError, OverflowError) as problem:
            raise BadRequest(f"expires: {problem}") from None
    return given


def _spec(call: Call, values: dict[str, Any]) -> KeySpec:
    try:
        return KeySpec(**{**values, "organization": call.organization})
    except ValueError as problem:
        raise BadRequest(str(problem)) from None


def _spec_of(row: GatewayKeyRow) -> dict[str, Any]:
    lists: dict[str, Any] = {name: None if (given := getattr(row, name)) is None else tuple(given) for name in LISTS}
    unlimited = {name: lists[name] or () for name in ("limits", "budgets")}
    return {**lists, **unlimited, **{name: getattr(row, name) for name in FACTS}}


def _told(row: GatewayKeyRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in (*FACTS, *LISTS)}


def view(row: GatewayKeyRow, now: float) -> GatewayKeyView:
    """A key of the database, as it is shown."""
    return GatewayKeyView(
        id=row.id,
        name=row.name,
        api_key_name=row.name,
        owner=row.owner,
        organization=row.organization_id,
        prefix=row.prefix,
        role=row.role,
        scope=row.scope,
        models=row.models,
        providers=row.providers,
        paths=row.paths,
        networks=row.networks,
        origins=row.origins,
        limits=row.limits,
        budgets=row.budgets,
        provider_key=row.provider_key,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        rotated_at=row.rotated_at,
        last_used_at=row.last_used_at,
        state=state(row, now),
        configured=False,
    )


def _configured(stored: StoredKey, now: float) -> GatewayKeyView:
    key = stored.key

    def listed(values: Any) -> Texts:
        return list(values) if values else None

    return GatewayKeyView(
        id=key.id,
        name=key.name,
        api_key_name=key.name,
        owner=key.owner,
        organization=key.organization,
        prefix=None,
        role=key.role,
        scope=key.scope,
        models=listed(key.permits.models),
        providers=listed(key.permits.providers),
        paths=listed(key.permits.paths),
        networks=listed(key.permits.networks),
        origins=listed(key.permits.origins),
        limits=listed(key.limits),
        budgets=listed(key.budgets),
        provider_key=key.provider_key,
        created_at=None,
        expires_at=stored.expires_at,
        revoked_at=None,
        rotated_at=None,
        last_used_at=None,
        state="active" if stored.valid(now) else "expired",
        configured=True,
    )
