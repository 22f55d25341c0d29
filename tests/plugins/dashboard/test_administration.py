"""Keys, provider keys, members and the audit log: who may see them, what they change, what is shown once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from helicone_gw import GatewayKey
from helicone_gw.testing import GatewayFactory, RunningGateway
from tests.plugins.dashboard.markup import ATTACKS, problems

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECURITY = {"security": {"encryption_keys": ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]}}
ADMIN, MEMBER, VIEWER = (GatewayKey(f"k-{role}", role, role, role=role) for role in ("admin", "member", "viewer"))
STRANGER = GatewayKey("k-s", "stranger", "stranger", organization="another", role="admin")
PAGES = ("/keys", "/provider-keys", "/members", "/organizations", "/audit")
POSTS = (
    "/keys",
    "/keys/k",
    "/keys/k/rotate",
    "/keys/k/revoke",
    "/provider-keys",
    "/provider-keys/k/replace",
    "/provider-keys/k/remove",
    "/members",
    "/members/k/role",
    "/members/k/remove",
    "/members/organization",
    "/organizations",
    "/organizations/default",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """One gateway for all tests that do not mind what others left in it."""
    factory = GatewayFactory(tmp_path_factory.mktemp("administration"))
    async with factory(["logging", SECURITY, "dashboard"]) as gateway:
        yield gateway


async def page(running: RunningGateway, path: str, caller: GatewayKey = ADMIN, status: int = 200) -> str:
    answer = await running.gateway.pages.ask("GET", f"/dashboard{path}", caller=caller)
    assert answer.status_code == status, answer.text
    assert problems(answer.text) == []
    return answer.text


async def post(running: RunningGateway, path: str, caller: GatewayKey = ADMIN, status: int = 200, **fields: str) -> str:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "HX-Request": "true"}
    answer = await running.gateway.pages.ask(
        "POST", f"/dashboard{path}", caller=caller, content=urlencode(fields).encode(), headers=headers
    )
    assert answer.status_code == status, answer.text
    assert problems(answer.text) == []
    return answer.text


def id_of(html: str, name: str) -> str:
    found = re.search(rf'href="/dashboard/keys/([^"]+)">{name}<', html)
    assert found is not None
    return found[1]


async def test_a_key_is_made_changed_rotated_and_revoked_and_its_secret_is_shown_once(running: RunningGateway) -> None:
    made = await post(
        running, "/keys", name="bot", models="gpt-4o*, claude-*", budgets="25/month", expires="2099-01-31"
    )
    secret = re.search(r'id="secret">([^<]+)<', made)
    assert secret is not None
    listed = await page(running, "/keys")
    assert secret[1] not in listed
    assert "gpt-4o*, claude-*" in listed
    one_id = id_of(listed, "bot")
    one = await page(running, f"/keys/{one_id}")
    assert 'value="2099-01-31"' in one

    changed = await post(running, f"/keys/{one_id}", name="robot", limits="100;w=60;u=request", role="viewer")
    assert "100;w=60;u=request" in changed
    keys = (await running.gateway.pages.ask("GET", "/v1/api-keys", caller=ADMIN)).json()["data"]
    own = next(key for key in keys if key["id"] == one_id)
    assert (own["name"], own["role"], own["models"], own["budgets"]) == ("robot", "viewer", None, [])
    assert own["expires_at"] is None

    rotated = await post(running, f"/keys/{one_id}/rotate", grace_hours="2")
    assert 'id="secret">' in rotated
    assert secret[1] not in rotated
    assert "revoked" in await post(running, f"/keys/{one_id}/revoke")
    assert ">robot<" not in await page(running, "/keys")
    assert ">robot<" in await page(running, "/keys?revoked=yes")
    audit = await page(running, "/audit?subject=key:" + one_id)
    assert re.findall(r">key\.(\w+)<", audit) == ["revoke", "rotate", "change", "create"]


async def test_saving_a_key_as_it_is_changes_nothing(running: RunningGateway) -> None:
    expires = "2099-01-31T10:20:30.250000+00:00"
    made = await running.gateway.pages.ask("POST", "/v1/api-keys", caller=ADMIN, json={"name": "k", "expires": expires})
    one_id = made.json()["data"]["id"]
    form = await page(running, f"/keys/{one_id}")
    typed = re.search(r'name="expires"[^>]*value="([^"]+)"', form)
    assert typed is not None
    await post(running, f"/keys/{one_id}", name="k", owner="k", expires=typed[1])
    keys = (await running.gateway.pages.ask("GET", "/v1/api-keys", caller=ADMIN)).json()["data"]
    assert next(key for key in keys if key["id"] == one_id)["expires_at"] == made.json()["data"]["key"]["expires_at"]


async def test_a_key_whose_provider_key_is_gone_is_not_set_free_by_saving_it(running: RunningGateway) -> None:
    ask = running.gateway.pages.ask
    wanted = {"providerName": "openai", "providerKeyName": "gone", "providerKey": "sk-proj-abcdefghijklmnop1234"}
    kept = (await ask("POST", "/v1/api-keys/provider-key", caller=ADMIN, json=wanted)).json()["data"]["id"]
    given = {"name": "stands-for", "provider_key": kept, "models": ["gpt-[4,5]*"]}
    made = (await ask("POST", "/v1/api-keys", caller=ADMIN, json=given)).json()["data"]["id"]
    await ask("DELETE", f"/v1/api-keys/provider-key/{kept}", caller=ADMIN)
    form = await page(running, f"/keys/{made}")
    assert f'<option value="{kept}" selected>' in form
    await post(running, f"/keys/{made}", name="renamed", models="gpt-[4,5]*", provider_key=kept)
    await post(running, f"/keys/{made}", name="renamed", models="gpt-[4,5]*")
    own = next(key for key in (await ask("GET", "/v1/api-keys", caller=ADMIN)).json()["data"] if key["id"] == made)
    assert (own["name"], own["provider_key"], own["models"]) == ("renamed", kept, ["gpt-[4,5]*"])


async def test_what_cannot_be_is_told_in_words(running: RunningGateway) -> None:
    wrong: list[dict[str, Any]] = [{"name": "x", "budgets": "lots"}, {"name": "x", "expires": "soon"}, {"name": ""}]
    for fields in wrong:
        assert 'class="notice bad"' in await post(running, "/keys", status=400, **fields)
    assert "not a number" in await post(running, "/keys/k/rotate", status=400, grace_hours="x")
    await page(running, "/keys/nobody", status=404)
    await post(running, "/keys/nobody/revoke", status=404)


async def test_a_provider_key_is_written_and_never_shown(running: RunningGateway) -> None:
    first, second = "sk-proj-abcdefghijklmnop1234", "sk-proj-qrstuvwxyz0123456789"
    kept = await post(running, "/provider-keys", name="team", provider="openai", secret=first, shared="yes")
    assert "all requests" in kept
    found = re.search(r"/provider-keys/([^/]+)/replace", kept)
    assert found is not None
    replaced = await post(running, f"/provider-keys/{found[1]}/replace", secret=second)
    audit = await page(running, "/audit")
    for html in (kept, replaced, audit, await page(running, "/provider-keys")):
        assert first not in html
        assert second not in html
    assert "No provider key is kept" in await post(running, f"/provider-keys/{found[1]}/remove")


async def test_members_come_change_and_go(running: RunningGateway) -> None:
    made = await post(running, "/members", email="ann@example.com", role="viewer", password="yes")
    secret = re.search(r'id="secret">([^<]+)<', made)
    assert secret is not None
    found = re.search(r"/members/([^/\"]+)/role", made)
    assert found is not None
    assert secret[1] not in await page(running, "/members")
    assert "is member now" in await post(running, f"/members/{found[1]}/role", role="member")
    assert "ann@example.com" in await page(running, "/members", MEMBER)
    assert "is called “Shop”" in await post(running, "/members/organization", name="Shop")
    assert "is removed" in await post(running, f"/members/{found[1]}/remove")
    assert "ann@example.com" not in await page(running, "/members")


async def test_who_may_not_change_things_sees_no_buttons_and_is_refused(running: RunningGateway) -> None:
    assert "<form" not in await page(running, "/members", MEMBER)
    for path in PAGES:
        await page(running, path, VIEWER, 403)
    sidebar = await page(running, "/requests", VIEWER)
    assert all(f'href="/dashboard{path}"' not in sidebar for path in PAGES)
    for path in POSTS:
        for caller in (VIEWER, MEMBER):
            await post(running, path, caller, 403)


async def test_another_organization_finds_nothing_of_this_one(running: RunningGateway) -> None:
    await post(running, "/keys", name="ours-alone")
    one_id = id_of(await page(running, "/keys"), "ours-alone")
    assert "ours-alone" not in await page(running, "/keys", STRANGER)
    assert "ours-alone" not in await page(running, "/audit", STRANGER)
    await page(running, f"/keys/{one_id}", STRANGER, 404)
    await post(running, f"/keys/{one_id}/revoke", STRANGER, 404)


async def test_nothing_that_is_typed_becomes_markup(running: RunningGateway) -> None:
    for number, attack in enumerate(ATTACKS[:-1]):
        await post(running, "/keys", name=attack, owner=attack, models=attack)
        await post(running, "/provider-keys", name=attack, provider="openai", secret=f"sk-attack-{number}-0123456789")
        await post(running, "/members/organization", name=attack)
    for path in PAGES:
        shown = await page(running, path)
        assert "&lt;svg/onload" in shown
    for attack in ATTACKS[:-1]:
        await page(running, f"/audit?{urlencode({'actor': attack, 'subject': attack})}")
        await page(running, f"/keys?{urlencode({'words': attack})}")


async def test_the_audit_log_goes_on_in_parts(running: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helicone_gw_dashboard.pages.audit.LIMIT", 2)
    for name in ("one", "two", "three"):
        await post(running, "/members/organization", name=name)
    html = await page(running, "/audit?action=organization.change")
    more = re.search(r'hx-get="/dashboard([^"]+)"', html)
    assert more is not None
    assert "action=organization.change" in more[1]
    assert "three" in html
    part = await running.gateway.pages.ask(
        "GET", f"/dashboard{more[1].replace('&amp;', '&')}", caller=ADMIN, headers={"HX-Request": "true"}
    )
    assert "<html" not in part.text
    assert "one" in part.text


async def test_without_security_the_pages_say_how_to_add_it(gateway: GatewayFactory) -> None:
    async with gateway(["dashboard"]) as running:
        for path in PAGES:
            assert "is not in the chain" in await page(running, path)


async def test_whoever_runs_the_gateway_makes_names_and_sees_organizations(running: RunningGateway) -> None:
    shown = await post(
        running, "/organizations", id="acme", name="Acme", email="boss@acme.example", password="long enough 4 all"
    )
    assert "boss@acme.example administers it" in shown
    assert "long enough" not in shown
    one = await page(running, "/organizations/acme")
    assert "boss@acme.example" in one
    assert "called “Acme Inc.”" in await post(running, "/organizations/acme", name="Acme Inc.")
    listed = await page(running, "/organizations")
    assert ">Acme Inc.<" in listed
    assert "runs the gateway" in listed
    assert "No organization matches" in await page(running, "/organizations?words=nobody")
    assert "exists" in await post(
        running, "/organizations", status=409, id="acme", email="b@acme.example", password="long enough 4 all"
    )
    await page(running, "/organizations/none", status=404)
    for attack in ATTACKS[:-1]:
        await post(running, "/organizations/acme", name=attack)
    await page(running, "/organizations")
    # Another organization's administrators see nothing of it, not even that there is such a page.
    await page(running, "/organizations", STRANGER, 403)
    await page(running, "/organizations/acme", STRANGER, 403)
    await post(running, "/organizations/acme", STRANGER, 403, name="Mine")
    assert "Organizations" not in await page(running, "/members", STRANGER)
