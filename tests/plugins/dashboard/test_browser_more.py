"""Prompts, playground, alerts, evaluations, keys and members in a real browser: one walk through all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, expect

from tests.fixtures.chromium import violations
from tests.plugins.dashboard.furnishing import ALLOWED, HOOKS
from tests.plugins.dashboard.test_browser import ADMIN, VIEWER, config, visiting
from tests.program import gateway

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

KEYS = {"viewer": {"key": VIEWER, "role": "viewer"}, "admin": {"key": ADMIN, "role": "admin"}}
SECURITY = {"security": {"keys": KEYS, "encryption_keys": ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]}}
ALERTS = {"alerts": {"channels": {"ops": {"type": "command", "argv": ["true"]}}}}
PAGES = ("prompts", "playground", "evaluations", "alerts", "webhooks", "keys", "provider-keys", "members", "audit")
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a gateway with keys, prompts and alerts."""
    directory = tmp_path_factory.mktemp("managed")
    plugins = ["logging", "cost", SECURITY, "prompts", ALERTS, "router", "dashboard"]
    with gateway({**config(directory, plugins), "server": ALLOWED}, directory) as url:
        yield url


async def test_a_prompt_is_written_played_with_saved_and_told_apart(chromium: Browser, managed: str, axe: str) -> None:
    async with visiting(chromium) as (page, problems):
        await page.goto(f"{managed}/dashboard/prompts")
        await page.get_by_label("Gateway key").fill(ADMIN)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/dashboard/prompts")
        await page.get_by_text("New prompt").click()
        await page.get_by_label("Name", exact=True).fill("Greeting")
        await page.get_by_label("Model").fill("demo")
        await page.get_by_label("Content").nth(0).fill("Be short.")
        await page.get_by_label("Content").nth(1).fill("Hello {{hc:name:string}}")
        assert await violations(page, axe) == []
        await page.get_by_role("button", name="Create").click()
        await expect(page.get_by_role("heading", name="Greeting")).to_be_visible()
        await expect(page.get_by_text("No version was used")).to_be_visible()
        assert await violations(page, axe) == []

        await page.locator(".tools").first.get_by_role("link", name="Playground").click()
        await page.locator("[data-input=name]").fill("Ann")
        async with page.expect_request("**/ask?to=*chat*completions") as asked:
            await page.get_by_role("button", name="Run").click()
        assert (await asked.value).post_data_json["inputs"] == {"name": "Ann"}
        await expect(page.locator("#play-outcome")).to_contain_text("output tokens")
        await expect(page.locator("#play-answer")).to_contain_text("Hello from demo")
        assert await violations(page, axe) == []

        await page.get_by_role("button", name="Add a message").click()
        await page.get_by_label("Content").nth(2).fill("And {{hc:place:string}}?")
        await page.locator("[data-input=place]").fill("Lisbon")
        async with page.expect_request("**/ask?to=*chat*completions") as asked:
            await page.get_by_role("button", name="Run").click()
        assert [each["content"] for each in (await asked.value).post_data_json["messages"]] == [
            "Be short.",
            "Hello Ann",
            "And Lisbon?",
        ]
        await expect(page.get_by_role("link", name="Request with its cost")).to_be_visible()
        await page.get_by_role("button", name="Save as a new version").click()
        await expect(page.get_by_role("link", name="1.1", exact=True)).to_be_visible()
        await page.get_by_role("link", name="What 1.1 changed").click()
        await expect(page.locator("#drawer .added").first).to_contain_text("+ ")
        await page.keyboard.press("Escape")
        await page.get_by_label("Put 1.1 into").select_option("production")
        await expect(page.locator("#versions tr", has_text="1.1")).to_contain_text("production")
        assert problems == []


