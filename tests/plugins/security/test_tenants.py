"""Two organisations whose owners, users and names are alike: neither sees, uses or spends what is the other's.

What the admin API shows is tried with that API; here are the cache, limits, budgets, log and its REST API.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from helicone_gw import Usage
from helicone_gw.testing import GatewayFactory, Reply, RunningGateway, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from tests.plugins.logging.calling import flush

ONE, TWO = "sk-of-one-0123456789", "sk-of-two-0123456789"
KEYS = {
    "one": {"key": ONE, "organization": "one", "owner": "ann", "role": "admin"},
    "two": {"key": TWO, "organization": "two", "owner": "ann", "role": "admin"},
    "operator": "sk-of-the-operator-0123456789",
}
MODELS = {"gpt-4o-mini": {"providers": ["openai"], "price": {"input_mtok": 0, "output_mtok": 1000}}}
REQUEST_ID = "0e4e8b7c-7a53-4f0c-8a55-0c5a3f1f4b11"


@pytest.fixture
async def running(gateway: GatewayFactory) -> AsyncIterator[RunningGateway]:
    provider = ScriptedProvider(
        default=openai_chat.answer("Hi", usage=Usage(input_tokens=10, output_tokens=400), model="gpt-4o-mini")
    )
    limits = [{"policy": "3;w=3600;s=owner"}, {"concurrency": 100, "segment": "owner"}]
    budgets = {
        "everybody": {"limit": 1, "period": "total"},
        "owners": {"limit": 1, "period": "total", "segment": "owner"},
    }
    plugins = [
        "logging",
        "metrics",
        "cost",
        {"security": {"keys": KEYS}},
        {"ratelimit": {"limits": limits, "budgets": budgets, "tokenizer": "estimate"}},
        "cache",
        "router",
    ]
    async with gateway(plugins, provider=provider, config={"models": MODELS}) as made:
        yield made


async def chat(running: RunningGateway, key: str, text: str = "Hi", **headers: str) -> Reply:
    fields = {"authorization": f"Bearer {key}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], "max_tokens": 100}
    return await running.request("POST", "/v1/chat/completions", json=body, headers=fields)


async def rest(running: RunningGateway, key: str, method: str, path: str, body: Any = None) -> Reply:
    await flush(running)
    return await running.request(method, path, json=body, headers={"authorization": f"Bearer {key}"})


async def test_neither_is_answered_from_the_others_cache(running: RunningGateway) -> None:
    asked = {"helicone_cache_enabled": "true"}
    assert (await chat(running, ONE, **asked)).headers.get("helicone-cache") == "MISS"
    assert (await chat(running, TWO, **asked)).headers.get("helicone-cache") == "MISS"
    assert (await chat(running, ONE, **asked)).headers.get("helicone-cache") == "HIT"
    assert len(running.provider.requests) == 2


async def test_neither_uses_up_the_others_limit(running: RunningGateway) -> None:
    policy = {"helicone_ratelimit_policy": "1;w=60;s=user", "helicone_user_id": "bob"}
    assert [(await chat(running, ONE, **policy)).status for _ in range(2)] == [200, 429]
    assert (await chat(running, TWO, **policy)).status == 200


async def test_neither_spends_the_others_budget(running: RunningGateway) -> None:
    assert [(await chat(running, ONE, str(number))).status for number in range(4)] == [200, 200, 200, 402]
    assert (await chat(running, TWO)).status == 200
    for key, spent in ((ONE, "1.20"), (TWO, "0.40")):
        told = (await rest(running, key, "GET", "/v1/budgets")).json()["data"]
        organization = "one" if key == ONE else "two"
        assert {each["organization"] for each in told} == {organization}
        assert {each["spent"] for each in told} == {spent}


async def test_neither_sees_the_others_requests(running: RunningGateway) -> None:
    said = {
        "helicone_request_id": REQUEST_ID,
        "helicone_session_id": "s",
        "helicone_session_name": "n",
        "helicone_user_id": "bob",
        "helicone_property_app": "lab",
    }
    assert (await chat(running, ONE, "the words of one", **said)).status == 200
    for path in ("/v1/request/query", "/v1/request/query-clickhouse"):
        body = {"filter": "all", "limit": 100}
        assert len((await rest(running, ONE, "POST", path, body)).json()["data"]) == 1
        assert (await rest(running, TWO, "POST", path, body)).json()["data"] == []
    assert (
        "the words of one"
        in (await rest(running, ONE, "GET", f"/v1/request/{REQUEST_ID}?includeBody=true")).body.decode()
    )
    assert (await rest(running, TWO, "GET", f"/v1/request/{REQUEST_ID}")).status == 404
    for path, body in (
        (f"/v1/request/{REQUEST_ID}/feedback", {"rating": True}),
        (f"/v1/request/{REQUEST_ID}/score", {"scores": {"good": 1}}),
        ("/v1/request/query-ids", {"requestIds": [REQUEST_ID]}),
        (
            "/v1/session/query",
            {"search": "", "timeFilter": {"startTimeUnixMs": 0, "endTimeUnixMs": 9e12}, "filter": "all"},
        ),
        ("/v1/user/query", {"userIds": ["bob"]}),
        ("/v1/property/query", {}),
        ("/v1/property/app/search", {"searchTerm": ""}),
    ):
        told = await rest(running, TWO, "POST", path, body)
        assert told.status >= 400 or told.json()["data"] in ([], None), path
        assert "bob" not in told.body.decode()
        assert "lab" not in told.body.decode()
    row = (await rest(running, ONE, "GET", f"/v1/request/{REQUEST_ID}")).json()["data"]
    assert not row["scores"]
    assert row.get("feedback_rating") is None


async def test_the_same_request_id_is_two_requests(running: RunningGateway) -> None:
    for key, words in ((ONE, "the words of one"), (TWO, "the words of two")):
        assert (await chat(running, key, words, helicone_request_id=REQUEST_ID)).status == 200
    for key, own, other in ((ONE, "one", "two"), (TWO, "two", "one")):
        told = (await rest(running, key, "GET", f"/v1/request/{REQUEST_ID}?includeBody=true")).body.decode()
        assert f"the words of {own}" in told
        assert f"the words of {other}" not in told


async def test_no_header_names_another_organization(running: RunningGateway) -> None:
    for name in ("helicone_org_id", "helicone_organization_id", "helicone_property_organization", "x_organization"):
        assert (await chat(running, ONE, **{name: "two"})).status in (200, 402, 429)
    assert {served.organization for served in running.exchanges} == {"one"}


async def test_figures_of_all_are_the_operators(running: RunningGateway) -> None:
    assert (await chat(running, ONE)).status == 200
    for key, status in ((ONE, 403), (TWO, 403), (str(KEYS["operator"]), 200)):
        told = await rest(running, key, "GET", "/metrics")
        assert told.status == status
        assert ("requests_total" in told.body.decode()) is (status == 200)
