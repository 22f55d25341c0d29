"""Every page of the dashboard: what it answers to whom, and that nothing which somebody typed becomes markup."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from helicone_gw import GatewayKey
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_dashboard.assets import STYLES, Assets
from tests.plugins.dashboard.markup import ATTACKS, problems

pytestmark = pytest.mark.asyncio(loop_scope="module")

HTMX = {"HX-Request": "true"}
LOGGED = ["logging", "cost", "security", "cache", "router", "retries", "dashboard"]
VIEWER, MEMBER = "sk-helicone-viewer-0123456789abcdef", "sk-helicone-member-0123456789abcdef"
KEYS = {"viewer": {"key": VIEWER, "role": "viewer"}, "member": {"key": MEMBER, "role": "member"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """One gateway for all tests that do not mind what others left in its log."""
    factory = GatewayFactory(tmp_path_factory.mktemp("dashboard"))
    async with factory(LOGGED, config={"providers": {"demo": {}}}) as gateway:
        yield gateway


async def logged(running: RunningGateway, **headers: str) -> dict[str, Any]:
    """A request through the gateway, as the log has it."""
    reply = await running.chat("Hello!", model="demo", headers={f"Helicone-{k}": v for k, v in headers.items()})
    assert reply.status == 200, reply.body
    own = {"request_response_rmt": {"request_id": {"equals": reply.headers.get("helicone-id")}}}
    for _ in range(100):
        found = (await running.gateway.pages.ask("POST", "/v1/request/query", caller=None, json={"filter": own})).json()
        if found["data"]:
            one: dict[str, Any] = found["data"][0]
            return one
        await running.gateway.clock.sleep(0.05)
    raise AssertionError("it was not logged")


async def get(running: RunningGateway, path: str, **headers: str) -> str:
    reply = await running.request("GET", path, headers={"Accept": "text/html", **headers})
    assert reply.status == 200, (path, reply.status, reply.body[:500])
    return reply.body.decode()


async def test_it_is_at_the_root_for_browsers_and_there_for_programs_that_want_its_pages(
    running: RunningGateway,
) -> None:
    assert await get(running, "/dashboard/") == await get(running, "/dashboard") == await get(running, "/")
    assert (await running.request("GET", "/", headers={"Accept": "application/json"})).status == 200


async def test_pages_run_nothing_of_their_own_and_are_kept_by_nobody(running: RunningGateway) -> None:
    one = await logged(running)
    for path in (
        "/",
        "/dashboard/requests",
        f"/dashboard/requests/{one['id']}",
        "/dashboard/sessions",
        "/dashboard/lists/user",
        "/dashboard/lists/property",
    ):
        reply = await running.request("GET", path, headers={"Accept": "text/html"})
        policy = reply.headers.get("content-security-policy", "")
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers.get("cache-control", "") == "no-store"
        assert reply.headers.get("x-content-type-options", "") == "nosniff"
        assert problems(reply.body.decode()) == [], path


async def test_assets_are_kept_for_ever_at_addresses_of_their_content(running: RunningGateway) -> None:
    page = await get(running, "/dashboard/requests")
    addresses = re.findall(r'(?:src|href|data-kept)="(/dashboard/assets/[^"]+)"', page)
    names = {address.rpartition("/")[2] for address in addresses}
    assert names >= {"dashboard.css", "dashboard.js", "list.js"}
    for address in addresses:
        plain = await running.request("GET", address)
        assert "immutable" in plain.headers.get("cache-control", "")
        zipped = await running.request("GET", address, headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(zipped.body) == plain.body
    other = re.sub(r"/assets/\w+/", "/assets/000000000000/", addresses[0])
    assert (await running.request("GET", other)).status == 404
    for outside in ("../site.py", "vendor/htmx.LICENSE.txt", "vendor/LOCK", "%2e%2e/site.py"):
        assert (await running.request("GET", f"/dashboard/assets/000000000000/{outside}")).status == 404


async def test_a_first_page_brings_its_styles_and_the_next_ones_do_not(running: RunningGateway) -> None:
    styles = Assets()[STYLES]
    address = f"/dashboard/assets/{styles.tag}/{STYLES}"
    goes = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
    first = await running.request("GET", "/dashboard/settings", headers=goes)
    brought = re.search(r"<style [^>]*>(.*)</style>", first.body.decode(), re.DOTALL)
    assert brought is not None
    digest = base64.b64encode(hashlib.sha256(brought[1].encode()).digest()).decode()
    assert f"style-src 'self' 'sha256-{digest}';" in (first.headers.get("content-security-policy") or "")
    assert f'data-kept="{address}" data-tag="{styles.tag}"' in first.body.decode()
    for known, brings in ((styles.tag, False), ("older", True)):
        cookie = {**goes, "Cookie": f"dashboard_styles={known}"}
        again = await running.request("GET", "/dashboard/settings", headers=cookie)
        assert (f'<link rel="stylesheet" href="{address}">' in again.body.decode()) != brings
        assert ("sha256-" in (again.headers.get("content-security-policy") or "")) == brings


async def test_what_was_chosen_in_a_browser_stands_in_its_pages(running: RunningGateway) -> None:
    chosen = await get(running, "/dashboard/requests", Cookie="dashboard_theme=dark; dashboard_hidden=user%20cost")
    assert '<html lang="en" data-hidden="user cost" data-theme="dark">' in chosen
    attack = await get(running, "/", Cookie='dashboard_theme=x"onclick; dashboard_hidden=%22%3E%3Cscript%3E')
    assert '<html lang="en" data-hidden="&#34;&gt;&lt;script&gt;">' in attack


async def test_days_begin_in_the_readers_zone(running: RunningGateway) -> None:
    def charted(page: str) -> int:
        found = re.search(r'data-chart="([^"]+)"', page)
        assert found is not None
        return int(json.loads(html.unescape(found[1]))["x"][0])

    await logged(running)
    kolkata = charted(await get(running, "/?range=30d", Cookie="dashboard_zone=Asia%2FKolkata; dashboard_clock=0"))
    assert kolkata % 86400 == 86400 - 19_800
    for zone in ("", "dashboard_zone=../../etc/passwd; ", "dashboard_zone=No%2FWhere; "):
        assert charted(await get(running, "/?range=30d", Cookie=f"{zone}dashboard_clock=60")) % 86400 == 86400 - 3600


async def test_answers_used_most_are_counted_among_the_latest_hits(
    running: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await logged(running, **{"Cache-Enabled": "true", "User-Id": "cached"})
    assert "Of the latest" not in await get(running, "/dashboard/cache/used", **HTMX)
    monkeypatch.setattr("helicone_gw_dashboard.pages.cache.MOST_HITS", 1)
    assert "Of the latest 1 hits." in await get(running, "/dashboard/cache/used", **HTMX)


async def test_pages_are_compressed_for_those_who_can_read_it(running: RunningGateway) -> None:
    reply = await running.request("GET", "/dashboard/welcome", headers={"Accept-Encoding": "gzip, br"})
    assert reply.headers.get("content-encoding", "") == "gzip"
    assert b"<!doctype html>" in gzip.decompress(reply.body)


async def test_what_no_sums_tell_is_told_of_the_newest_requests_first(
    running: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pages.users", "pages.overview"):
        monkeypatch.setattr(f"helicone_gw_dashboard.{name}.NEWEST", 2)
    for number in range(4):
        one = await logged(running, **{"User-Id": f"reader-{number}"})
    model = json.dumps([{"request_response_rmt": {"model": {"equals": one["response_model"] or one["request_model"]}}}])
    for path, link in (("/dashboard/users", "all of them"), ("/dashboard/lists/user", "All of them")):
        asked = f"{path}?filter={quote(model)}"
        shown = await get(running, asked)
        assert "of the newest 2 requests that match, since" in shown.replace("Of", "of")
        assert link in shown
        assert [f"reader-{number}" in shown for number in range(4)] == [False, False, True, True]
        everything = await get(running, f"{asked}&every=1")
        assert "of the newest" not in everything.replace("Of", "of")
        assert all(f"reader-{number}" in everything for number in range(4))
        assert "newest 2" not in await get(running, path), "sums tell it of everybody"
    assert "2+" in await get(running, f"/dashboard/active-users?filter={quote(model)}")
    assert "2+" not in await get(running, "/dashboard/active-users")


async def test_nothing_that_users_or_models_write_becomes_markup(running: RunningGateway) -> None:
    ask = running.gateway.pages.ask
    for attack in ATTACKS:
        await _write(running, attack)
    listed = (await ask("POST", "/v1/request/query", caller=None, json={"filter": "all", "limit": 50})).json()["data"]
    pages = ["/", "/dashboard/requests", "/dashboard/lists/user", "/dashboard/lists/property", "/dashboard/sessions"]
    pages += [f"/dashboard/requests/{each['id']}" for each in listed]
    pages += [f"/dashboard/session?id={quote(each['session_id'])}" for each in listed if each["session_id"]]
    for path in pages:
        reply = await running.request("GET", path, headers={"Accept": "text/html"})
        assert reply.status == 200 or path.startswith("/dashboard/session?"), path
        page = reply.body.decode()
        assert problems(page) == [], path
        assert "49{% raw %}" not in page
    assert "<script>window.hacked" in html.unescape(await get(running, "/dashboard/requests")), "it is shown as text"


async def _write(running: RunningGateway, attack: str) -> None:
    """Put ``attack`` wherever a client, or the model that answers, can write."""
    typed = attack.replace("\u0000", "").replace("\u001b", "").encode().decode("latin-1")  # as it travels in a header
    names = ("User-Id", "Session-Id", "Session-Name", "Session-Path", "Property-App")
    one = await logged(running, **dict.fromkeys(names, typed))
    body = {"model": "demo", "messages": [{"role": attack, "content": attack}], attack: attack, "user": attack}
    await running.request("POST", "/v1/chat/completions", json=body)
    ask = running.gateway.pages.ask
    await ask("POST", f"/v1/request/{one['id']}/score", caller=None, json={"scores": {attack: 1.0}})
    await ask("PUT", f"/v1/request/{one['id']}/property", caller=None, json={"key": attack, "value": attack})


@pytest.mark.parametrize("attack", ATTACKS)
async def test_nothing_in_an_address_becomes_markup(running: RunningGateway, attack: str) -> None:
    said = quote(attack, safe="")
    for path in (f"/dashboard/requests?filter={said}", f"/dashboard/requests/{said}", f"/dashboard/session?id={said}"):
        reply = await running.request("GET", path)
        assert reply.status in (200, 400, 404), path
        assert problems(reply.body.decode()) == [], path
    for path in (f"/dashboard/sessions?words={said}", f"/?property={said}", f"/dashboard/requests/search?words={said}"):
        reply = await running.request("GET", path, headers={"Accept": "text/html"})
        assert reply.status in (200, 303), path
        assert problems(reply.body.decode()) == [], path


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/dashboard/requests?range=2h", 400),
        ("/dashboard/requests?sort=none", 400),
        ("/dashboard/requests?offset=x", 400),
        ("/dashboard/requests?filter=[{%22no%22:{%22such%22:{%22equals%22:1}}}]", 400),
        ("/dashboard/requests/filter?column=none", 400),
        ("/dashboard/requests/filter?column=cost&operator=contains&value=1", 400),
        ("/dashboard/requests/filter?column=cost&operator=gt&value=x", 400),
        ("/dashboard/requests/filter?column=properties&operator=equals&value=x", 400),
        ("/dashboard/requests/01a21942-f918-736f-b964-5a45cf3951f9", 404),
        ("/dashboard/session?id=nobody", 404),
        ("/dashboard/of/nobody/nothing", 404),
        ("/dashboard/nothing", 404),
    ],
)
async def test_what_cannot_be_shown_says_why(running: RunningGateway, path: str, status: int) -> None:
    reply = await running.request("GET", path)
    assert reply.status == status
    assert 'role="alert"' in reply.body.decode()
    part = await running.request("GET", path, headers=HTMX)
    assert part.status == status
    assert part.headers.get("hx-retarget", "") == "#notices"
    assert "<html" not in part.body.decode()


async def test_a_filter_from_the_form_is_put_into_the_address(running: RunningGateway) -> None:
    path = "/dashboard/requests/filter?range=7d&column=properties&key=App&operator=equals&value=shop"
    reply = await running.request("GET", path)
    assert reply.status == 303
    assert reply.headers.get("location", "").startswith(
        "/dashboard/requests?range=7d&filter=%5B%7B%22request_response_rmt"
    )


MANY = '{"request_response_rmt":{"user_id":{"equals":"many"}}}'


async def test_parts_of_lists_follow_each_other(running: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helicone_gw_dashboard.pages.requests.LIMIT", 2)
    for number in range(3):
        await running.chat(f"Hello {number}", model="demo", headers={"Helicone-User-Id": "many"})
    await logged(running, **{"User-Id": "many"})
    page = await get(running, f"/dashboard/requests?filter={quote(MANY)}")
    seen = re.findall(r'data-row="([^"]+)"', page)
    while more := re.search(r'hx-get="([^"]+)" hx-target="closest tr"', page):
        page = await get(running, html.unescape(more[1]), **HTMX)
        assert "<html" not in page
        seen += re.findall(r'data-row="([^"]+)"', page)
    assert len(seen) == len(set(seen)) == 4


async def test_a_long_session_comes_in_parts(running: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helicone_gw_dashboard.pages.sessions.STEPS", 2)
    for number in range(3):
        await logged(running, **{"Session-Id": "long & broad", "Session-Path": f"/step-{number}"})
    page = await get(running, "/dashboard/session?id=long%20%26%20broad")
    assert "4 more" in page, "three nodes, and a request of each"
    seen = re.findall(r'href="/dashboard/requests/([^"?]+)"', page)
    while more := re.search(r'hx-get="([^"]+)" hx-trigger="click, revealed"', page):
        page = await get(running, html.unescape(more[1]), **HTMX)
        assert "<html" not in page
        seen += re.findall(r'href="/dashboard/requests/([^"]+)"', page)
    assert len(seen) == len(set(seen)) == 3


async def test_without_a_log_the_pages_say_what_is_missing(gateway: GatewayFactory) -> None:
    async with gateway(["dashboard"]) as running:
        assert "plugins do not serve that" in await get(running, "/")
        reply = await running.request("GET", "/dashboard/requests")
        assert reply.status == 404
        assert "plugins do not serve that" in reply.body.decode()


async def test_a_fault_is_told_to_the_log_and_not_to_the_reader(
    running: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: Any) -> Any:
        raise RuntimeError("a secret")

    await logged(running)
    monkeypatch.setattr("helicone_gw_dashboard.pages.requests.Lens.read", faulty)
    reply = await running.request("GET", "/dashboard/requests")
    assert reply.status == 500
    assert b"secret" not in reply.body


async def test_who_has_no_session_is_sent_to_the_login_and_may_have_nothing_else(gateway: GatewayFactory) -> None:
    plugins = [{"security": {"keys": KEYS}} if name == "security" else name for name in LOGGED]
    async with gateway(plugins, config={"providers": {"demo": {}}}) as running:
        away = await running.request("GET", "/dashboard/requests?range=7d", headers={"Accept": "text/html"})
        assert away.status == 303
        assert away.headers.get("location", "") == "/dashboard/login?next=/dashboard/requests%3Frange%3D7d"
        assert (await running.request("GET", "/dashboard/requests")).status == 401
        assert (await running.request("GET", "/dashboard/requests/live")).status == 401
        page = await get(running, "/dashboard/login?next=/dashboard/sessions&error=login_failed")
        assert 'name="next" value="/dashboard/sessions"' in page
        assert "That is not right" in page
        assert problems(page) == []
        style = re.search(r'href="([^"]+dashboard\.css)"', page)
        assert style is not None
        assert (await running.request("GET", style[1])).status == 200


async def test_viewers_change_nothing(gateway: GatewayFactory) -> None:
    plugins = [{"security": {"keys": KEYS}} if name == "security" else name for name in LOGGED]
    async with gateway(plugins, config={"providers": {"demo": {}}}) as running:
        one = await logged(running, Auth=f"Bearer {MEMBER}")
        changes = {
            "rating": b"rating=good",
            "score": b"name=a&value=1",
            "property": b"key=a&value=1",
        }
        form = {"Content-Type": "application/x-www-form-urlencoded", **HTMX}
        for name, body in changes.items():
            path = f"/dashboard/requests/{one['id']}/{name}"
            refused = await running.request(
                "POST", path, content=body, headers={**form, "Helicone-Auth": f"Bearer {VIEWER}"}
            )
            assert refused.status == 403, name
        page = await get(running, f"/dashboard/requests/{one['id']}", **{"Helicone-Auth": f"Bearer {VIEWER}"})
        assert "Set the score" not in page
        for name, body in changes.items():
            path = f"/dashboard/requests/{one['id']}/{name}"
            done = await running.request(
                "POST", path, content=body, headers={**form, "Helicone-Auth": f"Bearer {MEMBER}"}
            )
            assert done.status == 200, done.body
        assert '<span class="badge good">good</span>' in done.body.decode()


async def test_behind_a_prefix_all_addresses_have_it(gateway: GatewayFactory) -> None:
    settings = {"prefix": "/watch", "root": False, "forwarded_prefix": True}
    async with gateway(["logging", {"dashboard": settings}]) as running:
        page = await get(running, "/watch/welcome", **{"X-Forwarded-Prefix": "/llm"})
        addresses = re.findall(r'(?:href|src|data-live|data-to)="(/[^"]+)"', page)
        assert addresses
        assert all(address.startswith(("/llm/watch/", "/llm/v1/")) for address in addresses)
        assert "http://127.0.0.1:8787/llm/v1" in page
        for said in ("//evil.example", "javascript:x", '/a"b', "/a b", "https://evil.example"):
            page = await get(running, "/watch/welcome", **{"X-Forwarded-Prefix": said})
            assert said not in html.unescape(page)
        assert (await running.request("GET", "/dashboard/requests")).status == 404
        assert (await running.request("GET", "/", headers={"Accept": "text/html"})).status == 404


async def test_a_trusted_proxys_prefix_is_the_gateways_and_needs_no_setting(gateway: GatewayFactory) -> None:
    trusting = {"server": {"trusted_proxies": ["127.0.0.0/8"]}}
    async with gateway(["logging", "dashboard"], config=trusting) as running:
        assert 'href="/llm/dashboard' in await get(running, "/dashboard/welcome", **{"X-Forwarded-Prefix": "/llm"})


async def test_nobody_is_believed_about_a_prefix_unless_it_is_configured(running: RunningGateway) -> None:
    assert "/llm" not in await get(running, "/dashboard/welcome", **{"X-Forwarded-Prefix": "/llm"})


async def test_one_organization_sees_nothing_of_another(running: RunningGateway) -> None:
    one = await logged(running, **{"Session-Id": "theirs"})
    stranger = GatewayKey("k", "stranger", "stranger", organization="another", role="admin")
    ask = running.gateway.pages.ask
    for path in (f"/dashboard/requests/{one['id']}", "/dashboard/session?id=theirs"):
        assert (await ask("GET", path, caller=stranger)).status_code == 404
    assert "No request matches" in (await ask("GET", "/dashboard/requests", caller=stranger)).text
    assert "Send a demo request" in (await ask("GET", "/dashboard/", caller=stranger)).text


async def test_every_figure_leads_to_the_requests_that_it_counts(gateway: GatewayFactory) -> None:
    limited = {"ratelimit": {"limits": [{"policy": "4;w=3600;u=request"}]}}
    async with gateway(
        ["logging", "cost", limited, "cache", "dashboard"], config={"providers": {"demo": {}}}
    ) as running:
        for text in ("a", "a", "b", "c", "d", "e", "f"):
            await running.chat(text, model="demo", headers={"Helicone-Cache-Enabled": "true"})
        everything = {"filter": "all"}
        for _ in range(100):
            counted = await running.gateway.pages.ask("POST", "/v1/request/count/query", caller=None, json=everything)
            if counted.json()["data"] == 7:
                break
            await running.gateway.clock.sleep(0.05)
        page = await get(running, "/")
        figures = re.findall(
            r'<a href="/dashboard/requests\?([^"]+)" class="figure">\s*<div class="label">([^<]+)</div>\s*'
            r'<div class="value">([^<]+?)\s*</div>\s*(?:<div class="note">([^<]+)</div>)?',
            page,
        )
        found = {label: (html.unescape(query), value, note) for query, label, value, note in figures}
        for label, number in {"Requests": 7, "Errors": 2, "Limits hit": 2}.items():
            query, value, _ = found[label]
            assert value == str(number), label
            assert f"{number} request" in await get(running, f"/dashboard/requests/count?{query}", **HTMX), label
        query, _, note = found["Saved by caches"]
        assert note == "1 hit"
        assert "1 request" in await get(running, f"/dashboard/requests/count?{query}", **HTMX)
