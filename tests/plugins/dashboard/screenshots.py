"""Pictures of every page, for people who look at them: ``make screenshots``, or with a folder as its argument.

Each page is taken at a desk and on a phone, in the light and in the dark; those of the navigation and a few more.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, Page, async_playwright

from tests.plugins.dashboard import furnishing
from tests.plugins.dashboard.seeding import seed
from tests.program import gateway

KEY = "sk-helicone-pictures-0123456789abcdef"
HEADERS = {"Helicone-Auth": f"Bearer {KEY}"}
SECURITY = {
    "security": {
        "keys": {"you": {"key": KEY, "role": "admin"}},
        "encryption_keys": ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="],
    }
}
LIMITS = {
    "limits": [{"policy": "100;w=60;s=user"}, {"concurrency": 20, "segment": "key"}],
    "budgets": {
        "team": {"limit": 500, "period": "month"},
        "each-user": {"limit": 2, "period": "day", "segment": "user"},
    },
}
PLUGINS: list[Any] = [
    "logging",
    "metrics",
    "cost",
    SECURITY,
    *furnishing.PLUGINS,
    {"ratelimit": LIMITS},
    "cache",
    "router",
    "fallbacks",
    "retries",
    "dashboard",
]
SETTINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("light", {"viewport": {"width": 1360, "height": 860}, "color_scheme": "light"}),
    ("dark", {"viewport": {"width": 1360, "height": 860}, "color_scheme": "dark"}),
    ("phone", {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"}),
)
MORE = (
    "/dashboard/user?id=ann@example.com",
    "/dashboard/plugins/ratelimit",
    "/dashboard/welcome",
    "/dashboard/session?id=trip-0",
    "/?range=30d",
    "/dashboard/nothing/of/that/kind",
)


async def take(url: str, folder: Path, more: list[str]) -> None:
    """Take every page of the gateway at ``url``, and those at the addresses ``more``, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    executable = shutil.which("chromium")
    if executable is None:
        sys.exit("There is no chromium here: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        addresses = [*await _addresses(browser, url), *more]
        for name, options in SETTINGS:
            context = await browser.new_context(extra_http_headers=HEADERS, **options)
            page = await context.new_page()
            for address in addresses:
                await page.goto(url + address)
                await _settled(page)
                file = re.sub(r"\W+", "-", address.removeprefix("/dashboard")).strip("-")[:60] or "overview"
                await page.screenshot(path=folder / f"{file}.{name}.png")
            await page.goto(f"{url}/dashboard/requests?range=30d")
            await page.locator("#rows a[data-drawer]").nth(3).click()
            await page.locator("#drawer-content .figures").wait_for()
            await page.screenshot(path=folder / f"request-drawer.{name}.png", animations="disabled")
            await page.goto(f"{url}/dashboard/session?id=trip-1")
            await page.locator(".fall a.row").nth(3).click()
            await page.locator("#drawer-content .turn.answer").wait_for()
            await page.screenshot(path=folder / f"conversation.{name}.png")
            await context.close()
        await browser.close()


async def _addresses(browser: Browser, url: str) -> list[str]:
    """The pages of the navigation, one request, and `MORE`."""
    page = await browser.new_page(extra_http_headers=HEADERS)
    await page.goto(url)
    links = await page.locator("nav a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    await page.goto(f"{url}/dashboard/requests?range=30d")
    one = await page.locator("#rows a[data-drawer]").first.get_attribute("href")
    await page.close()
    return [*links, one or "", *MORE]


async def _settled(page: Page) -> None:
    # Not "networkidle": a page that is told of new requests never is.
    await page.wait_for_load_state("load")
    await page.wait_for_timeout(300)
    await page.locator("body:not(.busy)").wait_for()
    await page.wait_for_timeout(200)


def main() -> None:
    """Start a gateway, fill it, take the pictures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".cache/screenshots")
    with tempfile.TemporaryDirectory() as work:
        database = {"url": f"sqlite:///{Path(work) / 'helicone.db'}"}
        providers: dict[str, Any] = {"demo": {}, "openai": {}, "anthropic": {}}
        config = {"database": database, "providers": providers, "plugins": PLUGINS, "server": furnishing.ALLOWED}
        with gateway(config, Path(work)) as url:
            seed(url, 1500, headers=HEADERS, lively=True)
            for number in range(12):
                question = {"model": "demo", "messages": [{"role": "user", "content": f"Hello {number % 4}"}]}
                headers = {"Helicone-Cache-Enabled": "true", "Helicone-User-Id": "ann@example.com", **HEADERS}
                httpx.post(f"{url}/v1/chat/completions", json=question, headers=headers, trust_env=False)
            asyncio.run(take(url, folder, furnishing.furnish(url, HEADERS)))
    print(f"Pictures are in {folder}.")


if __name__ == "__main__":
    main()
