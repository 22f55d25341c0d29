"""Prompts and the playground: lists, editor, versions, environments, comparison."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from helicone_gw import GatewayKey
from helicone_gw.testing import GatewayFactory, RunningGateway
from tests.plugins.dashboard.asking import page, post
from tests.plugins.dashboard.markup import ATTACKS
from tests.plugins.dashboard.test_pages import logged

pytestmark = pytest.mark.asyncio(loop_scope="module")

VIEWER = GatewayKey("k-v", "viewer", "viewer", role="viewer")
STRANGER = GatewayKey("k-s", "stranger", "stranger", organization="another", role="admin")
BODY: dict[str, Any] = {
    "model": "demo",
    "temperature": 0.2,
    "messages": [{"role": "user", "content": "Hello {{hc:name:string}}"}],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """One gateway for all tests that do not mind what others left in it."""
    factory = GatewayFactory(tmp_path_factory.mktemp("prompts"))
    async with factory(["logging", "cost", "prompts", "dashboard"], config={"providers": {"demo": {}}}) as gateway:
        yield gateway


async def rest(running: RunningGateway, path: str, body: Any) -> Any:
    answer = await running.gateway.pages.ask("POST", path, caller=None, json=body)
    assert answer.is_success, answer.text
    return answer.json()["data"]


async def made(running: RunningGateway, name: str, body: dict[str, Any] = BODY) -> tuple[str, str]:
    """A prompt: its id and that of its version."""
    found = await rest(running, "/v1/prompt-2025", {"name": name, "promptBody": body, "tags": ["t"]})
    return found["id"], found["versionId"]


async def test_a_prompt_is_made_edited_and_put_into_environments(running: RunningGateway) -> None:
    fields = (
        ("name", "Greeting"),
        ("tags", "a, b"),
        ("model", "demo"),
        ("role", "user"),
        ("content", "Hi"),
        ("whole", ""),
    )
    done = await post(running, "/prompts", *fields)
    address = done.headers["hx-redirect"].removeprefix("/dashboard")
    assert "Greeting" in await page(running, "/prompts?words=greet&tag=b")
    shown = await page(running, address)
    version = re.search(rf"{address}/versions/([0-9a-f-]+)", shown)
    assert version is not None
    editor = await page(running, f"{address}/versions/{version[1]}")
    assert 'value="demo"' in editor
    more = (("role", "system"), ("content", "Be short."), ("whole", ""), ("settings", '{"temperature": 0}'))
    saved = (*fields, *more, ("message", "Shorter"), ("environment", "staging"), ("major", "yes"))
    done = await post(running, f"{address}/versions/{version[1]}", *saved)
    assert done.headers["hx-redirect"].endswith(address)
    shown = await page(running, address)
    assert "Shorter" in shown
    newer = re.search(r"/versions/([0-9a-f-]+)\"><b>2\.0<", shown)
    assert newer is not None
    diff = await page(running, f"{address}/diff?from={version[1]}&to={newer[1]}")
    assert '<span class="added">+ Be short.</span>' in diff
    moved = await post(running, f"{address}/environment", ("version", newer[1]), ("environment", "production"))
    assert re.search(r"<b>2\.0</b>.*?production", moved.text, re.S)
    left = await post(
        running, f"{address}/environment", ("version", newer[1]), ("environment", "staging"), ("leave", "yes")
    )
    assert ">staging</span>" not in left.text
    gone = await post(running, f"{address}/versions/{version[1]}/delete")
    assert version[1] not in gone.text
    done = await post(running, f"{address}/about", ("name", "Salute"), ("tags", ""))
    assert "Salute" in await page(running, address)
    done = await post(running, f"{address}/delete")
    assert done.headers["hx-redirect"] == "/dashboard/prompts"
    await page(running, address, status=404)


async def test_versions_are_compared_by_what_the_log_says(running: RunningGateway) -> None:
    prompt, version = await made(running, "Compared")
    assert "No version was used" in await page(running, f"/prompts/{prompt}/compare")
    body = {"prompt_id": prompt, "messages": [], "inputs": {"name": "Ann"}}
    reply = await running.request("POST", "/v1/chat/completions", json=body)
    assert reply.status == 200
    await logged(running)
    await rest(running, f"/v1/request/{reply.headers.get('helicone-id')}/score", {"scores": {"helpful": 0.5}})
    shown = await page(running, f"/prompts/{prompt}/compare?range=7d")
    assert re.search(r"<b>1\.0</b>.*?production.*?>1</td>", shown, re.S)
    assert "helpful" in shown
    assert version in await page(running, f"/prompts/{prompt}")


async def test_the_playground_takes_up_a_request_or_a_version(running: RunningGateway) -> None:
    one = await logged(running)
    assert "Hello!" in await page(running, f"/playground?request={one['id']}")
    prompt, version = await made(running, "Played")
    shown = await page(running, f"/playground?prompt={prompt}&version={version}")
    assert f'data-version="{version}"' in shown
    assert 'data-input="name"' in shown
    body = {"prompt_id": prompt, "messages": [], "inputs": {"name": "Ann & Bob"}}
    reply = await running.request("POST", "/v1/chat/completions", json=body)
    await logged(running)
    shown = await page(running, f"/playground?request={reply.headers.get('helicone-id')}")
    assert f'data-version="{version}"' in shown
    assert 'value="Ann &amp; Bob"' in shown
    assert '<option value="demo">' in await page(running, "/playground")
    await page(running, "/playground?request=none", status=404)
    await page(running, "/playground?version=none", status=404)


async def test_what_cannot_be_saved_says_why(running: RunningGateway) -> None:
    prompt, version = await made(running, "Wrong")
    for fields in ((("settings", "{"),), (("role", "user"), ("content", "{"), ("whole", "yes"))):
        assert (await post(running, "/prompts", ("name", "x"), *fields)).status_code == 400
        assert (await post(running, f"/prompts/{prompt}/versions/{version}", *fields)).status_code == 400
    assert (await post(running, f"/prompts/{prompt}/versions/{version}/delete")).status_code == 409
    await page(running, f"/prompts/other/versions/{version}", status=404)
    await page(running, f"/prompts/{prompt}/diff?from={version}", status=400)


async def test_viewers_read_and_strangers_find_nothing(running: RunningGateway) -> None:
    prompt, version = await made(running, "Seen")
    for path in ("/prompts", f"/prompts/{prompt}", f"/prompts/{prompt}/versions/{version}", "/playground"):
        shown = await page(running, path, VIEWER)
        assert "hx-post" not in shown
    paths = ("", f"/{prompt}/about", f"/{prompt}/delete", f"/{prompt}/environment", f"/{prompt}/versions/{version}")
    for path in (*paths, f"/{prompt}/versions/{version}/delete"):
        assert (await post(running, f"/prompts{path}", caller=VIEWER)).status_code == 403
    assert "Seen" not in await page(running, "/prompts", STRANGER)
    for path in (f"/prompts/{prompt}", f"/prompts/{prompt}/versions/{version}", f"/playground?version={version}"):
        await page(running, path, STRANGER, 404)


async def test_nothing_that_is_typed_becomes_markup(running: RunningGateway) -> None:
    for attack in ATTACKS[:-1]:
        body: dict[str, Any] = {
            "model": attack,
            attack: attack,
            "messages": [{"role": "user", "content": attack}, {attack: attack}],
        }
        found = await running.gateway.pages.ask(
            "POST", "/v1/prompt-2025", caller=None, json={"name": attack, "tags": [attack[:100]], "promptBody": body}
        )
        if not found.is_success:
            body = {**BODY, "messages": [{"role": "user", "content": attack}]} if "{{" not in attack else BODY
            prompt, version = await made(running, attack, body)
        else:
            prompt, version = found.json()["data"]["id"], found.json()["data"]["versionId"]
        for path in (
            f"/prompts/{prompt}",
            f"/prompts/{prompt}/versions/{version}",
            f"/prompts/{prompt}/diff?from={version}&to={version}",
            f"/playground?prompt={prompt}&version={version}",
            f"/prompts?{urlencode({'words': attack, 'tag': attack})}",
        ):
            await page(running, path)
    assert "<svg/onload=window.hacked=1>" in html.unescape(await page(running, "/prompts"))


async def test_without_the_plugin_the_page_says_how_to_add_it(gateway: GatewayFactory) -> None:
    async with gateway(["dashboard"]) as running:
        assert "is not in the chain" in await page(running, "/prompts")
        assert "is not in the chain" in await page(running, "/prompts/x")
        await page(running, "/playground")
