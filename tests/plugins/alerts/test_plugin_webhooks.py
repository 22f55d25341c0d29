"""Webhooks of the running plugin: payload, signature, sampling, filters, retries, dead letters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, RunningGateway, of_json
from tests.plugins.alerts.running import ALLOWED, LOGGED, SINK, delivered, followed, plugin, receiver, rest, signed

pytestmark = pytest.mark.virtual_time
QUIET = {"alerts": {"poll_every": 1e8, "evaluate_every": 1e8}}


async def made(running: RunningGateway, **fields: Any) -> Any:
    return await rest(running, "POST", "/v1/webhooks", {"destination": f"{SINK}/hook", **fields})


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_is_told_of_once_signed_over_the_raw_body(gateway: GatewayFactory, stream: bool) -> None:
    sink = receiver()
    async with gateway([*LOGGED, QUIET], http=sink, config=ALLOWED) as running:
        webhook = await made(running)
        answer = await running.chat("Who?", stream=stream, headers={"Helicone-User-Id": "ann"})
        for _ in range(2):
            await followed(running)
            await delivered(running)
        (told,) = sink.requests
        assert told.headers.get("helicone-signature") == signed(webhook["hmac_key"], told.body)
        body = json.loads(told.body)
        assert body["request_id"] == answer.headers.get("helicone-id")
        assert body["user_id"] == "ann"
        assert body["request_body"]["messages"][-1]["content"] == "Who?"
        assert body["model"].startswith("gpt-4o-mini")
        assert body["metadata"].keys() == {"cost", "promptTokens", "completionTokens", "totalTokens", "latencyMs"}
        assert (await rest(running, "GET", "/v1/webhooks"))[0]["pending"] == 0
        path = body["request_response_url"].partition(":8787")[2]
        bodies = (await running.request("GET", path)).json()
        assert bodies["request"] == body["request_body"]


async def test_the_url_of_bodies_opens_that_page_for_a_day(gateway: GatewayFactory) -> None:
    sink = receiver()
    keys = {"security": {"keys": {"alice": "sk-alice-0123456789"}}}
    mine = {"authorization": "Bearer sk-alice-0123456789"}
    async with gateway([*LOGGED, keys, QUIET], http=sink, config=ALLOWED) as running:
        wanted = {"destination": f"{SINK}/hook"}
        webhook = await rest(running, "POST", "/v1/webhooks", wanted, key="sk-alice-0123456789")
        await running.chat(headers=mine)
        await running.chat(headers=mine)
        await rest(running, "POST", "/v1/helicone-sql/execute", {"sql": "SELECT 1 AS one"}, key="sk-alice-0123456789")
        work = plugin(running).work
        await plugin(running).following.step(await work.followers())
        await delivered(running)
        one, other = (json.loads(each.body)["request_response_url"].partition(":8787")[2] for each in sink.requests)
        assert (await running.request("GET", one)).status == 200
        page, token = one.split("?")
        assert (await running.request("GET", f"{other.split('?')[0]}?{token}")).status in (401, 403)
        assert (await running.request("GET", f"{page}?{token[:-1]}")).status == 401
        assert (await running.request("GET", f"/v1/request/query?{token}")).status in (401, 403, 405)
        clock = running.gateway.clock
        clock.set_wall_clock(clock.now() + 86_401)
        assert (await running.request("GET", one)).status == 401
        await rest(running, "DELETE", f"/v1/webhooks/{webhook['id']}", key="sk-alice-0123456789", status=201)


async def test_bodies_are_not_sent_where_they_are_too_large_nor_facts_where_none_are_wanted(
    gateway: GatewayFactory,
) -> None:
    sink = receiver()
    small = {"alerts": {**QUIET["alerts"], "max_payload": 1000}}
    async with gateway([*LOGGED, small], http=sink, config=ALLOWED) as running:
        await made(running, includeData=False)
        await running.chat("x" * 2000)
        await followed(running)
        await delivered(running)
        body = json.loads(sink.requests[0].body)
        assert body.keys() == {"request_id", "user_id", "request_body", "response_body"}
        assert body["request_body"].startswith("The body is too large")


async def test_only_requests_with_all_properties_and_of_the_sample_are_told_of(gateway: GatewayFactory) -> None:
    sink = receiver()
    async with gateway([*LOGGED, QUIET], http=sink, config=ALLOWED) as running:
        filters = [{"key": "Env", "value": "prod"}, {"key": "team", "value": "it's"}]
        await made(running, config={"propertyFilters": filters})
        await made(running, config={"sampleRate": 0})
        await running.chat(headers={"Helicone-Property-Env": "prod"})
        await running.chat(headers={"Helicone-Property-Env": "dev", "Helicone-Property-Team": "it's"})
        wanted = await running.chat(headers={"Helicone-Property-env": "prod", "Helicone-Property-Team": "it's"})
        await followed(running)
        await delivered(running)
        assert [json.loads(each.body)["request_id"] for each in sink.requests] == [wanted.headers.get("helicone-id")]


async def test_what_was_logged_before_a_webhook_was_made_is_not_told(gateway: GatewayFactory) -> None:
    sink = receiver()
    async with gateway([*LOGGED, QUIET], http=sink, config=ALLOWED) as running:
        await running.chat()
        await running.gateway.clock.sleep(1)
        await made(running)
        await followed(running)
        await delivered(running)
        assert not sink.requests


async def test_a_dead_receiver_loses_nothing_and_slows_no_other(gateway: GatewayFactory) -> None:
    up = False

    def answers(request: Any) -> Any:
        return of_json({}, status=200 if up or request.target.endswith("/well") else 503)

    sink = receiver()
    sink.default = answers
    async with gateway([*LOGGED, QUIET], http=sink, config=ALLOWED) as running:
        dead = (await made(running))["id"]
        await rest(running, "POST", "/v1/webhooks", {"destination": f"{SINK}/well"})
        ids = {(await running.chat()).headers.get("helicone-id") for _ in range(20)}
        await followed(running)
        await delivered(running)
        well = [json.loads(each.body)["request_id"] for each in sink.requests if each.target.endswith("/well")]
        assert sorted(well) == sorted(ids)
        tried = [each for each in sink.requests if each.target.endswith("/hook")]
        assert len(tried) == 8, "one round, and then it rests"
        shown = {each["id"]: each for each in await rest(running, "GET", "/v1/webhooks")}
        assert shown[dead]["pending"] == 20
        up = True
        await running.gateway.clock.sleep(60)
        await delivered(running)
        told = [each for each in sink.requests if each.target.endswith("/hook")][8:]
        assert sorted(json.loads(each.body)["request_id"] for each in told) == sorted(ids)
        by_delivery = {each.headers.get("helicone-delivery-id"): each.json()["request_id"] for each in told}
        assert by_delivery[tried[0].headers.get("helicone-delivery-id")] == tried[0].json()["request_id"]


async def test_a_receiver_that_was_dead_for_long_is_found_within_a_minute(gateway: GatewayFactory) -> None:
    sink = receiver(503)
    async with gateway([*LOGGED, QUIET], http=sink, config=ALLOWED) as running:
        await made(running)
        await running.chat()
        await followed(running)
        for number in range(8):
            await delivered(running)
            assert len(sink.requests) == number + 1
            await running.gateway.clock.sleep(3600)
        await delivered(running)
        sink.default = of_json({})
        await running.chat()
        await followed(running)
        await running.gateway.clock.sleep(60)
        await delivered(running)
        assert len(sink.requests) == 10, "the new one is delivered, although the old one waits for its next attempt"


async def test_after_the_last_attempt_it_is_a_dead_letter_that_can_be_sent_again(gateway: GatewayFactory) -> None:
    sink = receiver(500)
    twice = {"alerts": {**QUIET["alerts"], "max_attempts": 2}}
    async with gateway([*LOGGED, twice], http=sink, config=ALLOWED) as running:
        webhook = (await made(running))["id"]
        answer = await running.chat()
        await followed(running)
        for _ in range(3):
            await delivered(running)
            await running.gateway.clock.sleep(4000)
        assert len(sink.requests) == 2
        (letter,) = await rest(running, "GET", f"/v1/webhooks/dead-letters?target={webhook}")
        assert (letter["attempts"], letter["error"]) == (2, "it answered 500")
        sink.default = of_json({})
        path = "/v1/webhooks/dead-letters/replay"
        await rest(running, "POST", path, {"ids": ["nothing"]}, status=404)
        assert await rest(running, "POST", path, {"ids": [letter["id"]]}) == {"replayed": 1}
        await delivered(running)
        assert json.loads(sink.requests[-1].body)["request_id"] == answer.headers.get("helicone-id")
        assert await rest(running, "GET", "/v1/webhooks/dead-letters") == []


async def test_more_than_may_wait_is_dropped_and_counted(gateway: GatewayFactory) -> None:
    few = {"alerts": {**QUIET["alerts"], "max_pending": 2}}
    async with gateway([*LOGGED, few], http=receiver(500), config=ALLOWED) as running:
        await made(running)
        for _ in range(5):
            await running.chat()
        await followed(running)
        counters = plugin(running).outbox.counters
        assert (counters.queued, counters.dropped) == (2, 3)


INSIDE = [
    "http://93.184.215.14/hook",
    "https://127.0.0.1/hook",
    "https://10.0.0.1/hook",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/hook",
    "ftp://93.184.215.14/hook",
    "nothing",
]


async def test_destinations_inside_are_refused(gateway: GatewayFactory) -> None:
    async with gateway([*LOGGED, QUIET]) as running:
        for destination in INSIDE:
            told = await rest(running, "POST", "/v1/webhooks", {"destination": destination}, status=400)
            assert told.startswith("The destination"), destination
        good = {"destination": "https://93.184.215.14/hook"}
        await rest(running, "POST", "/v1/webhooks", {**good, "config": {"sampleRate": 101}}, status=400)
        await rest(running, "POST", "/v1/webhooks", {**good, "more": 1}, status=400)
        await rest(running, "POST", "/v1/webhooks", good)


async def test_a_deleted_webhook_hears_nothing_more(gateway: GatewayFactory) -> None:
    sink = receiver()
    async with gateway([*LOGGED, QUIET], http=sink, config=ALLOWED) as running:
        webhook = (await made(running))["id"]
        await running.chat()
        await followed(running)
        await rest(running, "DELETE", f"/v1/webhooks/{webhook}", status=201)
        await rest(running, "DELETE", f"/v1/webhooks/{webhook}", status=404)
        await delivered(running)
        assert not sink.requests
        assert await rest(running, "GET", "/v1/webhooks") == []


async def test_a_test_says_whether_the_receiver_took_it(gateway: GatewayFactory) -> None:
    sink = receiver()
    async with gateway([*LOGGED, QUIET], http=sink, config=ALLOWED) as running:
        webhook = await made(running)
        path = f"/v1/webhooks/{webhook['id']}/test"
        assert await rest(running, "POST", path) == {"delivered": True, "error": None}
        told = sink.requests[0]
        assert told.headers.get("helicone-signature") == signed(webhook["hmac_key"], told.body)
        sink.default = of_json({}, status=404)
        assert await rest(running, "POST", path) == {"delivered": False, "error": "it answered 404"}


async def test_a_webhook_is_changed_and_signs_with_the_same_key(gateway: GatewayFactory) -> None:
    sink = receiver()
    async with gateway([*LOGGED, QUIET], http=sink, config=ALLOWED) as running:
        webhook = await made(running)
        path = f"/v1/webhooks/{webhook['id']}"
        after = await rest(running, "PATCH", path, {"destination": f"{SINK}/elsewhere", "includeData": False})
        assert after["destination"] == f"{SINK}/elsewhere"
        assert after["config"] == {"sampleRate": 100.0, "propertyFilters": [], "includeData": False}
        await rest(running, "PATCH", path, {"config": {"sampleRate": 50}})
        (kept,) = await rest(running, "GET", "/v1/webhooks")
        assert (kept["config"]["sampleRate"], kept["config"]["includeData"]) == (50, False)
        assert kept["hmac_key"] == webhook["hmac_key"]
        refused = await running.request("PATCH", path, json={"destination": "http://127.0.0.1:1/"})
        assert refused.status == 400
        assert (await running.request("PATCH", "/v1/webhooks/none", json={})).status == 404


async def test_what_a_webhook_was_sent_is_remembered_and_bounded(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helicone_gw_alerts.outbox.MAX_DELIVERED", 2)
    sink = receiver()
    async with gateway([*LOGGED, QUIET], http=sink, config=ALLOWED) as running:
        webhook = await made(running)
        path = f"/v1/webhooks/{webhook['id']}/deliveries"
        ids = []
        for _ in range(3):
            ids.append((await running.chat()).headers.get("helicone-id"))
            await followed(running)
        waiting = await rest(running, "GET", path)
        assert {(one["state"], one["attempts"]) for one in waiting} == {("pending", 0)}
        assert {one["request_id"] for one in waiting} == {*ids}
        await delivered(running)
        found = await rest(running, "GET", path)
        assert [(one["state"], one["attempts"], one["error"]) for one in found] == [("delivered", 1, "")] * 2
        assert {one["request_id"] for one in found} < {*ids}
        await rest(running, "DELETE", f"/v1/webhooks/{webhook['id']}", status=201)
        assert (await running.request("GET", path)).status == 404
