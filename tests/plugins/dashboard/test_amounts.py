"""Pages of users, properties, models, caches, limits, plugins and settings: what they answer, and to whom."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio

from helicone_gw import GatewayKey, Target
from helicone_gw.testing import GatewayFactory, RunningGateway
from tests.plugins.dashboard.markup import ATTACKS, problems

pytestmark = pytest.mark.asyncio(loop_scope="module")

HTMX = {"HX-Request": "true"}
FORM = {"Content-Type": "application/x-www-form-urlencoded", **HTMX}
LIMITS: dict[str, Any] = {
    "limits": [{"policy": "3;w=3600;s=user", "users": ["busy*"], "name": "few"}, {"concurrency": 20}],
    "budgets": {
        "team": {"limit": 500, "period": "month"},
        "each-user": {"limit": 2, "period": "day", "segment": "user"},
    },
}
PLUGINS: list[Any] = ["logging", "metrics", "cost", {"ratelimit": LIMITS}, "cache", "router", "retries", "dashboard"]
PAGES = ("users", "properties", "models", "cache", "cache/used", "cache/missed", "limits", "plugins", "settings")
VIEWER, MEMBER, ADMIN = (f"sk-helicone-{role}-0123456789abcdef" for role in ("viewer", "member", "admin"))
KEYS = {role: {"key": f"sk-helicone-{role}-0123456789abcdef", "role": role} for role in ("viewer", "member", "admin")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """A gateway that was used by three people, one of whom was busy."""
    factory = GatewayFactory(tmp_path_factory.mktemp("amounts"))
    async with factory(PLUGINS, config={"providers": {"demo": {}}}) as gateway:
        for number in range(4):
            await chat(gateway, "Hello", user="ann@example.com", Property_App="shop", Cache_Enabled="true")
            await chat(gateway, f"Count to {number}", user="busy@example.com", Property_App="search")
        await chat(gateway, "Hi" * 2000, user="bob@example.com", Property_App="shop")
        await written(gateway, 9)
        yield gateway


async def chat(running: RunningGateway, said: str, *, user: str, **headers: str) -> None:
    given = {f"Helicone-{name.replace('_', '-')}": value for name, value in headers.items()}
    await running.chat(said, model="demo", headers={"Helicone-User-Id": user, **given})


async def written(running: RunningGateway, requests: int) -> None:
    """Wait until the log has so many requests."""
    for _ in range(200):
        counted = await running.gateway.pages.ask(
            "POST", "/v1/request/count/query", caller=None, json={"filter": "all"}
        )
        if counted.json()["data"] >= requests:
            return
        await running.gateway.clock.sleep(0.05)
    raise AssertionError("they were not logged")


async def get(running: RunningGateway, path: str, status: int = 200, **headers: str) -> str:
    reply = await running.request("GET", f"/dashboard/{path}", headers={"Accept": "text/html", **headers})
    assert reply.status == status, (path, reply.status, reply.body[-500:])
    page = reply.body.decode()
    outside = [each for each in problems(page) if not each.startswith("a href=http")]
    assert outside == [], path
    return page


async def post(running: RunningGateway, path: str, caller: str = "", **form: str) -> Any:
    headers = {**FORM, "Helicone-Auth": f"Bearer {caller}"} if caller else FORM
    return await running.request("POST", f"/dashboard/{path}", content=urlencode(form).encode(), headers=headers)


def text(page: str) -> str:
    """What a page says, without its markup."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


async def test_who_cost_most_comes_first_in_any_order_that_is_asked_for(running: RunningGateway) -> None:
    users = re.compile(r"<a data-main [^>]+>([^<]+)</a>")
    assert users.findall(await get(running, "users"))[0] == "bob@example.com"
    assert users.findall(await get(running, "users?sort=requests"))[-1] == "bob@example.com"
    assert users.findall(await get(running, "users?words=ann")) == ["ann@example.com"]
    in_vain = await get(running, "users?words=ann&from=1000&to=2000")
    assert "No user of this period has that" in in_vain
    assert "No user of this period has that" in await get(running, "users?words=nobody")
    assert "No user in this period" in await get(running, "users?from=1000&to=2000")
    assert "There is no such order" in await get(running, "users?sort=none", 400)


