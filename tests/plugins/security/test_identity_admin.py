"""The administrators' REST API: keys, users, organisations, the audit log; who may do it, and in whose name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.fernet import Fernet

from helicone_gw import Database
from helicone_gw.testing import GatewayFactory, Reply, RunningGateway, VirtualClock
from helicone_gw_security.admin.pages import operations
from helicone_gw_security.identity_tables import BRANCH, IDENTITY_VERSIONS
from helicone_gw_security.plugin import VERSIONS
from tests.plugins.security.people import HASH, KEYS, PASSWORD, USERS, Browser, security

ROOT = {"authorization": "Bearer hk-root-secret"}
READER = {"authorization": "Bearer hk-reader-secret"}
STRANGER = {"authorization": "Bearer hk-stranger-secret"}


@pytest.fixture
async def running(gateway: GatewayFactory) -> AsyncIterator[RunningGateway]:
    settings = security(keys=KEYS, users=USERS, encryption_keys=[Fernet.generate_key().decode()])
    async with gateway([settings]) as running:
        yield running


async def ask(
    running: RunningGateway, method: str, path: str, json: Any = None, headers: dict[str, str] = ROOT
) -> Reply:
    return await running.request(method, path, json=json, headers=headers)


async def good(running: RunningGateway, method: str, path: str, json: Any = None, **more: Any) -> Any:
    reply = await ask(running, method, path, json, **more)
    assert reply.status in (200, 201), reply.body
    body = reply.json()
    assert body["error"] is None
    return body["data"]


async def actions(running: RunningGateway, **query: str) -> list[tuple[str, str]]:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    data = await good(running, "GET", f"/v1/audit?{asked}" if asked else "/v1/audit")
    return [(entry["action"], entry["actor"]) for entry in data["entries"]]


async def test_a_key_from_its_making_to_its_end(running: RunningGateway) -> None:
    reply = await ask(running, "POST", "/v1/api-keys", {"name": "ci", "models": ["gpt-4o*"], "role": "viewer"})
    assert reply.status == 201
    made = reply.json()["data"]
    assert made["apiKey"].startswith("sk-helicone-")
    assert (reply.json()["id"], reply.json()["apiKey"]) == (made["id"], made["apiKey"]), "where Helicone has them"
    assert (made["key"]["models"], made["key"]["organization"], made["key"]["state"]) == (
        ["gpt-4o*"],
        "default",
        "active",
    )
    bearer = {"authorization": f"Bearer {made['apiKey']}"}
    assert (await running.chat(headers=bearer, model="gpt-4o")).status == 200
    assert (await running.chat(headers=bearer, model="o3")).status == 403

    path = f"/v1/api-keys/{made['id']}"
    changed = await good(running, "PATCH", path, {"models": None, "expires": "2999-01-01", "api_key_name": "build"})
    assert (changed["name"], changed["models"], changed["role"]) == ("build", None, "viewer")
    rotated = await good(running, "POST", f"{path}/rotate", {"grace_hours": 1})
    assert rotated["apiKey"] != made["apiKey"]
    for secret in (made["apiKey"], rotated["apiKey"]):
        assert (await running.chat(headers={"authorization": f"Bearer {secret}"})).status == 200
    assert (await good(running, "DELETE", path))["state"] == "revoked"
    assert (await ask(running, "DELETE", path)).status == 404, "once"
    listed = await good(running, "GET", "/v1/api-keys")
    assert [key["name"] for key in listed] == ["root", "reader", "build"]
    assert "secret" not in str(listed)
    assert await actions(running) == [
        ("key.revoke", "root"),
        ("key.rotate", "root"),
        ("key.change", "root"),
        ("key.create", "root"),
    ]
    entries = (await good(running, "GET", "/v1/audit?action=key.change"))["entries"]
    assert entries[0]["before"] == {"name": "ci", "models": ["gpt-4o*"], "expires_at": None}
    assert (entries[0]["after"]["name"], entries[0]["subject"]) == ("build", f"key:{made['id']}")
    assert made["apiKey"] not in str(await good(running, "GET", "/v1/audit"))


@pytest.mark.parametrize(
    ("permissions", "scope"), [({}, "all"), ({"key_permissions": "r"}, "read"), ({"key_permissions": "w"}, "write")]
)
async def test_helicones_own_words_for_a_key(running: RunningGateway, permissions: dict[str, str], scope: str) -> None:
    made = await good(running, "POST", "/v1/api-keys", {"api_key_name": "from helicone", **permissions})
    assert (made["key"]["api_key_name"], made["key"]["scope"]) == ("from helicone", scope)


NO_KEYS: list[Any] = [
    {},
    {"name": ""},
    {"name": "x", "role": "owner"},
    {"name": "x", "unknown": 1},
    {"name": "x", "expires": "tomorrow"},
    {"name": "x", "networks": ["10.0.0.0/33"]},
    {"name": "x", "paths": ["v1"]},
    {"name": "x", "limits": ["10 a minute"]},
    {"name": "x", "models": []},
    {"name": "x" * 300},
    [],
    "x",
]


async def test_a_key_that_cannot_be_is_refused(running: RunningGateway) -> None:
    for body in NO_KEYS:
        reply = await ask(running, "POST", "/v1/api-keys", body)
        assert reply.status == 400
        assert reply.json()["data"] is None
        assert await actions(running) == []


async def test_what_is_not_json_or_too_large(running: RunningGateway) -> None:
    for content, status in ((b"{", 400), (b"[" * 100_000, 400), (b"x" * 300_000, 413)):
        reply = await running.request("POST", "/v1/api-keys", content=content, headers=ROOT)
        assert reply.status == status
        assert reply.json()["error"]


NULS: list[tuple[int, str, str, Any]] = [
    (404, "PATCH", "/v1/api-keys/a%00", {"name": "x"}),
    (404, "PATCH", "/v1/admin/users/a%00", {"role": "viewer"}),
    (404, "DELETE", "/v1/admin/users/a%00", None),
    (400, "GET", "/v1/audit?cursor=%00", None),
    (400, "GET", "/v1/audit?actor=a%00", None),
    (400, "DELETE", "/v1/organization/default/remove_member?memberId=%00", None),
    (400, "POST", "/v1/organization/default/update_member", {"memberId": "a\0", "role": "viewer"}),
    (400, "POST", "/v1/api-keys", {"name": "x", "models": ["a\0"]}),
]


async def test_a_nul_is_in_no_text(running: RunningGateway) -> None:
    for status, method, path, body in NULS:
        reply = await ask(running, method, path, body)
        assert reply.status == status, path
        assert status == 404 or reply.json()["error"] == "A text has a NUL character.", path


async def test_a_name_is_taken_once(running: RunningGateway) -> None:
    await good(running, "POST", "/v1/api-keys", {"name": "ci"})
    other = await good(running, "POST", "/v1/api-keys", {"name": "other"})
    assert (await ask(running, "POST", "/v1/api-keys", {"name": "ci"})).status == 409
    assert (await ask(running, "PATCH", f"/v1/api-keys/{other['id']}", {"name": "ci"})).status == 409
    assert (await ask(running, "POST", "/v1/api-keys", {"name": "ci"}, headers=STRANGER)).status == 201, "another's"


async def test_the_files_own_keys_and_users_are_shown_and_not_changed(running: RunningGateway) -> None:
    for method, path in (
        ("PATCH", "/v1/api-keys/config:root"),
        ("DELETE", "/v1/api-keys/config:root"),
        ("POST", "/v1/api-keys/config:root/rotate"),
        ("PATCH", "/v1/admin/users/config:default:ann@example.com"),
        ("DELETE", "/v1/admin/users/config:default:ann@example.com"),
    ):
        reply = await ask(running, method, path, None if method == "DELETE" else {})
        assert (reply.status, reply.json()["code"]) == (409, "configured"), path
        others = await ask(running, method, path, None if method == "DELETE" else {}, headers=STRANGER)
        assert others.status == 404, "to another organisation they are not there"
    listed = str(await good(running, "GET", "/v1/admin/users", headers=STRANGER))
    assert "otto@other.example" in listed
    assert "ann@example.com" not in listed


async def test_providers_keys_are_written_and_never_shown(running: RunningGateway) -> None:
    secret = "sk-planted-0123456789abcdef0123456789"
    body = {"providerName": "openai", "providerKeyName": "main", "providerKey": secret, "shared": True}
    reply = await ask(running, "POST", "/v1/api-keys/provider-key", body)
    assert (reply.status, reply.json()["id"]) == (201, reply.json()["data"]["id"])
    made = reply.json()["data"]
    path = f"/v1/api-keys/provider-key/{made['id']}"
    assert await good(running, "GET", path) == made
    assert await good(running, "GET", "/v1/api-keys/provider-keys") == [made]
    proxy = await good(
        running, "POST", "/v1/api-keys/proxy-key", {"providerKeyId": made["id"], "proxyKeyName": "vault"}
    )
    assert proxy["key"]["provider_key"] == made["id"]
    assert (
        await ask(running, "POST", "/v1/api-keys/proxy-key", {"providerKeyId": "none", "proxyKeyName": "v"})
    ).status == 404
    assert (await ask(running, "POST", "/v1/api-keys/provider-key", body)).status == 409
    replaced = await good(running, "PATCH", path, {"providerKey": secret[::-1]})
    assert replaced["hint"] != made["hint"]
    assert (await ask(running, "PATCH", path, {"providerKey": "with space"})).status == 400
    await good(running, "DELETE", path)
    assert (await ask(running, "GET", path)).status == 404
    everything = str(await good(running, "GET", "/v1/audit")) + str(reply.body)
    assert secret not in everything
    assert secret[::-1] not in everything


async def test_a_key_stands_for_no_providers_key_of_another_organisation(running: RunningGateway) -> None:
    body = {"providerName": "openai", "providerKeyName": "main", "providerKey": "sk-planted-0123456789"}
    theirs = (await good(running, "POST", "/v1/api-keys/provider-key", body, headers=STRANGER))["id"]
    own = (await good(running, "POST", "/v1/api-keys/provider-key", body))["id"]
    assert (await ask(running, "POST", "/v1/api-keys", {"name": "x", "provider_key": theirs})).status == 404
    made = await good(running, "POST", "/v1/api-keys", {"name": "x", "provider_key": own})
    path = f"/v1/api-keys/{made['id']}"
    assert (await ask(running, "PATCH", path, {"provider_key": theirs})).status == 404
    await good(running, "DELETE", f"/v1/api-keys/provider-key/{own}")
    assert (await good(running, "PATCH", path, {"name": "y"}))["provider_key"] == own, "what stays is not asked about"


async def test_without_an_encryption_key_no_providers_key_is_kept(gateway: GatewayFactory) -> None:
    async with gateway([security(keys=KEYS)]) as running:
        body = {"providerName": "openai", "providerKeyName": "main", "providerKey": "sk-x"}
        reply = await ask(running, "POST", "/v1/api-keys/provider-key", body)
        assert (reply.status, reply.json()["code"]) == (409, "no_encryption_key")
        assert await good(running, "GET", "/v1/api-keys/provider-keys") == []


async def test_a_user_from_being_made_to_being_removed(running: RunningGateway) -> None:
    made = await good(
        running, "POST", "/v1/admin/users", {"email": " New@Example.com ", "role": "viewer", "generate_password": True}
    )
    user = made["user"]
    assert (user["email"], user["role"], user["organization"]) == ("new@example.com", "viewer", "default")
    browser = Browser(running)
    own = "a password of my own"
    assert (await browser.log_in("new@example.com", made["temporary_password"], new=own)).status == 200
    path = f"/v1/admin/users/{user['id']}"
    assert (await good(running, "PATCH", path, {"role": "member", "name": "New"}))["role"] == "member"
    assert not (await browser.session())["authenticated"], "another role ends the sessions"
    await browser.log_in("new@example.com", own)
    await good(running, "PATCH", path, {"password": "another password"})
    assert not (await browser.session())["authenticated"]
    assert (await browser.log_in("new@example.com", own)).status == 401
    assert (await browser.log_in("new@example.com", "another password", new=own)).status == 200
    await good(running, "DELETE", path)
    assert not (await browser.session())["authenticated"]
    assert (await browser.log_in("new@example.com", own)).status == 401
    assert (await ask(running, "PATCH", path, {"role": "admin"})).status == 404
    assert [action for action, _ in await actions(running, actor="root")] == [
        "user.remove",
        "user.set_password",
        "user.change",
        "user.create",
    ]
    again = await good(running, "POST", "/v1/admin/users", {"email": "new@example.com"})
    assert again["user"]["id"] != user["id"], "the address is free again"
    assert again["temporary_password"] is None
    logged = str(await good(running, "GET", "/v1/audit"))
    assert "another password" not in logged
    assert made["temporary_password"] not in logged


NO_USERS: list[Any] = [
    {"email": "nobody"},
    {"email": "a@b"},
    {"email": "new@example.com", "password": "short"},
    {"email": "new@example.com", "role": "root"},
    {"email": "new@example.com", "name": "\x00"},
    {},
]


async def test_a_user_who_cannot_be_is_refused(running: RunningGateway) -> None:
    for body in NO_USERS:
        reply = await ask(running, "POST", "/v1/admin/users", body)
        if body == {"email": "a@b"}:
            assert reply.status == 201, "a host without a dot may be one's own"
        else:
            assert reply.status == 400


async def test_an_address_is_one_users_and_nobody_takes_their_own_rights_away(running: RunningGateway) -> None:
    for email in ("ann@example.com", "ANN@example.com"):
        assert (await ask(running, "POST", "/v1/admin/users", {"email": email})).status == 409
    made = await good(
        running, "POST", "/v1/admin/users", {"email": "boss@example.com", "role": "admin", "password": PASSWORD}
    )
    boss = Browser(running)
    await boss.log_in("boss@example.com")
    path = f"/v1/admin/users/{made['user']['id']}"
    for method, body in (("PATCH", {"role": "viewer"}), ("DELETE", None), ("PATCH", {"password": "another password"})):
        reply = await boss.request(method, path, json=body)
        assert (reply.status, reply.json()["code"]) == (409, "oneself")
    assert (await boss.request("PATCH", path, json={"name": "The boss"})).status == 200


async def test_members_in_helicones_shapes(running: RunningGateway) -> None:
    assert await good(running, "GET", "/v1/organization", headers=READER) == [
        {"id": "default", "name": "default", "role": "viewer", "created_at": None}
    ]
    taken = await good(running, "POST", "/v1/organization/default/add_member", {"email": "new@example.com"})
    assert (await Browser(running).log_in("new@example.com", taken["temporaryPassword"])).status == 403
    members = await good(running, "GET", "/v1/organization/default/members")
    new = next(member for member in members if member["email"] == "new@example.com")
    assert new["org_role"] == "member"
    await good(running, "POST", "/v1/organization/default/update_member", {"memberId": new["id"], "role": "owner"})
    await good(running, "POST", "/v1/organization/default/update", {"name": "The first"})
    assert (await good(running, "GET", "/v1/organization"))[0]["name"] == "The first"
    members = await good(running, "GET", "/v1/organization/default/members")
    assert next(member for member in members if member["id"] == new["id"])["org_role"] == "admin"
    await good(running, "DELETE", f"/v1/organization/default/remove_member?memberId={new['id']}")
    assert len(await good(running, "GET", "/v1/organization/default/members")) == len(members) - 1


async def test_an_organisation_is_made_with_its_administrator_and_out_of_sight_from_then_on(
    running: RunningGateway,
) -> None:
    body = {"id": "acme", "name": "Acme", "admin": {"email": "boss@acme.example", "password": "a good password"}}
    assert await good(running, "POST", "/v1/organization/create", body) == "acme"
    for taken in ("acme", "default", "other"):
        reply = await ask(running, "POST", "/v1/organization/create", {**body, "id": taken})
        assert (reply.status, reply.json()["code"]) == (409, "organization_taken"), taken
    assert (await ask(running, "POST", "/v1/organization/create", {**body, "id": "a/b"})).status == 400
    assert (await ask(running, "POST", "/v1/organization/create", {**body, "id": "x"}, headers=STRANGER)).status == 403
    boss = Browser(running)
    assert (await boss.log_in("boss@acme.example", "a good password")).json()["data"]["organization"] == "acme"
    assert (await boss.request("GET", "/v1/organization")).json()["data"][0]["name"] == "Acme"
    assert [user["email"] for user in (await boss.request("GET", "/v1/admin/users")).json()["data"]] == [
        "boss@acme.example"
    ]
    assert "boss@acme.example" not in str(await good(running, "GET", "/v1/admin/users"))
    assert (await ask(running, "GET", "/v1/organization/acme/members")).status == 404


async def test_the_audit_log_is_read_page_by_page(running: RunningGateway) -> None:
    for number in range(5):
        await good(running, "POST", "/v1/api-keys", {"name": f"key {number}"})
    seen: list[str] = []
    cursor = ""
    while True:
        data = await good(running, "GET", f"/v1/audit?limit=2{cursor}")
        seen += [entry["after"]["name"] for entry in data["entries"]]
        if data["next"] is None:
            break
        cursor = f"&cursor={data['next']}"
    assert seen == [f"key {number}" for number in (4, 3, 2, 1, 0)]
    for wrong in ("limit=0", "limit=x", "limit=1001", "limit=1&limit=2", "other=1"):
        assert (await ask(running, "GET", f"/v1/audit?{wrong}")).status == 400


async def test_a_plugin_tells_of_a_change_and_secrets_are_blanked(running: RunningGateway) -> None:
    await running.gateway.audit(
        None,
        "thing.change",
        "thing:1",
        before={"api_key": "sk-1", "nested": [{"Password": "p", "name": "n"}]},
        after={"text": "x" * 20_000},
    )
    (entry,) = (await good(running, "GET", "/v1/audit?action=thing.change"))["entries"]
    assert entry["before"] == {"api_key": "***", "nested": [{"Password": "***", "name": "n"}]}
    assert entry["after"]["left_out"].startswith("it has")
    await running.gateway.audit(None, "thing.odd", "thing:1", after={"text": object()})
    (entry,) = (await good(running, "GET", "/v1/audit?action=thing.odd"))["entries"]
    assert entry["after"] == {"left_out": "it is not JSON"}


async def test_the_audit_log_is_kept_for_so_many_days(gateway: GatewayFactory, clock: VirtualClock) -> None:
    async with gateway([security(keys=KEYS, audit_days=30)], clock=clock) as running:
        await running.gateway.audit(None, "thing.old", "thing:1")
        clock.advance(20 * 86_400)
        await running.gateway.audit(None, "thing.new", "thing:1")
        clock.advance(11 * 86_400)
        while len(found := await actions(running)) > 1:
            clock.advance(6 * 3600)  # it is looked at once a day
            await asyncio.sleep(0.01)
        assert found == [("thing.new", "anybody")]


def filled(path: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        path = path.replace("{" + name + "}", value)
    return path


BODIES: dict[str, Any] = {
    "post_v1_api_keys": {"name": "stolen"},
    "post_v1_api_keys_proxy_key": {"providerKeyId": "{provider_key}", "proxyKeyName": "stolen"},
    "patch_v1_api_keys_id_": {"name": "stolen"},
    "post_v1_api_keys_id_rotate": {},
    "post_v1_api_keys_provider_key": {"providerName": "openai", "providerKeyName": "stolen", "providerKey": "sk-1"},
    "patch_v1_api_keys_provider_key_id_": {"providerKey": "sk-stolen"},
    "post_v1_admin_users": {"email": "thief@example.com", "role": "admin"},
    "patch_v1_admin_users_id_": {"role": "admin", "password": "a stolen password"},
    "post_v1_organization_create": {"id": "stolen", "admin": {"email": "t@e.com", "password": "a stolen password"}},
    "post_v1_organization_id_update": {"name": "stolen"},
    "post_v1_organization_id_add_member": {"email": "thief@example.com"},
    "post_v1_organization_id_update_member": {"memberId": "{user}", "role": "admin"},
    "post_v1_admin_organizations_id_rename": {"name": "stolen"},
}


async def planted(running: RunningGateway) -> dict[str, str]:
    """One thing of each kind in the organisation ``default``, by its id."""
    user = await good(running, "POST", "/v1/admin/users", {"email": "planted@example.com", "password": PASSWORD})
    key = await good(running, "POST", "/v1/api-keys", {"name": "planted"})
    body = {"providerName": "openai", "providerKeyName": "planted", "providerKey": "sk-planted"}
    provider = await good(running, "POST", "/v1/api-keys/provider-key", body)
    return {"user": user["user"]["id"], "key": key["id"], "provider_key": provider["id"]}


async def everything(running: RunningGateway) -> dict[str, Any]:
    """All that there is to see in the two organisations, and every row of the database."""
    from sqlalchemy import select

    from helicone_gw_security import identity_tables, tables

    found: dict[str, Any] = {}
    for table in (
        tables.GATEWAY_KEY,
        tables.PROVIDER_KEY,
        identity_tables.USER,
        identity_tables.ORGANIZATION,
        identity_tables.AUDIT,
    ):
        async with running.gateway.database.connect() as connection:
            rows = (await connection.execute(select(table))).mappings().all()
        found[table.name] = [{name: value for name, value in row.items() if name != "last_used_at"} for row in rows]
    return found


def requests_of(ids: dict[str, str], organization: str = "default") -> list[tuple[str, str, Any]]:
    """A request for every operation, with the ids of what was planted."""
    asked = []
    for operation in operations():
        kind = (
            "provider_key" if "provider-key/" in operation.path else "key" if "api-keys" in operation.path else "user"
        )
        thing = organization if "organization" in operation.path else ids[kind]
        path = filled(operation.path, {"id": thing})
        if operation.name == "delete_v1_organization_id_remove_member":
            path += f"?memberId={ids['user']}"
        body = BODIES.get(operation.name)
        if body is not None:
            body = {
                name: ids.get(value[1:-1], value) if isinstance(value, str) else value for name, value in body.items()
            }
        asked.append((operation.method, path, body))
    return asked


def test_every_operation_with_a_body_is_tried_below() -> None:
    assert set(BODIES) == {operation.name for operation in operations() if operation.body is not None}


@pytest.mark.parametrize("who", ["key", "session", "member"])
async def test_a_viewer_and_a_member_change_nothing_with_any_operation(running: RunningGateway, who: str) -> None:
    ids = await planted(running)
    before = await everything(running)
    browser = Browser(running)
    if who == "key":
        browser.headers = dict(READER)
    else:
        await browser.log_in("vic@example.com" if who == "session" else "mia@example.com")
        before["audit_entry"] = (await everything(running))["audit_entry"]
    for method, path, body in requests_of(ids):
        reply = await browser.request(method, path, json=body)
        if (method, path) == ("GET", "/v1/organization") or (
            who == "member" and path.startswith("/v1/organization/") and path.endswith("/members")
        ):
            assert reply.status == 200
        else:
            assert reply.status == 403, (method, path)
            assert reply.json()["code"] == "role_required"
        assert (await browser.request(method, path, content=b"{")).status in (200, 403), "refused before it is read"
    assert await everything(running) == before


async def test_another_organisation_sees_and_changes_nothing_with_any_operation(running: RunningGateway) -> None:
    ids = await planted(running)
    before = await everything(running)
    for method, path, body in requests_of(ids):
        reply = await ask(running, method, path, body, headers=STRANGER)
        if path.startswith("/v1/admin/organizations"):
            assert reply.status == 403, (method, path)
        elif any(place in path for place in (*ids.values(), "/default/")) or (body and "providerKeyId" in body):
            assert reply.status == 404, (method, path)
        elif path == "/v1/organization/create":
            assert reply.status == 403
        else:
            assert reply.status in (200, 201), (method, path)  # their own, which is elsewhere
            for trace in (*ids.values(), "planted", "ann@example.com", "hk-root"):
                assert trace not in reply.body.decode(), (method, path)
    after = await everything(running)
    for table, rows in before.items():
        ours = [row for row in after[table] if row["organization_id"] == "default"]
        assert ours == [row for row in rows if row["organization_id"] == "default"], table


async def test_without_a_key_nothing_is_told(running: RunningGateway) -> None:
    ids = await planted(running)
    before = await everything(running)
    for method, path, body in requests_of(ids):
        assert (await running.request(method, path, json=body)).status == 401
    assert await everything(running) == before


async def test_a_sessions_change_needs_its_token_here_too(running: RunningGateway) -> None:
    ids = await planted(running)
    browser = Browser(running)
    await browser.log_in()
    browser.token = None
    before = await everything(running)
    for method, path, body in requests_of(ids):
        if method != "GET":
            reply = await browser.request(method, path, json=body)
            assert (reply.status, reply.json()["error"]["code"]) == (403, "csrf_token_required")
    assert await everything(running) == before


async def test_on_an_open_gateway_everybody_on_this_machine_administers(gateway: GatewayFactory) -> None:
    async with gateway(["security"]) as running:
        assert (await running.request("GET", "/v1/admin/users")).json()["data"] == []
        made = await running.request("POST", "/v1/admin/users", json={"email": "first@example.com", "role": "admin"})
        assert made.status == 201
        evil = await running.request("GET", "/v1/admin/users", headers={"origin": "https://evil.example"})
        assert evil.status in (401, 403)


async def test_the_document_describes_every_operation(running: RunningGateway) -> None:
    document = (await ask(running, "GET", "/v1/admin/openapi.json")).json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(operation.method, operation.path) for operation in operations()}
    assert HASH not in str(document)


async def test_on_postgres_as_on_sqlite(gateway: GatewayFactory, postgres_url: str) -> None:
    database = Database(postgres_url)
    await database.migrate("security", VERSIONS)
    await database.migrate(BRANCH, IDENTITY_VERSIONS)
    await database.close()
    settings = security(keys=KEYS, users=USERS)
    async with gateway([settings], config={"database": {"url": postgres_url}}) as running:
        user = {"email": "new@example.com", "role": "admin", "password": PASSWORD}
        made = await good(running, "POST", "/v1/admin/users", user)
        assert (await ask(running, "POST", "/v1/admin/users", user)).status == 409
        await good(running, "POST", "/v1/admin/users", user, headers=STRANGER)
        browser = Browser(running)
        assert (await browser.log_in("new@example.com", organization="default")).status == 200
        assert (await browser.request("POST", "/v1/api-keys", json={"name": "ci"})).status == 201
        assert (await browser.request("GET", "/v1/audit?limit=1")).json()["data"]["next"]
        body = {"id": "acme", "admin": {"email": "boss@acme.example", "password": PASSWORD}}
        await good(running, "POST", "/v1/organization/create", body)
        await good(running, "DELETE", f"/v1/admin/users/{made['user']['id']}")
        assert not (await browser.session())["authenticated"]
        await good(running, "POST", "/v1/admin/users", user)
        for _ in range(52):
            await Browser(running).log_in()
        assert await actions(running, actor="root") == [
            ("user.create", "root"),
            ("user.remove", "root"),
            ("organization.create", "root"),
            ("user.create", "root"),
        ]


async def test_whoever_runs_the_gateway_sees_which_organisations_there_are_and_nobody_else_does(
    running: RunningGateway,
) -> None:
    path = "/v1/admin/organizations"
    admin = {"email": "boss@acme.example", "password": PASSWORD}
    await good(running, "POST", "/v1/organization/create", {"id": "acme", "name": "Acme", "admin": admin})
    rows = {row["id"]: row for row in await good(running, "GET", path)}
    assert (rows["acme"]["name"], rows["acme"]["users"], rows["acme"]["keys"]) == ("Acme", 1, 0)
    assert rows["default"]["keys"] >= 1
    strangers = next(iter(rows.keys() - {"acme", "default"}))
    assert rows[strangers]["keys"] == 1, "those that only a key of the configuration names are there, too"
    (boss,) = await good(running, "GET", f"{path}/acme/members")
    assert (boss["email"], boss["org_role"]) == ("boss@acme.example", "admin")

    await good(running, "POST", f"{path}/acme/rename", {"name": "Acme Inc."})
    assert {row["id"]: row["name"] for row in await good(running, "GET", path)}["acme"] == "Acme Inc."
    assert (await actions(running))[0] == ("organization.change", "root")
    for wrong in ({"name": " "}, {"name": "a\nb"}, {}):
        assert (await ask(running, "POST", f"{path}/acme/rename", wrong)).status == 400

    assert (await ask(running, "GET", f"{path}/nobody/members")).status == 404
    assert (await ask(running, "POST", f"{path}/nobody/rename", {"name": "x"})).status == 404
    for headers in (STRANGER, READER):
        for method, asked in (("GET", path), ("GET", f"{path}/acme/members"), ("POST", f"{path}/acme/rename")):
            answer = await ask(running, method, asked, {"name": "Mine"} if method == "POST" else None, headers)
            assert answer.status == 403, (headers, asked)
