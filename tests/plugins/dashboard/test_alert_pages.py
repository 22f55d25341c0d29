"""Alerts and evaluations: what stands there, what forms say to the REST API, who may do what."""

from __future__ import annotations

import html
import json
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
CHANNELS = {"ops": {"type": "command", "argv": ["true"]}, "pager": {"type": "command", "argv": ["false"]}}
QUIET = {"quiet": {"metric": "count", "threshold": 1e9}}
MODELS: dict[str, Any] = {"providers": {"demo": {}}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """One gateway for all tests that do not mind what others left in it."""
    factory = GatewayFactory(tmp_path_factory.mktemp("alerts"))
    async with factory(
        ["logging", {"alerts": {"channels": CHANNELS, "alerts": QUIET}}, "dashboard"], config=MODELS
    ) as gateway:
        yield gateway


async def alerts(running: RunningGateway) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await running.gateway.pages.ask("GET", "/v1/alert/query", caller=None)).json()[
        "data"
    ]["alerts"]
    return found


async def test_what_the_form_says_becomes_a_rule(running: RunningGateway) -> None:
    wanted = [{"request_response_rmt": {"model": {"equals": "demo"}}}]
    fields = (
        ("name", "Slow"),
        ("metric", "latency"),
        ("aggregation", "percentile"),
        ("percentile", "95"),
        ("threshold", "8000"),
        ("comparison", "gte"),
        ("window", "3600000"),
        ("grouping", "property"),
        ("property", "App"),
        ("least", "20"),
        ("filter", json.dumps(wanted)),
        ("channels", "ops"),
        ("channels", "pager"),
    )
    done = await post(running, "/alerts", *fields)
    assert done.status_code == 200, done.text
    assert "p95 latency ≥ 8 s" in done.text
    assert "1 hour" in done.text
    made = next(one for one in await alerts(running) if one["name"] == "Slow")
    assert (made["grouping"], made["grouping_is_property"], made["minimum_request_count"]) == ("App", True, 20)
    assert (made["filter"], made["channels"], made["percentile"]) == (wanted, ["ops", "pager"], 95)
    # The page on which it is changed has in its fields what was typed: saved as it is, it stays as it is.
    one = f"/alerts/{made['id']}"
    assert f'href="/dashboard{one}"' in done.text
    again = typed_in(await page(running, one))
    assert dict(again).items() >= dict(fields).items()
    assert [value for name, value in again if name == "channels"] == ["ops", "pager"]
    assert "Saved." in (await post(running, one, *again)).text
    assert next(kept for kept in await alerts(running) if kept["id"] == made["id"]) == made
    changed = [(name, {"name": "Slower", "threshold": "9500.5"}.get(name, value)) for name, value in again]
    assert 'value="9500.5"' in (await post(running, one, *changed)).text
    assert "p95 latency ≥ 9.5 s" in await page(running, "/alerts")
    told = await post(running, f"/alerts/{made['id']}/test")
    assert "ops: delivered; pager: " in told.text
    gone = await post(running, f"/alerts/{made['id']}/delete")
    assert "p95 latency" not in gone.text