async def test_yesterday_is_from_midnight_to_midnight_of_the_readers_own_zone(running: RunningGateway) -> None:
    page = await get(running, "users", Cookie="dashboard_clock=-90")
    found = re.search(r'href="[^"]*from=(\d+)&amp;to=(\d+)[^"]*">yesterday<', page)
    assert found is not None
    begin, end = int(found[1]), int(found[2])
    now = running.gateway.clock.now() * 1000
    assert end - begin == 86_400_000
    assert end % 86_400_000 == 90 * 60_000, "midnight there is half past one in UTC"
    assert end <= now < end + 86_400_000
    assert 'aria-current="true">yesterday' in await get(
        running, f"users?from={begin}&to={end}", Cookie="dashboard_clock=-90"
    )


async def test_lists_of_users_and_values_go_on_where_they_ended(
    running: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("users", "properties"):
        monkeypatch.setattr(f"helicone_gw_dashboard.pages.{module}.LIMIT", 1)
    user, value = r"<a data-main [^>]+>([^<]+)</a>", r"<tr>\s*<td[^>]*><a[^>]+>([^<]+)<"
    for path, row, rows in (("users", user, 3), ("properties?key=App", value, 2)):
        page = await get(running, path)
        seen = re.findall(row, page)
        while more := re.search(r'hx-get="/dashboard/([^"]+)" hx-target="closest tr"', page):
            page = await get(running, html.unescape(more[1]), **HTMX)
            assert "<html" not in page
            seen += re.findall(row, page)
        assert len(seen) == len(set(seen)) == rows, path


async def test_a_user_has_figures_a_budget_and_the_latest_requests(running: RunningGateway) -> None:
    page = text(await get(running, "user?id=busy@example.com"))
    assert "Requests 4" in page
    assert "Limits hit 1" in page
    assert "each-user" in page
    assert "429" in page
    assert "No request in this period" in await get(running, "user?id=nobody")
    assert "names no user" in await get(running, "user", 404)


async def test_a_property_has_its_values_and_another_key_can_be_chosen(running: RunningGateway) -> None:
    page = await get(running, "properties")
    assert 'aria-current="true">app<' in page.lower()
    assert "cost by app" in page.lower()
    assert re.search(r">shop</a>.*>search</a>", page, re.S), "by cost"
    assert "has the property Team" in await get(running, "properties?key=Team")


async def test_a_model_has_its_price_its_percentiles_and_its_breaker(running: RunningGateway) -> None:
    page = text(await get(running, "models"))
    assert "$1.00 in, $2.00 out" in page
    assert "healthy" in page
    cells = await get(running, "models/percentiles/latency", **HTMX)
    assert set(re.findall(r'id="([^"]+)"', cells)) <= set(re.findall(r'id="([^"]+)"', await get(running, "models")))
    assert len(re.findall(r'hx-swap-oob="true">[^<]+ m?s<', cells)) == 2, "p50 and p95"
    assert "no such percentiles" in await get(running, "models/percentiles/cost", 404)
    health, target = running.gateway.health, "demo/demo"
    health.cool_down(Target("demo", "demo"), 30, "failed too often (last: answered 500)")
    try:
        page = text(await get(running, "models"))
        assert target in page
        assert "resting" in page
        assert "failed too often" in page
    finally:
        health.recover(Target("demo", "demo"))


async def test_the_cache_says_what_it_saved_why_it_missed_and_what_was_used_most(running: RunningGateway) -> None:
    assert "Hits 3" in text(await get(running, "cache"))
    assert "No answer to the same request was stored" in await get(running, "cache/missed", **HTMX)
    used = await get(running, "cache/used", **HTMX)
    assert re.search(r'data-drawer href="/dashboard/requests/[^"]+"', used)


async def test_stored_answers_are_cleared_by_those_who_say_which(running: RunningGateway) -> None:
    assert (await post(running, "cache/clear")).status == 400
    assert (await post(running, "cache/clear", older_than="soon")).status == 400
    for form, cleared in (({"model": "another"}, 0), ({"everything": "yes"}, 1)):
        done = await post(running, "cache/clear", **form)
        assert done.headers.get("hx-redirect", "") == f"/dashboard/cache?cleared={cleared}"
    assert "1 stored answer cleared" in text(await get(running, "cache?cleared=1"))
    assert "cleared" not in await get(running, "cache?cleared=%3Cb%3E")


async def test_limits_say_what_is_in_force_whom_they_refused_and_how_budgets_stand(running: RunningGateway) -> None:
    page = text(await get(running, "limits"))
    assert "3 requests per hour" in page
    assert re.search(r"users: busy\* few 3 1 ", page), "admitted three times, refused once"
    assert "20 under way at once" in page
    assert re.search(r"team hard all together month", page)
    assert "1 requests" in page or "1 request" in page
    went = await get(running, "limits/burn?budget=team&segment=global", **HTMX)
    assert "What is left of team" in went or "How it went is not known" in went
    assert (await running.request("GET", "/dashboard/limits/burn?budget=none", headers=HTMX)).status == 404


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"name": "mine", "limit": "25", "period": "month", "segment": "user", "mode": "soft"}, "It is valid"),
        ({"name": "team", "limit": "25", "period": "month"}, "named team already"),
        ({"name": "a b", "limit": "25", "period": "month"}, "name:"),
        ({"name": "mine", "limit": "much", "period": "month"}, "limit:"),
        ({"name": "mine", "limit": "-1", "period": "month"}, "limit:"),
        ({"name": "mine", "limit": "1", "period": "decade"}, "period:"),
        ({"name": "mine", "limit": "1", "period": "day", "segment": "<b>"}, "segment:"),
    ],
)
async def test_a_budget_is_written_as_the_plugin_itself_would_take_it(
    running: RunningGateway, form: dict[str, str], says: str
) -> None:
    usual = {"segment": "global", "mode": "hard"}
    page = await get(running, f"limits/yaml?{urlencode(usual | form)}", **HTMX)
    assert says in text(page)
    assert ("mine: { limit: 25, period: month, segment: user, mode: soft }" in page) == (says == "It is valid")


