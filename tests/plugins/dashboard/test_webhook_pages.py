"""Webhooks: made, changed, tried, sent again; a key that is shown once; and who sees what."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import insert

from helicone_gw import GatewayKey
from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider, of_json
from helicone_gw_alerts.tables import DELIVERY
from tests.plugins.alerts.running import ALLOWED, SINK, delivered
from tests.plugins.dashboard import asking
from tests.plugins.dashboard.asking import page
from tests.plugins.dashboard.markup import ATTACKS
from tests.plugins.dashboard.test_pages import logged

pytestmark = pytest.mark.asyncio(loop_scope="module")

VIEWER = GatewayKey("k-v", "viewer", "viewer", role="viewer")
STRANGER = GatewayKey("k-s", "stranger", "stranger", organization="another", role="admin")
QUIET: dict[str, Any] = {"alerts": {"poll_every": 1e8, "evaluate_every": 1e8}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """One gateway for all tests that do not mind what others left in it."""
    factory = GatewayFactory(tmp_path_factory.mktemp("webhooks"))
    sink = ScriptedProvider(default=of_json({}))
    config = {**ALLOWED, "providers": {"demo": {}}}
    async with factory(["logging", QUIET, "dashboard"], http=sink, config=config) as gateway:
        yield gateway


async def post(
    running: RunningGateway, path: str, caller: GatewayKey | None = None, status: int = 200, **fields: str
) -> httpx.Response:
    answer = await asking.post(running, path, *fields.items(), caller=caller)
    assert answer.status_code == status, answer.text
    return answer


async def made(running: RunningGateway, path: str, **fields: str) -> str:
    """The path of the page of a webhook that goes to ``path``."""
    shown = (await post(running, "/webhooks", destination=f"{SINK}{path}", **fields)).text
    found = re.search(rf'href="/dashboard(/webhooks/[^"]+)">{re.escape(SINK + path)}<', shown)
    assert found is not None
    return found[1]


async def test_it_is_made_with_a_key_that_is_shown_this_once_and_changed(running: RunningGateway) -> None:
    shown = (await post(running, "/webhooks", destination=f"{SINK}/one", rate="25", properties="App: shop\n")).text
    secret = re.search(r'id="secret">([^<]+)<', shown)
    assert secret is not None
    assert "25 % of requests" in shown
    assert "App: shop" in shown
    found = re.search(rf'href="/dashboard(/webhooks/[^"]+)">{SINK}/one<', shown)
    assert found is not None
    changed = (await post(running, found[1], destination=f"{SINK}/other", rate="", facts="yes")).text
    assert "Its key is the same" in changed
    listed = await page(running, "/webhooks")
    assert "every request" in listed
    assert f"{SINK}/other" in listed
    for text in (changed, listed, await page(running, found[1])):
        assert secret[1] not in text
    assert "The receiver took it" in (await post(running, f"{found[1]}/test")).text
    assert (await post(running, f"{found[1]}/delete", status=204)).headers["hx-redirect"] == "/dashboard/webhooks"
    await page(running, found[1], status=404)


async def test_what_makes_no_webhook_is_told_in_words(running: RunningGateway) -> None:
    for fields, words in (
        ({"destination": ""}, "destination"),
        ({"destination": "http://127.0.0.1:1/x"}, "destination"),
        ({"destination": f"{SINK}/x", "rate": "many"}, "not a number"),
        ({"destination": f"{SINK}/x", "rate": "101"}, "sampleRate"),
        ({"destination": f"{SINK}/x", "properties": "no colon"}, "a colon and its value"),
    ):
        answer = await post(running, "/webhooks", status=400, **fields)
        assert words.lower() in html.unescape(answer.text).lower(), answer.text


async def test_deliveries_are_shown_and_dead_letters_sent_again(running: RunningGateway) -> None:
    path = await made(running, "/told")
    id_ = path.rpartition("/")[2]
    one = await logged(running)
    row = {"organization_id": "default", "kind": "webhook", "target_id": id_, "payload": {"id": one["id"]}}
    row |= {"next_at": 2e9, "created_at": 1e9, "attempts": 9, "error": "it answered <b>503</b>"}
    async with running.gateway.database.begin() as connection:
        await connection.execute(insert(DELIVERY).values(**row, id="d-1", dead=True))
        await connection.execute(insert(DELIVERY).values(**row, id="d-2", dead=False))
    shown = await page(running, path)
    assert ">tried again<" in shown
    assert ">not delivered<" in shown
    assert f'href="/dashboard/requests/{one["id"]}"' in shown
    listed = await page(running, "/webhooks")
    assert "it answered &lt;b&gt;503" in listed
    assert 'name="id" value="d-1"' in listed
    assert "1 is being sent again" in (await post(running, "/webhooks/letters/replay", id="d-1")).text
    await post(running, "/webhooks/letters/replay", status=404, id="none")
    await delivered(running)
    shown = await page(running, path)
    assert ">delivered<" in shown
    assert "Nothing: everything arrived" in await page(running, "/webhooks")
    assert "0 are being sent again" in (await post(running, f"{path}/replay")).text


async def test_viewers_read_and_strangers_find_nothing(running: RunningGateway) -> None:
    path = await made(running, "/secret-in-the-path")
    for shown in (await page(running, "/webhooks", VIEWER), await page(running, path, VIEWER)):
        assert "hx-post" not in shown
        assert "secret-in-the-path" not in shown, "addresses often hold a secret"
    posts = ("/webhooks", path, f"{path}/test", f"{path}/replay", f"{path}/delete", "/webhooks/letters/replay")
    for each in posts:
        await post(running, each, VIEWER, 403)
    assert "There is no webhook yet" in await page(running, "/webhooks", STRANGER)
    await page(running, path, STRANGER, 404)
    for each in posts[1:5]:
        if not each.endswith("/replay"):
            await post(running, each, STRANGER, 404, destination=f"{SINK}/stolen")


async def test_nothing_that_is_typed_becomes_markup(running: RunningGateway) -> None:
    for attack in ATTACKS[:-1]:
        value = attack.replace("\n", " ")
        await made(running, "/typed", properties=f"{value.replace(':', '')}: {value}")
    await page(running, "/webhooks")


async def test_without_the_plugin_the_page_says_how_to_add_it(gateway: GatewayFactory) -> None:
    async with gateway(["dashboard"]) as running:
        assert "is not in the chain" in await page(running, "/webhooks")
