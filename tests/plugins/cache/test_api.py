"""The cache over HTTP: everybody sees and clears what is their own, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from helicone_gw import Plugin
from helicone_gw.testing import GatewayFactory, Reply, RunningGateway
from helicone_gw_cache.backends import Selection
from helicone_gw_cache.backends.memory import MemoryBackend
from helicone_gw_cache.plugin import CachePlugin
from tests.plugins.cache.making import an_entry

ALICE = {"Authorization": "Bearer sk-of-alice-0123456789"}
ALICES_OTHER = {"Authorization": "Bearer sk-of-alices-other-0123456789"}
BOB = {"Authorization": "Bearer sk-of-bob-0123456789"}
SECURITY: dict[str, Any] = {
    "keys": {
        "alice": {"key": "sk-of-alice-0123456789", "owner": "alice"},
        "alice-2": {"key": "sk-of-alices-other-0123456789", "owner": "alice"},
        "bob": {"key": "sk-of-bob-0123456789", "owner": "bob"},
        "narrow": {"key": "sk-of-nobody-0123456789", "owner": "alice", "paths": ["/v1/chat/*"]},
    }
}
CACHED = {"Helicone-Cache-Enabled": "true", "Helicone-Cache-Debug": "true"}


def cache_of(running: RunningGateway) -> CachePlugin:
    plugin = next(plugin for plugin in running.gateway.plugins if isinstance(plugin, CachePlugin))
    assert isinstance(plugin.backend, MemoryBackend)
    return plugin


@pytest.fixture
async def shared(gateway: GatewayFactory) -> AsyncIterator[RunningGateway]:
    """A gateway with keys, and entries of two owners."""
    async with gateway([{"security": SECURITY}, "cache"]) as running:
        backend = cache_of(running).backend
        now = running.gateway.clock.now()
        fresh: dict[str, Any] = {"stored_at": now - 7200, "expires_at": now + 60, "stale_until": now + 60}
        await backend.put(an_entry("a", owner="alice", **fresh))
        await backend.put(an_entry("a-1", owner="alice", model="o3", **{**fresh, "stored_at": now - 5}))
        await backend.put(an_entry("b", owner="bob", frames=(b"\xff\xfe not text",), **fresh))
        await backend.put(an_entry("c", owner="alice", organization="other", **fresh))
        yield running


async def ask(running: RunningGateway, request_line: str, headers: dict[str, str] | None = None) -> Reply:
    method, path = request_line.split()
    return await running.request(method, path, headers=headers)


async def test_stats_are_of_what_the_caller_owns(shared: RunningGateway) -> None:
    for headers in (ALICE, ALICES_OTHER):
        reply = await ask(shared, "GET /v1/cache/stats", headers)
        data = reply.json()["data"]
        assert (reply.status, reply.json()["error"]) == (200, None)
        assert (data["backend"], data["entries"]) == ("memory", 2)
        assert {group["model"]: group["entries"] for group in data["models"]} == {"gpt-4o-mini": 1, "o3": 1}
        assert data["oldest"] < data["newest"] <= "9999-12-31T23:59:59Z"
        assert "counters" not in data, "they tell of everybody"
    assert (await ask(shared, "GET /v1/cache/stats", BOB)).json()["data"]["entries"] == 1


@pytest.mark.parametrize(
    ("query", "entries"),
    [
        ("model=o3", 1),
        ("provider=openai", 2),
        ("provider=groq", 0),
        ("older_than=1h", 1),
        ("older_than=1h&model=o3", 0),
    ],
)
async def test_filters_narrow_what_is_meant(shared: RunningGateway, query: str, entries: int) -> None:
    assert (await ask(shared, f"GET /v1/cache/stats?{query}", ALICE)).json()["data"]["entries"] == entries
    assert (await ask(shared, f"DELETE /v1/cache?{query}", ALICE)).json()["data"] == {"cleared": entries}
    assert (await ask(shared, "GET /v1/cache/stats", ALICE)).json()["data"]["entries"] == 2 - entries


async def test_an_entry_is_shown_with_its_answer_to_its_owner_alone(shared: RunningGateway) -> None:
    reply = await ask(shared, "GET /v1/cache/entries/a", ALICES_OTHER)
    data = reply.json()["data"]
    assert reply.status == 200
    assert (data["key"], data["fresh"], data["body"]) == ("a", True, '{"answer": "Hello!"}')
    assert data["headers"] == [["content-type", "application/json"]]
    assert (data["usage"]["input_tokens"], data["cost_nano_usd"], data["latency_ms"]) == (9, 8550, 812)
    missing = await ask(shared, "GET /v1/cache/entries/missing", BOB)
    for request_line in ("GET /v1/cache/entries/a", "DELETE /v1/cache/entries/a", "GET /v1/cache/entries/c"):
        reply = await ask(shared, request_line, BOB)
        assert (reply.status, reply.body) == (404, missing.body), "nothing says that somebody else has it"
    assert (await ask(shared, "GET /v1/cache/entries/c", ALICE)).status == 404, "of another organisation"
    assert (await ask(shared, "GET /v1/cache/entries/a", ALICE)).status == 200


async def test_an_answer_that_is_no_text_is_shown_in_base64(shared: RunningGateway) -> None:
    data = (await ask(shared, "GET /v1/cache/entries/b", BOB)).json()["data"]
    assert data["body_base64"] == "//4gbm90IHRleHQ="
    assert "body" not in data


async def test_one_entry_can_be_deleted(shared: RunningGateway) -> None:
    assert (await ask(shared, "DELETE /v1/cache/entries/a", ALICE)).json()["data"] == {"cleared": 1}
    assert (await ask(shared, "DELETE /v1/cache/entries/a", ALICE)).status == 404
    assert (await ask(shared, "GET /v1/cache/entries/a-1", ALICE)).status == 200


async def test_all_that_the_caller_owns_can_be_cleared(shared: RunningGateway) -> None:
    assert (await ask(shared, "DELETE /v1/cache", ALICE)).json() == {"data": {"cleared": 2}, "error": None}
    assert (await cache_of(shared).backend.stats(Selection())).entries == 2
    assert (await ask(shared, "GET /v1/cache/entries/b", BOB)).status == 200


@pytest.mark.parametrize(
    "query",
    ["modle=o3", "owner=bob", "organization=other", "model=", "model=a&model=b", "older_than=soon", "older_than=-1"],
)
async def test_a_query_that_is_not_understood_clears_nothing(shared: RunningGateway, query: str) -> None:
    for request_line in (f"DELETE /v1/cache?{query}", f"GET /v1/cache/stats?{query}"):
        reply = await ask(shared, request_line, ALICE)
        assert reply.status == 400
        assert reply.json()["data"] is None
        assert reply.json()["error"]
    assert (await cache_of(shared).backend.stats(Selection())).entries == 4


@pytest.mark.parametrize(
    "request_line",
    ["GET /v1/cache/stats", "DELETE /v1/cache", "GET /v1/cache/entries/a", "DELETE /v1/cache/entries/a"],
)
async def test_without_a_good_key_nothing_is_shown_or_cleared(shared: RunningGateway, request_line: str) -> None:
    assert (await ask(shared, request_line)).status == 401
    assert (await ask(shared, request_line, {"Authorization": "Bearer sk-made-up"})).status == 401
    narrow = await ask(shared, request_line, {"Authorization": "Bearer sk-of-nobody-0123456789"})
    assert narrow.status == 403, "the paths of a key hold here as well"
    assert (await cache_of(shared).backend.stats(Selection())).entries == 4


async def test_paths_and_methods_that_are_none_are_refused_here(shared: RunningGateway) -> None:
    for request_line, status in (
        ("POST /v1/cache", 405),
        ("GET /v1/cache", 405),
        ("PUT /v1/cache/stats", 405),
        ("GET /v1/cache/nothing", 404),
        ("GET /v1/cache/entries/a/b", 404),
    ):
        assert (await ask(shared, request_line, ALICE)).status == status, request_line
    assert shared.provider.requests == [], "they are the gateway's own, and go to no provider"


async def test_requests_that_hit_are_counted_for_their_owner(gateway: GatewayFactory) -> None:
    async with gateway(["cost", {"security": SECURITY}, "cache"]) as running:
        for headers in (ALICE, ALICE, ALICE, BOB):
            assert (await running.chat(headers={**headers, **CACHED})).status == 200
        entry = running.exchanges[0]
        saved = (await ask(running, "GET /v1/cache/stats", ALICE)).json()["data"]["saved"]
        assert (saved["hits"], saved["misses"], saved["unknown_cost"], saved["unknown_tokens"]) == (2, 1, 0, 0)
        assert entry.usage is not None
        assert entry.cost is not None
        assert saved["tokens"]["prompt_tokens"] == 2 * (entry.usage.input_tokens or 0) > 0
        assert saved["nano_usd"] == 2 * entry.cost.nano_usd > 0
        of_bob = (await ask(running, "GET /v1/cache/stats", BOB)).json()["data"]["saved"]
        assert (of_bob["hits"], of_bob["misses"]) == (0, 1)
        assert len(running.provider.requests) == 2


async def test_the_key_that_an_answer_tells_leads_to_its_entry(gateway: GatewayFactory) -> None:
    async with gateway(["cache"]) as running:
        for stream in (False, True):
            reply = await running.chat(stream=stream, headers=CACHED)
            key = reply.headers.get("helicone-cache-key")
            data = (await ask(running, f"GET /v1/cache/entries/{key}")).json()["data"]
            assert data["streamed"] == stream
            assert data["body"].encode() == reply.body
            assert data["request_id"] == reply.headers.get("helicone-id")


async def test_an_open_gateway_shows_everything_and_its_counters(gateway: GatewayFactory) -> None:
    async with gateway(["cache"]) as running:
        await running.chat(headers=CACHED)
        data = (await ask(running, "GET /v1/cache/stats")).json()["data"]
        assert (data["entries"], data["counters"]["stored"]) == (1, 1)
        assert (await ask(running, "DELETE /v1/cache")).json()["data"] == {"cleared": 1}
        reply = await running.request("DELETE", "/v1/cache", headers={"Origin": "https://evil.example"})
        assert reply.status == 403, "not for web pages of others"


async def test_a_place_that_does_not_answer_is_a_503(shared: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    from helicone_gw_cache.backends import Unreachable

    async def away(*arguments: object) -> None:
        raise Unreachable("the file /secret/place does not answer")

    backend = cache_of(shared).backend
    monkeypatch.setattr(backend, "stats", away)
    monkeypatch.setattr(backend, "clear", away)
    for request_line in ("GET /v1/cache/stats", "DELETE /v1/cache"):
        reply = await ask(shared, request_line, ALICE)
        assert reply.status == 503
        assert reply.json() == {"data": None, "error": "The cache cannot be reached."}


async def test_of_two_caches_the_outer_one_answers(gateway: GatewayFactory) -> None:
    classes: dict[str, type[Plugin]] = {"cache": CachePlugin}
    plugins = [{"cache": {}}, {"cache": {"name": "inner"}}]
    async with gateway(plugins, classes=classes) as running:
        await cache_of(running).backend.put(an_entry("a", owner="", expires_at=1e11, stale_until=1e11))
        assert (await ask(running, "GET /v1/cache/stats")).json()["data"]["entries"] == 1