async def test_the_onion_is_that_of_the_running_chain(running: RunningGateway) -> None:
    page = await get(running, "plugins")
    layers = re.findall(r'<a class="name" href="/dashboard/plugins/([^"]+)"', page)
    assert layers == list(running.gateway.chain.layers)
    assert "ratelimit → router" in text(page), "route_model, from outside"
    assert "fails closed" in page


async def test_a_plugin_has_its_settings_its_figures_and_its_readme(running: RunningGateway) -> None:
    page = await get(running, "plugins/ratelimit")
    assert "budgets.team.limit" in page
    assert "ratelimit_decisions" in page
    assert "Limits and budgets: requests, tokens and cents per user" in page
    assert "No plugin of that name" in await get(running, "plugins/nobody", 404)


async def test_settings_say_what_is_kept_and_how_the_gateway_is(running: RunningGateway) -> None:
    page = text(await get(running, "settings"))
    for words in ("for ever", "SQLite", "memory of each worker", "Demo", "healthy", "Journal", "Members"):
        assert words in page


@pytest.mark.parametrize("attack", ATTACKS)
async def test_nothing_that_is_typed_becomes_markup(running: RunningGateway, attack: str) -> None:
    typed = attack.replace("\u0000", "").replace("\u001b", "").encode().decode("latin-1")  # as it travels in a header
    await chat(running, attack, user=typed, Property_App=typed, Cache_Enabled="true")
    said = quote(attack, safe="")
    for path in (
        "users",
        "user?id=",
        "properties?key=",
        "limits",
        "limits/yaml?limit=1&period=day&name=",
        "users?words=",
    ):
        await get(running, path + said if path.endswith("=") else path)
    for path in ("plugins/", "users?sort=", "models?filter=", "cache?cleared=", "users?most=", "users?offset="):
        reply = await running.request("GET", f"/dashboard/{path}{said}")
        assert reply.status in (200, 400, 404), path
        assert problems(reply.body.decode()) == [], path


