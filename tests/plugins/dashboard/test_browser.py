"""The dashboard as people see it: in a real browser, over a real connection, in front of the real program."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.fixtures.chromium import violations, watched
from tests.plugins.dashboard.seeding import STEPS, seed
from tests.program import gateway

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

VIEWER, ADMIN = "sk-helicone-viewer-0123456789abcdef", "sk-helicone-admin-0123456789abcdef"
PLUGINS = ["logging", "cost", "security", "cache", "router", "retries", "dashboard"]
PAGES = ("/", "/dashboard/requests", "/dashboard/sessions", "/dashboard/session?id=trip-0", "/dashboard/welcome")


def config(directory: Path, plugins: list[Any]) -> dict[str, Any]:
    database = {"url": f"sqlite:///{directory / 'helicone.db'}"}
    return {"database": database, "providers": {"demo": {}}, "plugins": plugins}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a gateway that nobody has asked anything yet."""
    directory = tmp_path_factory.mktemp("fresh")
    with gateway(config(directory, PLUGINS), directory) as url:
        yield url


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a gateway with keys, and with requests of many days."""
    directory = tmp_path_factory.mktemp("used")
    keys = {"viewer": {"key": VIEWER, "role": "viewer"}, "admin": {"key": ADMIN, "role": "admin"}}
    plugins = [{"security": {"keys": keys}} if name == "security" else name for name in PLUGINS]
    with gateway(config(directory, plugins), directory) as url:
        seed(url, 100, headers={"Helicone-Auth": f"Bearer {ADMIN}"})
        yield url


@asynccontextmanager
async def visiting(browser: Browser, key: str = "", **options: Any) -> AsyncIterator[tuple[Page, list[str]]]:
    """A browser's page, whose requests bring ``key``; and what its console complained of."""
    if key:
        options["extra_http_headers"] = {"Helicone-Auth": f"Bearer {key}"}
    context = await browser.new_context(viewport=options.pop("viewport", {"width": 1280, "height": 850}), **options)
    context.set_default_timeout(10_000)
    page = await context.new_page()
    problems = watched(page)
    yield page, problems
    await context.close()


async def test_the_first_request_appears_by_itself_and_leads_to_its_bodies_and_its_session(
    chromium: Browser, fresh: str, axe: str
) -> None:
    async with visiting(chromium) as (page, problems):
        await page.goto(fresh)
        await expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
        await expect(page.locator("#code-openai-python")).to_contain_text(f'base_url="{fresh}/v1"')
        assert await violations(page, axe) == []

        await page.get_by_role("button", name="Send a demo request").click()
        row = page.locator("#rows tr").first
        await expect(row.locator(".col-cost")).to_contain_text("$0.0000")

        await row.locator("a[data-drawer]").click()
        await page.get_by_role("tab", name="Raw").click()
        await expect(page.locator("#raw-request")).to_contain_text("What are you?")
        await expect(page.locator("#raw-response")).to_contain_text("Hello from demo")
        await page.get_by_role("tab", name="Cost").click()
        await expect(page.locator("#panel-money")).to_contain_text("price: built-in")
        await page.get_by_role("tab", name="Again").click()
        await expect(page.locator("#again-curl")).to_contain_text("curl " + fresh)
        await page.get_by_role("button", name="Send it again").click()
        await expect(page.locator("#replay-state")).to_contain_text("Answered with status 200")
        await expect(page.get_by_role("link", name="See it")).to_be_visible()
        await page.keyboard.press("Escape")
        await row.locator(".col-session a").click()
        await expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
        await expect(page.locator(".fall")).to_contain_text("hello")
        assert problems == []