def typed_in(shown: str) -> list[tuple[str, str]]:
    """What a browser would send of the form on the page."""
    fields = []
    for tag in re.findall(r"<input [^>]*>", shown):
        told = {name: html.unescape(value) for name, value in re.findall(r'(\w+)="([^"]*)"', tag)}
        if told.get("type") != "checkbox" or " checked" in tag:
            fields.append((told["name"], told.get("value", "")))
    for name, options in re.findall(r'<select [^>]*name="(\w+)"[^>]*>(.*?)</select>', shown, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        fields.append((name, html.unescape(chosen[1]) if chosen else ""))
    return fields


async def test_a_metric_of_now_has_no_window_and_no_preview(running: RunningGateway) -> None:
    fields = (("name", "Spent"), ("metric", "budget"), ("threshold", "80"), ("grouping", "user"), ("window", "3600000"))
    assert "budget spent ≥ 80 %" in (await post(running, "/alerts", *fields)).text
    assert "there is no preview" in (await post(running, "/alerts/preview", *fields)).text


async def test_a_preview_says_when_a_rule_would_have_fired(
    running: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helicone_gw_dashboard.pages.alerts.STEPS", 3)
    await logged(running)
    fields = (("metric", "count"), ("threshold", "1"), ("window", "300000"))
    shown = (await post(running, "/alerts/preview", *fields)).text
    assert "It would have fired 1 time" in shown
    drawn = re.search(r'data-chart="([^"]+)"', shown)
    assert drawn is not None
    chart = json.loads(html.unescape(drawn[1]))
    assert [lane["name"] for lane in chart["lanes"]] == ["value", "threshold"]
    assert len(chart["x"]) == len(chart["lanes"][0]["values"]) == 3
    never = (("metric", "count"), ("threshold", "1000"), ("window", "300000"))
    assert "It would not have fired" in (await post(running, "/alerts/preview", *never)).text


async def test_what_makes_no_rule_is_told_in_words(running: RunningGateway) -> None:
    fine = {"name": "x", "metric": "count", "threshold": "1"}
    wrong: list[tuple[dict[str, str], str]] = [
        ({"threshold": ""}, "needs a threshold"),
        ({"threshold": "many"}, "not a number"),
        ({"filter": "{"}, "not JSON"),
        ({"metric": "none"}, "metric:"),
        ({"channels": "none"}, "no channel"),
        ({"least": "-1"}, "must not be negative"),
        ({"least": "1e400"}, "must not be negative"),
    ]
    for fields, words in wrong:
        answer = await post(running, "/alerts", *{**fine, **fields}.items())
        assert answer.status_code == 400
        assert words in html.unescape(answer.text)


async def test_an_evaluator_is_made_begun_tried_stopped_and_deleted(running: RunningGateway) -> None:
    one = await logged(running)
    fields = (("name", "short"), ("type", "regex"), ("template", "^.{0,900}$"), ("rate", "50"))
    assert (await post(running, "/evaluations", *fields)).headers["hx-redirect"] == "/dashboard/evaluations"
    found = re.search(r'href="/dashboard(/evaluations/[^"]+)">short<', await page(running, "/evaluations"))
    assert found is not None
    shown = await page(running, found[1])
    assert "50 % of new requests" in shown
    online = re.search(r'hx-post="/dashboard(/evaluations/[^"]+/stop/[^"]+)"', shown)
    assert online is not None
    assert "it is not begun" in (await post(running, online[1])).text
    assert "10 % of new requests" in (await post(running, f"{found[1]}/begin", ("rate", "10"))).text
    assert "Score: True" in (await post(running, f"{found[1]}/try", ("request", one["id"]))).text
    assert (await post(running, f"{found[1]}/begin", ("rate", ""))).status_code == 400
    assert (await post(running, f"{found[1]}/delete")).headers["hx-redirect"] == "/dashboard/evaluations"
    await page(running, found[1], status=404)


async def test_scores_are_drawn_over_the_whole_period(running: RunningGateway) -> None:
    one = await logged(running)
    given = {"scores": {"helpful": 0}}
    assert (
        await running.gateway.pages.ask("POST", f"/v1/request/{one['id']}/score", caller=None, json=given)
    ).is_success
    shown = await page(running, "/evaluations?range=24h")
    drawn = re.search(r'the score helpful over time" data-chart="([^"]+)"', shown)
    assert drawn is not None
    chart = json.loads(html.unescape(drawn[1]))
    assert chart["x"][-1] - chart["x"][0] == 23 * 3600, "from the first hour to the one that is not over"
    assert chart["lanes"][0]["values"].count(0) == 1
    assert "has a score" in await page(running, "/evaluations", STRANGER)


async def test_viewers_read_and_strangers_find_nothing(running: RunningGateway) -> None:
    await post(running, "/alerts", ("name", "Seen"), ("metric", "count"), ("threshold", "9"), ("filter", '"all"'))
    assert ">filtered<" not in await page(running, "/alerts")
    await post(running, "/evaluations", ("name", "watched"), ("type", "regex"), ("template", "x"))
    found = re.search(r'href="/dashboard(/evaluations/[^"]+)">watched<', await page(running, "/evaluations"))
    assert found is not None
    for path in ("/alerts", "/evaluations", found[1]):
        assert "hx-post" not in await page(running, path, VIEWER)
    seen = next(one["id"] for one in await alerts(running) if one["name"] == "Seen")
    await page(running, f"/alerts/{seen}", VIEWER, 403)
    await page(running, f"/alerts/{seen}", STRANGER, 404)
    assert (await post(running, f"/alerts/{seen}", ("threshold", "1"), caller=STRANGER)).status_code == 404
    await page(running, "/alerts/config:quiet", status=400)
    posts = ("/alerts", f"/alerts/{seen}", "/alerts/preview", "/alerts/x/test", "/alerts/x/delete", "/evaluations")
    own = (f"{found[1]}/{name}" for name in ("begin", "stop/x", "try", "delete"))
    for path in (*posts, *own):
        assert (await post(running, path, caller=VIEWER)).status_code == 403, path
    assert "Seen" not in await page(running, "/alerts", STRANGER)
    await page(running, found[1], STRANGER, 404)


async def test_nothing_that_is_typed_becomes_markup(running: RunningGateway) -> None:
    one = await logged(running)
    for attack in ATTACKS[:-1]:
        done = await post(
            running, "/alerts", ("name", attack), ("metric", "score"), ("score", attack), ("threshold", "1")
        )
        assert done.status_code == 200, done.text
        await post(running, "/evaluations", ("name", attack), ("type", "LLM-BOOLEAN"), ("template", attack))
        scores = {"scores": {attack: 1}}
        await running.gateway.pages.ask("POST", f"/v1/request/{one['id']}/score", caller=None, json=scores)
        await page(running, f"/alerts?{urlencode({'filter': json.dumps(attack)})}")
    await page(running, "/alerts")
    for one_rule in (rule for rule in await alerts(running) if not rule["configured"]):
        await page(running, f"/alerts/{one_rule['id']}")
    shown = await page(running, "/evaluations")
    for path in re.findall(r'href="/dashboard(/evaluations/[^"]+)"', shown):
        await page(running, path)
    assert "<svg/onload=window.hacked=1>" in html.unescape(shown)


async def test_without_the_plugin_the_pages_say_how_to_add_it(gateway: GatewayFactory) -> None:
    async with gateway(["dashboard"]) as running:
        assert "is not in the chain" in await page(running, "/alerts")
        assert "is not in the chain" in await page(running, "/evaluations")