async def test_keys_alerts_and_evaluators_are_managed_by_whoever_may(chromium: Browser, managed: str, axe: str) -> None:
    async with visiting(chromium, ADMIN, viewport=PHONE, color_scheme="dark") as (page, problems):
        page.on("dialog", lambda dialog: dialog.accept())
        await page.goto(f"{managed}/dashboard/keys")
        await page.get_by_text("New key").click()
        await page.get_by_label("Name").fill("bot")
        await page.get_by_role("button", name="Create the key").click()
        await expect(page.locator("#secret")).to_contain_text("sk-helicone-")
        assert await violations(page, axe) == []
        await page.get_by_role("link", name="bot").click()
        await page.locator("#drawer").get_by_role("button", name="Revoke").click()
        await expect(page.locator("#drawer .done")).to_contain_text("Revoked")
        await page.keyboard.press("Escape")

        await page.goto(f"{managed}/dashboard/alerts")
        await page.get_by_text("New alert").click()
        await expect(page.get_by_label("Name of the score")).to_be_hidden()
        await page.get_by_label("Name", exact=True).fill("Many")
        await page.get_by_label("Metric", exact=True).select_option("count")
        await page.get_by_label("Threshold").fill("1")
        await page.get_by_role("button", name="Preview").click()
        await expect(page.locator("#preview canvas")).to_be_visible()
        assert await violations(page, axe) == []
        await page.get_by_role("button", name="Create the alert").click()
        await expect(page.locator("#alerts")).to_contain_text("total requests ≥ 1")
        await page.get_by_role("link", name="Change Many").click()
        await expect(page.get_by_label("Metric", exact=True)).to_have_value("count")
        await page.get_by_label("Threshold").fill("12")
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator(".done")).to_have_text("Saved.")
        assert await violations(page, axe) == []
        await page.get_by_role("link", name="All alerts").click()
        await expect(page.locator("#alerts")).to_contain_text("total requests ≥ 12")

        await page.goto(f"{managed}/dashboard/webhooks")
        await page.get_by_text("New webhook").click()
        await page.get_by_label("Where it goes").fill(f"{HOOKS}/told")
        assert await violations(page, axe) == []
        await page.get_by_role("button", name="Create the webhook").click()
        await expect(page.locator("#secret")).not_to_be_empty()
        await page.get_by_role("link", name=f"{HOOKS}/told").click()
        drawer = page.locator("#drawer")
        await drawer.get_by_label("Per cent of the requests").fill("50")
        await drawer.get_by_role("button", name="Save").click()
        await expect(drawer.locator(".done")).to_contain_text("Its key is the same")
        await drawer.get_by_role("button", name="Test").click()
        await expect(drawer.locator(".trouble")).to_contain_text("Not delivered")
        assert await violations(page, axe) == []
        await drawer.get_by_role("button", name="Delete").click()
        await expect(page.locator("main .empty").first).to_contain_text("There is no webhook yet")

        await page.goto(f"{managed}/dashboard/organizations")
        await page.get_by_text("New organization").click()
        for label, typed in (
            ("Id", "acme"),
            ("Email of its", "boss@acme.example"),
            ("Their password", "long enough 4 all"),
        ):
            await page.get_by_label(label).fill(typed)
        await page.get_by_role("button", name="Create", exact=True).click()
        await page.get_by_role("link", name="acme").click()
        await expect(drawer).to_contain_text("boss@acme.example")
        assert await violations(page, axe) == []

        for name in PAGES:
            await page.goto(f"{managed}/dashboard/{name}")
            for more in await page.locator("details.panel > summary").all():
                await more.click()
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
            assert await violations(page, axe) == []
        assert problems == []


async def test_viewers_see_what_they_may_and_no_buttons_for_the_rest(chromium: Browser, managed: str) -> None:
    async with visiting(chromium, VIEWER) as (page, problems):
        await page.goto(f"{managed}/dashboard/alerts")
        await expect(page.get_by_role("heading", name="History")).to_be_visible()
        await expect(page.get_by_text("New alert")).to_have_count(0)
        await expect(page.get_by_role("link", name="Keys", exact=True)).to_have_count(0)
        await page.goto(f"{managed}/dashboard/keys")
        await expect(page.get_by_role("alert")).to_be_visible()
        for path in ("organizations", "webhooks", "playground"):
            await page.goto(f"{managed}/dashboard/{path}")
            if path == "organizations":
                await expect(page.get_by_role("alert")).to_be_visible()
        await expect(page.get_by_role("button", name="Run")).to_be_disabled()
        await expect(page.locator("main")).to_contain_text("Viewers read")
        assert problems == []