async def test_what_users_and_models_write_is_shown_and_does_nothing(chromium: Browser, fresh: str) -> None:
    attack = '"><img src=x onerror=window.hacked=1><script>window.hacked=1</script>'
    headers = {f"Helicone-{name}": attack for name in ("User-Id", "Session-Name", "Session-Path", "Property-App")}
    headers |= {"Helicone-Session-Id": "attacked"}
    async with visiting(chromium) as (page, problems):
        body = {"model": "demo", "messages": [{"role": "user", "content": attack}]}
        await page.goto(f"{fresh}/dashboard/requests")
        asked = await page.request.post(f"{fresh}/v1/chat/completions", data=body, headers=headers)
        assert asked.ok
        row = page.locator("#rows tr", has_text="onerror").first
        await row.locator("a[data-drawer]").click()
        await expect(page.locator("#drawer-content .turn.answer")).to_contain_text("<script>window.hacked=1</script>")
        for path in ("/", "/dashboard/sessions", "/dashboard/session?id=attacked", "/dashboard/requests"):
            await page.goto(fresh + path)
            await expect(page.locator("main")).to_contain_text("onerror=window.hacked")
        assert await page.evaluate("window.hacked") is None
        assert problems == []


async def test_the_overview_is_drawn_and_narrowed_by_a_click_and_a_drag(chromium: Browser, used: str, axe: str) -> None:
    async with visiting(chromium, ADMIN) as (page, problems):
        sizes: list[Any] = []
        page.on("response", lambda response: sizes.append(response))
        await page.goto(f"{used}/?range=30d")
        await expect(page.locator(".uplot canvas")).to_have_count(4)
        await expect(page.locator("#lists")).to_contain_text("gpt-4o-mini")
        await expect(page.locator(".figure", has_text="Requests")).to_contain_text("118")
        transferred = 0
        for response in sizes:
            found = await response.request.sizes()
            transferred += found["responseBodySize"] + found["responseHeadersSize"]
        assert transferred <= 150_000
        assert await violations(page, axe) == []

        await page.locator("#lists a", has_text="gpt-4o-mini").click()
        await expect(page.locator(".chip")).to_contain_text("model = gpt-4o-mini")
        chart = page.locator("[data-chart] .u-over").first
        box = await chart.bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 20)
        await page.mouse.down()
        await page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 20, steps=4)
        await page.mouse.up()
        await page.wait_for_url("**from=*")
        await expect(page.locator(".chip")).to_contain_text("model = gpt-4o-mini")
        assert problems == []


async def test_what_is_waited_for_and_what_does_not_come_is_shown(chromium: Browser, used: str) -> None:
    held, asked = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        asked.set()
        await held.wait()
        await route.abort()

    async with visiting(chromium, ADMIN) as (page, problems):
        await page.route("**/lists/key*", hold)
        await page.goto(f"{used}/?range=30d")
        await asked.wait()
        await expect(page.locator("body")).to_have_class("busy")
        await expect(page.get_by_label("Keys")).to_contain_text("…")
        held.set()
        await expect(page.locator("#notices")).to_contain_text("The gateway cannot be reached")
        await expect(page.locator("body")).not_to_have_class("busy")
        await page.get_by_role("button", name="Dismiss").click()
        await expect(page.locator(".notice")).to_have_count(0)
        assert all("htmx:" in each for each in problems), "htmx tells the console of it, and nothing else does"


async def test_who_is_logged_out_meanwhile_goes_to_the_login(chromium: Browser, used: str) -> None:
    async with visiting(chromium) as (page, problems):
        await page.goto(f"{used}/dashboard/requests?range=90d")
        await page.get_by_label("Gateway key").fill(VIEWER)
        await page.keyboard.press("Enter")
        await expect(page.locator("#rows a[data-drawer]").first).to_be_visible()
        await page.get_by_role("button", name="Live").click()
        await page.context.clear_cookies(name="helicone_gw_session")
        await page.locator("#rows a[data-drawer]").first.click()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        assert problems == []


