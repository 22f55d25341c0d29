"""What somebody new finds out with the pages alone, in a real browser; and that every page of amounts is usable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.fixtures.chromium import violations, watched
from tests.plugins.dashboard.seeding import seed
from tests.program import gateway

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

ADMIN = "sk-helicone-admin-0123456789abcdef"
PAGES = (
    "users?range=7d",
    "user?id=ann@example.com",
    "properties?range=7d",
    "models?range=7d",
    "cache",
    "limits",
    "plugins",
    "plugins/cache",
    "settings",
)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a gateway with keys and limits, and with requests of some days."""
    directory = tmp_path_factory.mktemp("walked")
    security = {"keys": {"admin": {"key": ADMIN, "role": "admin"}}}
    limits = {"key_budgets": True, "budgets": {"team": {"limit": 5, "period": "month"}}}
    plugins: list[Any] = ["logging", "metrics", "cost", {"security": security}, {"ratelimit": limits}, "cache"]
    database = {"url": f"sqlite:///{directory / 'helicone.db'}"}
    plugins += ["router", "retries", "dashboard"]
    config = {"database": database, "providers": {"demo": {}}, "plugins": plugins}
    with gateway(config, directory) as url:
        headers = {"Helicone-Auth": f"Bearer {ADMIN}"}
        seed(url, 30, 3, headers=headers)
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
            client.post("/v1/api-keys", json={"name": "app"}).raise_for_status()
            asked = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}
            cached = {"Helicone-Cache-Enabled": "true", "Helicone-User-Id": "ann@example.com"}
            for _ in range(2):
                client.post("/v1/chat/completions", json=asked, headers=cached).raise_for_status()
        yield url


def most_expensive(url: str, begin: int, end: int) -> str:
    """Who cost most between two instants (epoch milliseconds), as the REST API has it."""
    body = {"userIds": None, "timeFilter": {"startTimeUnixSeconds": begin / 1000, "endTimeUnixSeconds": end / 1000}}
    answer = httpx.post(
        f"{url}/v1/user/query", json=body, headers={"Helicone-Auth": f"Bearer {ADMIN}"}, trust_env=False
    )
    rows = answer.json()["data"]
    return str(max(rows, key=lambda row: row["cost"])["user_id"])


async def follow(page: Page, name: str) -> None:
    """Go to a page by the navigation, as somebody does who knows no address."""
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True).click()


async def test_somebody_new_finds_the_dearest_user_a_miss_and_where_budgets_are_set(
    chromium: Browser, used: str, axe: str
) -> None:
    context = await chromium.new_context(viewport={"width": 1280, "height": 850}, timezone_id="UTC")
    context.set_default_timeout(10_000)
    page = await context.new_page()
    problems = watched(page)
    await page.goto(f"{used}/dashboard/requests")
    await page.get_by_label("Gateway key").fill(ADMIN)
    await page.keyboard.press("Enter")

    # Yesterday's most expensive user.
    await follow(page, "Users")
    await page.get_by_role("link", name="yesterday").click()
    await page.wait_for_url("**from=*")
    time = httpx.URL(page.url).params
    dearest = most_expensive(used, int(time["from"]), int(time["to"]))
    first = page.locator("main tbody tr").first
    await expect(first.locator("td").first).to_have_text(dearest)
    await first.locator("a[data-main]").click()
    await expect(page.get_by_role("heading", name=dearest)).to_be_visible()
    await expect(page.locator(".uplot canvas")).to_have_count(3)

    # Why a request missed the cache.
    await follow(page, "Cache")
    missed = page.get_by_role("region", name="Misses, and why")
    await expect(missed).to_contain_text("No answer to the same request was stored")
    await missed.locator("a[data-drawer]").first.click()
    await page.get_by_role("tab", name="What happened").click()
    await expect(page.locator("#panel-why")).to_contain_text("No hit: no answer to the same request was stored")
    await page.keyboard.press("Escape")

    # A budget: for a key at once, for each user in the configuration.
    await follow(page, "Limits & budgets")
    await page.get_by_role("button", name="Chart of team, global").click()
    await expect(page.locator("#burn")).to_contain_text("no budget counts")
    await page.get_by_label("Key", exact=True).select_option("app")
    await page.locator("#key-limit").fill("25")
    await page.get_by_role("button", name="Set for the key").click()
    await expect(page.locator(".done")).to_contain_text("budgets were changed")
    await expect(page.get_by_label("Key", exact=True)).to_contain_text("app: 25/month")
    await page.get_by_label("Name", exact=True).fill("each-user")
    await page.locator("#budget-limit").fill("2")
    await page.get_by_label("For each").select_option("user")
    await page.get_by_role("button", name="Write it").click()
    await expect(page.locator("#budget-text")).to_contain_text("each-user: { limit: 2, period: month, segment: user }")
    await page.locator("#budget-limit").fill("two")
    await page.get_by_role("button", name="Write it").click()
    await expect(page.locator("#budget-yaml")).to_contain_text("limit: Input should be a valid decimal")

    # Beside that: the cache is cleared, and the layers are timed.
    await follow(page, "Cache")
    await page.get_by_label("all of it").check()
    await page.get_by_role("button", name="Clear").click()
    await expect(page.locator(".done")).to_contain_text("stored answer")
    await follow(page, "Plugins")
    await page.get_by_role("button", name="Measure a demo request").click()
    await expect(page.locator('.took[data-plugin="router"]')).to_contain_text("ms")
    for path in ("cache", "limits", "plugins"):  # in the light; all of them below, in the dark
        await page.goto(f"{used}/dashboard/{path}")
        await page.wait_for_load_state("load")
        assert await violations(page, axe) == []
    assert problems == []
    await context.close()


@pytest.mark.full
async def test_every_page_of_amounts_fits_a_phone_in_the_dark(chromium: Browser, used: str, axe: str) -> None:
    headers = {"Helicone-Auth": f"Bearer {ADMIN}"}
    context = await chromium.new_context(
        viewport={"width": 390, "height": 844}, color_scheme="dark", extra_http_headers=headers
    )
    context.set_default_timeout(10_000)
    page = await context.new_page()
    problems = watched(page)
    for path in PAGES:
        await page.goto(f"{used}/dashboard/{path}")
        await page.wait_for_load_state("load")
        if path.startswith("models"):
            await expect(page.locator("span[id^=latency-p95]").first).to_contain_text("s")
        if path == "cache":
            await expect(page.locator("main")).to_contain_text("Answers used most")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert await violations(page, axe) == []
    assert problems == []
    await context.close()
