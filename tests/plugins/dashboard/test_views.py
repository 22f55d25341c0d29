"""Views of the list of requests: who keeps them, sees them, takes them away, and what of an address they are."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from helicone_gw import AuditEntry, GatewayKey
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_dashboard import saved
from helicone_gw_dashboard.saved import reduced
from helicone_gw_dashboard.trouble import Trouble
from tests.plugins.dashboard.asking import page, post
from tests.plugins.dashboard.markup import ATTACKS

pytestmark = pytest.mark.asyncio(loop_scope="module")

VIEWS = "/v1/dashboard/views"
ANN = GatewayKey("user:ann", "ann@example.com", "ann")
BOB = GatewayKey("user:bob", "bob@example.com", "bob")
VIEWER = GatewayKey("k-v", "viewer", "viewer", role="viewer")
ADMIN = GatewayKey("k-a", "admin", "admin", role="admin")
STRANGER = GatewayKey("user:ann", "ann@example.com", "ann", organization="another", role="admin")
FAILED = 'range=7d&filter=[{"request_response_rmt":{"status":{"gte":500}}}]'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    factory = GatewayFactory(tmp_path_factory.mktemp("views"))
    async with factory(["logging", "dashboard"]) as gateway:
        yield gateway


async def ask(
    running: RunningGateway, method: str, path: str, caller: GatewayKey | None, status: int = 200, body: Any = None
) -> Any:
    answer = await running.gateway.pages.ask(method, path, caller=caller, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()["data"] if status == 200 else answer.json()["error"]


async def names(running: RunningGateway, caller: GatewayKey | None) -> list[str]:
    return [one["name"] for one in await ask(running, "GET", VIEWS, caller)]


async def test_a_view_is_its_owners_until_it_is_shared(running: RunningGateway) -> None:
    kept = await ask(running, "POST", VIEWS, ANN, body={"name": " Failed  ones ", "query": FAILED})
    assert (kept["name"], kept["shared"], kept["mine"], kept["owner"]) == ("Failed ones", False, True, ANN.name)
    for other in (BOB, VIEWER, ADMIN, STRANGER):
        assert "Failed ones" not in await names(running, other)
        if other is not VIEWER:
            await ask(running, "DELETE", f"{VIEWS}/{kept['id']}", other, 404)

    again = await ask(running, "POST", VIEWS, ANN, body={"name": "Failed ones", "query": "range=24h", "shared": True})
    assert (again["id"], again["query"], again["shared"]) == (kept["id"], "range=24h", True)
    assert [(one["mine"], one["removable"]) for one in await ask(running, "GET", VIEWS, BOB)] == [(False, False)]
    assert "Failed ones" in await names(running, VIEWER)
    assert "Failed ones" not in await names(running, STRANGER)
    await ask(running, "DELETE", f"{VIEWS}/{kept['id']}", BOB, 403)
    await ask(running, "DELETE", f"{VIEWS}/{kept['id']}", STRANGER, 404)
    assert await ask(running, "DELETE", f"{VIEWS}/{kept['id']}", ADMIN) == {"id": kept["id"]}
    assert "Failed ones" not in await names(running, ANN)


async def test_viewers_keep_nothing_and_what_is_shared_is_in_the_audit_log(running: RunningGateway) -> None:
    audited: list[AuditEntry] = []

    class Sink:
        async def record(self, entry: AuditEntry) -> None:
            audited.append(entry)

    running.gateway.audit.register(Sink())
    wanted = {"name": "Watched", "query": "range=7d"}
    await ask(running, "POST", VIEWS, VIEWER, 403, wanted)
    await ask(running, "POST", VIEWS, ANN, body={**wanted, "name": "Alone"})
    kept = await ask(running, "POST", VIEWS, ANN, body={**wanted, "shared": True})
    await ask(running, "DELETE", f"{VIEWS}/{kept['id']}", VIEWER, 403)
    await ask(running, "DELETE", f"{VIEWS}/{kept['id']}", ANN)
    assert [(each.action, each.actor) for each in audited] == [("view.share", ANN.name), ("view.delete", ANN.name)]


async def test_on_an_open_gateway_everybody_has_the_same_views(running: RunningGateway) -> None:
    kept = await ask(running, "POST", VIEWS, None, body={"name": "Open", "query": "sort=slowest"})
    assert kept["shared"], "or nobody would see it once there are keys"
    assert "Open" in await names(running, BOB)
    await ask(running, "DELETE", f"{VIEWS}/{kept['id']}", None)


async def test_what_is_no_view_is_refused_in_words(running: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: list[tuple[Any, int, str]] = [
        ({"name": " ", "query": ""}, 400, "name"),
        ({"name": "x" * 61, "query": ""}, 400, "name"),
        ({"name": "x", "query": "range=" + "9" * 8000}, 400, "characters"),
        ({"name": "x", "query": "&".join(f"a{n}=1" for n in range(60))}, 400, "no address"),
        ({"name": "x", "query": "", "more": 1}, 400, "more"),
        ({"name": 1, "query": ""}, 400, "name"),
        ("x" * 70_000, 413, "large"),
    ]
    for body, status, said in wrong:
        assert said in await ask(running, "POST", VIEWS, BOB, status, body)
    await ask(running, "DELETE", f"{VIEWS}/nothing", BOB, 404)
    monkeypatch.setattr(saved, "MOST", 1)
    await ask(running, "POST", VIEWS, BOB, body={"name": "one", "query": ""})
    assert "1 views are kept" in await ask(running, "POST", VIEWS, BOB, 400, {"name": "two", "query": ""})
    await ask(running, "POST", VIEWS, BOB, body={"name": "one", "query": "range=90d"})
    monkeypatch.setattr(saved, "MOST_OF_ALL", 1)
    assert "organization" in await ask(running, "POST", VIEWS, ADMIN, 400, {"name": "two", "query": ""})


async def test_a_view_is_what_an_address_says_about_the_list() -> None:
    assert reduced("?range=7d&sort=slowest&cursor=abc&offset=5&columns=x") == "range=7d&sort=slowest"
    assert reduced("filter=%5B%22a%26b%22%5D&from=1&to=2") == "from=1&to=2&filter=%5B%22a%26b%22%5D"
    assert reduced("javascript:alert(1)//") == ""
    with pytest.raises(Trouble):
        reduced("range=" + "7" * 8000)


async def test_the_menu_saves_shows_and_takes_away(running: RunningGateway) -> None:
    menu = await page(running, f"/requests?{FAILED}", ANN)
    query = re.search(r'name="query" value="([^"]*)"', menu)
    assert query is not None
    assert 'hx-post="/dashboard/requests/views"' not in await page(running, "/requests", VIEWER)
    fields = (("name", "From the menu"), ("query", html.unescape(query[1])), ("shared", "yes"))
    shown = (await post(running, "/requests/views", *fields, caller=ANN)).text
    link = re.search(r'href="(/dashboard/requests\?[^"]+)">From the menu<', shown)
    assert link is not None
    assert "status ≥ 500" in await page(running, html.unescape(link[1]).removeprefix("/dashboard"), BOB)
    seen = await page(running, "/requests/views", VIEWER)
    assert "ann@example.com saved it" in seen
    assert "hx-post" not in seen
    assert (await post(running, "/requests/views", *fields, caller=VIEWER)).status_code == 403
    gone = re.search(
        r'hx-post="/dashboard(/requests/views/[^"]+/delete)"[^>]*aria-label="Take away From the menu"', shown
    )
    assert gone is not None
    assert (await post(running, gone[1], caller=VIEWER)).status_code == 403
    assert "From the menu" not in (await post(running, gone[1], caller=ANN)).text


async def test_nothing_that_is_typed_becomes_markup(running: RunningGateway) -> None:
    for attack in ATTACKS[:-1]:
        await ask(running, "POST", VIEWS, ADMIN, body={"name": attack, "query": f"range={attack}", "shared": True})
    shown = await page(running, "/requests/views", VIEWER)
    assert "<svg/onload=window.hacked=1>" in html.unescape(shown)


async def test_without_its_database_the_menu_says_so(running: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> Any:
        raise OSError("gone")

    monkeypatch.setattr(running.gateway.database, "connect", away)
    assert "cannot be reached" in await ask(running, "GET", VIEWS, ANN, 503)


async def test_two_instances_serve_them_once(gateway: GatewayFactory) -> None:
    plugins = ["logging", "dashboard", {"dashboard": {"name": "second", "prefix": "/second", "root": False}}]
    async with gateway(plugins) as running:
        described = json.loads(running.gateway.pages.document())["paths"]
        assert set(described[VIEWS]) == {"get", "post"}
        assert await names(running, ANN) == []