async def test_filters_are_built_by_clicks_and_live_in_the_address(chromium: Browser, used: str, axe: str) -> None:
    async with visiting(chromium, ADMIN) as (page, problems):
        await page.goto(f"{used}/dashboard/requests?range=90d")
        await expect(page.locator("#count")).to_contain_text("118 requests")
        await page.locator("#rows .col-model a", has_text="gpt-5").first.click()
        await expect(page.locator(".chip")).to_have_text("model = gpt-5×")
        assert json.loads(dict(httpx.URL(page.url).params)["filter"]) == [
            {"request_response_rmt": {"model": {"equals": "gpt-5"}}}
        ]
        await page.get_by_text("Add a filter").click()
        await page.get_by_label("Column", exact=True).select_option("latency")
        await page.get_by_label("Comparison").select_option("gte")
        await page.get_by_label("Value; none").fill("4000")
        await page.get_by_role("button", name="Add", exact=True).click()
        await expect(page.locator(".chip")).to_have_count(2)
        await expect(page.locator("#count")).not_to_be_empty()
        assert await violations(page, axe) == []

        await page.get_by_label("Without: model = gpt-5").click()
        await expect(page.locator(".chip")).to_have_text("latency ≥ 4000 ms×")
        await page.get_by_label("Find").fill("nobody was this")
        await page.keyboard.press("Enter")
        await expect(page.locator(".empty")).to_contain_text("No request matches")
        assert problems == []


async def test_the_list_is_told_of_new_requests_until_it_is_paused(chromium: Browser, used: str) -> None:
    question = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"Helicone-Auth": f"Bearer {ADMIN}", "Helicone-User-Id": "somebody-new"}
    async with visiting(chromium, ADMIN) as (page, problems):
        await page.goto(f"{used}/dashboard/requests")
        async with page.expect_response("**/requests/live*"):
            await page.reload()
        asked = await page.request.post(f"{used}/v1/chat/completions", data=question, headers=headers)
        assert asked.ok
        await expect(page.locator("tr.fresh .col-user")).to_have_text("somebody-new")
        await page.get_by_role("button", name="Live").click()
        await expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "false")
        assert problems == []


async def test_columns_and_the_theme_are_remembered_in_the_browser_and_views_by_the_gateway(
    chromium: Browser, used: str, axe: str
) -> None:
    async with visiting(chromium, ADMIN) as (page, problems):
        await page.goto(f"{used}/dashboard/requests?range=90d&sort=most+expensive")
        # What an older page kept in this browser becomes the gateway's own.
        await page.evaluate("""localStorage["dashboard-views"] = '[{"name": "Old ones", "query": "sort=oldest"}]'""")
        async with page.expect_response("**/v1/dashboard/views") as moved:
            await page.reload()
        assert (await moved.value).ok
        await page.get_by_text("Columns", exact=True).click()
        await page.get_by_label("User", exact=True).uncheck()
        await expect(page.locator("td.col-user").first).to_be_hidden()
        await page.keyboard.press("Escape")
        await page.get_by_text("Views", exact=True).click()
        await page.get_by_label("Save this view as").fill("Dear ones")
        await expect(page.locator("#views")).to_contain_text("Old ones")
        await page.get_by_label("For everybody in default").check()
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator("#views li", has_text="Dear ones")).to_contain_text("shared")
        assert await violations(page, axe) == []
        await page.get_by_role("button", name="Theme").click()
        await page.goto(f"{used}/dashboard/requests")
        await expect(page.locator("td.col-user").first).to_be_hidden()
        assert await page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
        await page.get_by_text("Views", exact=True).click()
        await page.get_by_role("link", name="Dear ones").click()
        await page.wait_for_url("**sort=most*expensive")
        assert problems == []
    async with visiting(chromium, VIEWER) as (page, problems):
        await page.goto(f"{used}/dashboard/requests")
        await page.get_by_text("Views", exact=True).click()
        await expect(page.locator("#views")).to_have_text(re.compile("^\\s*Dear ones\\s*shared\\s*$"))
        await page.get_by_label("Save this view in this browser as").fill("Mine")
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator("#own-views")).to_contain_text("Mine")
        assert problems == []


async def test_a_list_is_exported_as_a_file(chromium: Browser, used: str) -> None:
    async with visiting(chromium, ADMIN) as (page, problems):
        address = f"{used}/dashboard/requests?range=90d&filter="
        await page.goto(address + '[{"request_response_rmt":{"session_id":{"equals":"trip-1"}}}]')
        await page.get_by_text("Export", exact=True).click()
        async with page.expect_download() as download:
            await page.get_by_role("button", name="JSON lines").click()
        file = await (await download.value).path()
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert [line["session_path"] for line in lines] == list(STEPS)
        assert problems == []