async def test_what_people_wrote_is_shown_as_text(running: RunningGateway) -> None:
    await chat(running, "Hello", user=ATTACKS[0], Property_App=ATTACKS[0], Cache_Enabled="true")
    before = 0
    for _ in range(100):
        page = await get(running, "users?words=script")
        before = page.count("&lt;script&gt;")
        if before:
            break
        await running.gateway.clock.sleep(0.05)
    assert before
    for path in ("users", "properties", "cache/missed", "limits"):
        assert "&lt;script&gt;" in await get(running, path), path


async def test_pages_without_their_plugins_say_how_to_add_them(gateway: GatewayFactory) -> None:
    async with gateway(["logging", "dashboard"]) as running:
        for path in PAGES:
            await get(running, path)
        assert "cache: {}" in await get(running, "cache")
        assert "budgets:" in await get(running, "limits")
    async with gateway(["dashboard"]) as running:
        for path, status in (("users", 404), ("properties", 404), ("models", 200), ("cache", 200), ("limits", 200)):
            assert "plugins do not serve that" in await get(running, path, status)
        for path in ("plugins", "settings"):
            await get(running, path)


async def test_viewers_see_amounts_and_may_change_nothing(gateway: GatewayFactory) -> None:
    guarded = [{"security": {"keys": KEYS}}, {"ratelimit": {"key_budgets": True}}]
    plugins = ["logging", "cost", *guarded, "cache", "dashboard"]
    async with gateway(plugins, config={"providers": {"demo": {}}}) as running:

        async def seen(path: str, key: str, status: int = 200) -> str:
            return await get(running, path, status, **{"Helicone-Auth": f"Bearer {key}"})

        for path in ("users", "properties", "models", "cache", "limits"):
            assert "<button>" not in await seen(path, VIEWER), path
        for path in ("plugins", "plugins/cache", "settings", "limits/yaml?name=x"):
            await seen(path, VIEWER, 403)
        for path, key in (("cache/clear", VIEWER), ("limits/key-budget", VIEWER), ("limits/key-budget", MEMBER)):
            assert (await post(running, path, key, everything="yes", period="month")).status == 403, path
        assert "Set for the key" not in await seen("limits", MEMBER)
        assert "hidden" in await seen("plugins/security", ADMIN)
        assert MEMBER not in await seen("plugins/security", ADMIN)
        await _set_budgets(running)


async def _set_budgets(running: RunningGateway) -> None:
    """An administrator gives a key budgets, one for each period, and takes one away again."""
    as_admin = {"Helicone-Auth": f"Bearer {ADMIN}"}
    made = await running.request("POST", "/v1/api-keys", json={"name": "app"}, headers=as_admin)
    key = made.json()["id"]

    async def set_to(limit: str, period: str) -> Any:
        done = await post(running, "limits/key-budget", ADMIN, key=key, limit=limit, period=period)
        listed = (await running.request("GET", "/v1/api-keys", headers=as_admin)).json()["data"]
        return done.status, next(each["budgets"] for each in listed if each["id"] == key)

    assert await set_to("25", "month") == (204, ["25/month"])
    assert await set_to("2", "day") == (204, ["25/month", "2/day"])
    assert await set_to("30", "month") == (204, ["2/day", "30/month"])
    assert await set_to("much", "month") == (400, ["2/day", "30/month"])
    assert (await set_to("", "month"))[1] == ["2/day"]
    assert (await set_to("5", "decade"))[0] == 400
    assert (await post(running, "limits/key-budget", ADMIN, key="nobody", limit="5", period="day")).status == 404


async def test_another_organization_sees_its_own_and_nothing_of_the_gateway(running: RunningGateway) -> None:
    stranger = GatewayKey("k", "stranger", "stranger", organization="another", role="admin")
    ask = running.gateway.pages.ask
    for path in ("users", "properties", "models", "cache", "cache/used", "cache/missed", "limits"):
        answer = await ask("GET", f"/dashboard/{path}", caller=stranger)
        assert answer.status_code == 200
        assert "example.com" not in answer.text, path
        assert "Health of targets" not in answer.text
        assert 'href="/dashboard/plugins"' not in answer.text
        assert "busy" not in answer.text, "whom limits are for"
    for path in ("plugins", "plugins/ratelimit", "settings", "limits/yaml?name=team&limit=1&period=day"):
        assert (await ask("GET", f"/dashboard/{path}", caller=stranger)).status_code == 403, path
