"""Paints: when a real browser has something to show of a page, and when all of it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from typing import NamedTuple

from playwright.async_api import async_playwright

TIMES = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const loaded = performance.getEntriesByType("resource");
  const octets = [page, ...loaded].reduce((sum, one) => sum + one.transferSize, 0);
  const first = performance.getEntriesByName("first-contentful-paint")[0].startTime;
  return [first, Math.max(page.responseEnd, ...loaded.map(one => one.responseEnd)), octets];
}"""
STARTED = 1500
"""Milliseconds that a browser is given to start: it builds its own surfaces out of pages for so long, on all cores."""
SETTLED = """() => document.readyState === "complete" && !document.body.classList.contains("busy")
  && performance.getEntriesByName("first-contentful-paint").length > 0"""


class Paint(NamedTuple):
    """Milliseconds from the beginning of the navigation to the first contentful paint (Paint Timing) and to the end of
    the last answer, and the bytes that were transferred, header fields included."""

    first: float
    settled: float
    octets: int


async def painted(url: str, headers: Mapping[str, str], times: int) -> list[Paint]:
    """Go to ``url`` some ``times`` with a new browser that has started, whose profile is a fresh one."""
    executable = shutil.which("chromium")
    if executable is None:
        sys.exit("There is no chromium here: apt-get install chromium")
    found = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        context = await browser.new_context(
            viewport={"width": 1360, "height": 860}, extra_http_headers=dict(headers), timezone_id="UTC"
        )
        for number in range(times):
            page = await context.new_page()
            await page.wait_for_timeout(0 if number else STARTED)
            await page.goto(url, wait_until="load")
            await page.wait_for_timeout(100)
            await page.wait_for_function(SETTLED)
            first, settled, octets = await page.evaluate(TIMES)
            found.append(Paint(first, settled, octets))
            await page.close()
        await browser.close()
    return found