async def test_a_request_is_read_rated_and_walked_through_with_keys(chromium: Browser, used: str, axe: str) -> None:
    async with visiting(chromium, ADMIN) as (page, problems):
        await page.goto(f"{used}/dashboard/requests?range=90d&sort=slowest")
        await page.locator("#rows tr[data-row]").first.locator(".col-tokens").click()
        drawer = page.locator("#drawer-content")
        await expect(drawer.locator(".turn.user").first).to_contain_text("Find a hotel in Lisbon")
        await expect(drawer.locator(".turn.answer")).to_be_visible()
        assert await violations(page, axe) == []
        await drawer.get_by_role("button", name="Good").click()
        await expect(drawer.locator("#opinion .badge.good")).to_have_text("good")
        first = await page.locator("#drawer-whole").get_attribute("href")
        await page.locator("#tab-words").focus()
        await page.keyboard.press("ArrowRight")
        await expect(drawer.locator("#panel-why")).to_contain_text("Routing")
        await page.keyboard.press("j")
        await expect(page.locator("#drawer-whole")).not_to_have_attribute("href", first or "")
        await page.keyboard.press("Escape")
        await expect(page.locator("#drawer")).to_be_hidden()
        assert problems == []


async def test_a_session_is_a_tree_beside_a_waterfall(chromium: Browser, used: str, axe: str) -> None:
    async with visiting(chromium, ADMIN) as (page, problems):
        await page.goto(f"{used}/dashboard/sessions")
        await page.get_by_label("Find").fill("trip-0")
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="Trip planner").click()
        steps = page.locator(".fall .node .what b")
        await expect(page.locator(".fall a.row")).to_have_count(6)
        assert await steps.all_text_contents() == ["plan", "research", "weather", "hotels", "draft", "review"]
        await page.locator(".fall a.row").nth(2).click()
        drawer = page.locator("#drawer-content")
        await expect(drawer).to_contain_text("Find a hotel")
        await drawer.get_by_text("turns as in the request before").click()
        await expect(drawer.get_by_role("link", name="The request before")).to_be_visible()
        assert await violations(page, axe) == []
        await drawer.get_by_role("tab", name="What happened").click()
        assert await violations(page, axe) == []
        assert problems == []


async def test_every_page_fits_a_phone_and_keeps_nobody_out_in_the_dark(chromium: Browser, used: str, axe: str) -> None:
    phone = {"width": 390, "height": 844}
    async with visiting(chromium, ADMIN, viewport=phone, color_scheme="dark") as (page, problems):
        for path in PAGES:
            await page.goto(used + path)
            await page.wait_for_load_state("load")
            if path == "/":
                await expect(page.locator("#lists")).to_contain_text("gpt-4o-mini")
            assert await page.evaluate("document.documentElement.scrollWidth") <= phone["width"], path
            assert await violations(page, axe) == []
        await page.get_by_role("button", name="Menu").click()
        await page.get_by_role("link", name="Requests", exact=True).click()
        await expect(page.get_by_role("heading", name="Requests")).to_be_visible()
        assert problems == []


async def test_who_is_not_known_logs_in_and_sees_what_their_role_may(chromium: Browser, used: str, axe: str) -> None:
    async with visiting(chromium) as (page, problems):
        await page.goto(f"{used}/dashboard/requests?range=90d")
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        assert await violations(page, axe) == []
        await page.get_by_label("Gateway key").fill("sk-helicone-wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("That is not right")
        await page.get_by_label("Gateway key").fill(VIEWER)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/dashboard/requests?range=90d")
        await page.locator("#rows a[data-drawer]").first.click()
        await expect(page.locator("#drawer-content .turn.user").first).to_be_attached()
        await expect(page.get_by_role("button", name="Good")).to_have_count(0)
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await page.goto(f"{used}/dashboard/sessions")
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        assert problems == []
