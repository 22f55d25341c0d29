"""Entries in a real Redis: shared, one round trip, gone at their time; and a Redis that is away is a miss."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from helicone_gw import GatewayConfig, Store
from helicone_gw.clock import SystemClock
from helicone_gw.store import MemoryStore, open_store
from helicone_gw.testing import GatewayFactory, VirtualClock
from helicone_gw.testing.clock import EPOCH
from helicone_gw_cache.backends import BackendConfig, Selection, Unreachable
from helicone_gw_cache.backends.operations import INDEX, OVERDUE, PAGE
from helicone_gw_cache.backends.redis import RedisBackend
from helicone_gw_cache.config import CacheConfig
from helicone_gw_cache.plugin import CachePlugin
from tests.fixtures.redis_server import NEEDED, RedisServer
from tests.plugins.cache.making import an_entry
from tests.plugins.cache.places import BOUNDS
from tests.program import free_port

EVERYTHING = Selection()
ALICE = Selection(organization="default", owner="alice")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[Store]:
    opened = a_store(redis_server)
    yield opened
    await opened.close()


def a_store(server: RedisServer, scheme: str = "redis", **options: Any) -> Store:
    url = f"{scheme}://127.0.0.1:{server.port}"
    patient: dict[str, Any] = {"namespace": "t:", "deadline": 30, "retry_after": 0.1, "max_connections": 4}
    return open_store(url, SystemClock(), **{**patient, **options})


@pytest.fixture
def backend(store: Store, clock: VirtualClock) -> RedisBackend:
    return RedisBackend(store.scope("cache"), clock, **BOUNDS)


def index_of(server: RedisServer, part: str) -> str:
    """The key of the only owner's index."""
    (key,) = (key for key in server.keys() if "index:" in key and key.endswith(f":{part}"))  # noqa: SIM118 - no mapping
    return key


async def test_gateways_share_entries(redis_server: RedisServer, backend: RedisBackend, clock: VirtualClock) -> None:
    other_store = a_store(redis_server)
    other = RedisBackend(other_store.scope("cache"), clock, **BOUNDS)
    await backend.put(an_entry("a"))
    assert await other.get_many(["a"]) == [an_entry("a")]
    assert await other.clear(EVERYTHING) == 1
    assert await backend.get_many(["a"]) == [None]
    await other_store.close()


@pytest.mark.parametrize(("together", "fits"), [(1, True), (2, False)])
async def test_one_look_never_reads_more_than_travels_in_time(backend: RedisBackend, together: int, fits: bool) -> None:
    entry = an_entry("a", frames=(random.Random(7).randbytes(600 << 10),))
    assert await backend.put(entry, together) is fits
    assert backend.counters.too_large == (not fits)
    assert not await backend.put(an_entry("b", frames=(random.Random(8).randbytes(1 << 20),)))
    assert await backend.get_many(["a", "b"]) == [entry if fits else None, None]


async def test_what_a_request_asks_is_one_round_trip(store: Store, backend: RedisBackend) -> None:
    before = store.stats.calls
    await backend.get_many([f"key-{number}" for number in range(20)])
    assert store.stats.calls == before + 1
    await backend.put(an_entry("a"))
    assert store.stats.calls == before + 2


async def test_redis_drops_everything_by_itself(redis_server: RedisServer, backend: RedisBackend) -> None:
    for key, seconds in (("a", 4000), ("b", 9000), ("c", 2000)):
        await backend.put(an_entry(key, stale_until=EPOCH + seconds))
    left = {key: int(redis_server.ask("PTTL", key)[1:]) for key in redis_server.keys()}  # noqa: SIM118 - no mapping
    entries = {key[-1]: lifetime for key, lifetime in left.items() if "{" not in key}
    assert 2_000_000 < entries["a"] <= 4_000_000 < entries["b"] <= 9_000_000
    assert 0 < entries["c"] <= 2_000_000
    assert all(4_000_000 < lifetime <= 9_000_000 for key, lifetime in left.items() if "{" in key)


async def test_its_keys_tell_nobody_whose_they_are(redis_server: RedisServer, backend: RedisBackend) -> None:
    await backend.put(an_entry("0123", owner="alice@example.org", organization="acme"))
    keys = redis_server.keys()
    assert len(keys) == 5
    assert all(key.startswith("t:cache:") for key in keys)
    assert not any(word in key for key in keys for word in ("alice", "acme"))


async def test_owners_that_are_spelled_alike_are_kept_apart(backend: RedisBackend) -> None:
    await backend.put(an_entry("a", organization="ab", owner="c"))
    await backend.put(an_entry("b", organization="a", owner="bc"))
    assert (await backend.stats(Selection(organization="ab", owner="c"))).entries == 1
    assert await backend.clear(Selection(organization="a", owner="bc")) == 1
    assert await backend.get_many(["a", "b"]) == [an_entry("a", organization="ab", owner="c"), None]


async def test_what_is_overdue_leaves_the_index_with_the_next_writes(
    redis_server: RedisServer, backend: RedisBackend, clock: VirtualClock
) -> None:
    for number in range(OVERDUE + 20):
        await backend.put(an_entry(f"key-{number}", stale_until=EPOCH + 10))
    clock.advance(11)
    await backend.put(an_entry("a"))
    await backend.put(an_entry("b"))
    assert int(redis_server.ask("HLEN", index_of(redis_server, "facts"))[1:]) == 2
    assert int(redis_server.ask("ZCARD", index_of(redis_server, "due"))[1:]) == 2


async def test_an_owner_stays_listed_as_long_as_the_last_entry(backend: RedisBackend, clock: VirtualClock) -> None:
    await backend.put(an_entry("a", stale_until=EPOCH + 100))
    await backend.put(an_entry("b", stale_until=EPOCH + 10))
    clock.advance(50)
    await backend.put(an_entry("c", owner="bob"))
    assert (await backend.stats(EVERYTHING)).entries == 2
    assert await backend.clear(EVERYTHING) == 2


async def test_entries_that_redis_evicted_are_not_counted_as_cleared(
    redis_server: RedisServer, backend: RedisBackend
) -> None:
    await backend.put(an_entry("a"))
    await backend.put(an_entry("b"))
    redis_server.ask("DEL", "t:cache:entry:a")
    assert await backend.get_many(["a"]) == [None]
    assert await backend.clear(ALICE) == 1
    assert (await backend.stats(ALICE)).entries == 0


async def test_without_its_facts_an_entry_is_still_cleared_with_its_owners(
    redis_server: RedisServer, backend: RedisBackend
) -> None:
    await backend.put(an_entry("a"))
    redis_server.ask("DEL", index_of(redis_server, "facts"))
    assert (await backend.stats(ALICE)).entries == 0
    assert await backend.clear(Selection(organization="default", owner="alice", model="o3")) == 0
    assert await backend.get_many(["a"]) == [an_entry("a")]
    assert await backend.clear(ALICE) == 1


@pytest.mark.parametrize("odd", ["", "x", "of another version"])
async def test_what_another_version_wrote_is_absent(redis_server: RedisServer, backend: RedisBackend, odd: str) -> None:
    await backend.put(an_entry("a"))
    await backend.put(an_entry("b"))
    redis_server.ask("SET", "t:cache:entry:a", odd)
    assert await backend.get_many(["a", "b"]) == [None, an_entry("b")]
    assert backend.counters.unreadable == 1
    redis_server.ask("HSET", index_of(redis_server, "facts"), "a", odd)
    assert (await backend.stats(EVERYTHING)).entries == 1


async def test_an_entry_under_another_key_is_not_taken_for_it(redis_server: RedisServer, backend: RedisBackend) -> None:
    await backend.put(an_entry("a"))
    redis_server.ask("RENAME", "t:cache:entry:a", "t:cache:entry:b")
    assert await backend.get_many(["b"]) == [None]


async def test_a_redis_that_is_away_is_a_miss_and_back_again_a_hit(
    own_redis_server: RedisServer, clock: VirtualClock
) -> None:
    store = a_store(own_redis_server, deadline=5)
    backend = RedisBackend(store.scope("cache"), clock, **BOUNDS)
    assert await backend.put(an_entry("a"))
    own_redis_server.kill()
    assert await backend.get_many(["a", "b"]) == [None, None]
    assert not await backend.put(an_entry("b"))
    assert not await backend.delete("a")
    for work in (backend.clear, backend.stats):
        with pytest.raises(Unreachable, match="the gateway's store does not answer"):
            await work(EVERYTHING)
    assert (backend.counters.unavailable, backend.counters.stored) == (5, 1)
    own_redis_server.start()
    for _ in range(500):
        if await backend.put(an_entry("a")):
            break
        await SystemClock().sleep(0.02)
    assert await backend.get_many(["a"]) == [an_entry("a")]
    await store.close()


@pytest.fixture
def a_cluster(tmp_path: Path) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip(NEEDED)
    server = RedisServer(tmp_path, **{"cluster-enabled": "yes", "cluster-port": str(free_port())})
    try:
        server.start()
        server.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        yield server
    finally:
        server.kill()


async def test_on_a_cluster_an_index_lies_in_one_slot(a_cluster: RedisServer, clock: VirtualClock) -> None:
    store = a_store(a_cluster, "redis+cluster")
    backend = RedisBackend(store.scope("cache"), clock, **BOUNDS)
    for _ in range(500):  # until it has seen that its slots are all there
        if await backend.put(an_entry("key-0")):
            break
        await SystemClock().sleep(0.02)
    for number in range(1, 30):
        assert await backend.put(an_entry(f"key-{number}", owner=f"owner-{number % 3}"))
    assert (await backend.stats(EVERYTHING)).entries == 30
    assert await backend.get_many(["key-3", "none", "key-4"]) == [
        an_entry("key-3", owner="owner-0"),
        None,
        an_entry("key-4", owner="owner-1"),
    ]
    assert await backend.clear(Selection(owner="owner-1")) == 10
    assert await backend.delete("key-3")
    assert await backend.clear(EVERYTHING) == 19
    await store.close()


def on(server: RedisServer) -> dict[str, Any]:
    return {"store": {"url": server.url, "deadline": 5, "retry_after": 0.1}}


CACHED = {"Helicone-Cache-Enabled": "true"}
PLUGINS: list[Any] = [{"cache": {"backend": {"url": "store://"}}}]


@pytest.mark.parametrize("stream", [False, True])
async def test_two_gateways_answer_from_one_redis(
    gateway: GatewayFactory, redis_server: RedisServer, stream: bool
) -> None:
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(gateway(PLUGINS, config=on(redis_server))) for _ in range(2)]
        first = await one.chat(stream=stream, headers=CACHED)
        await one.gateway.background.drain(5)
        second = await other.chat(stream=stream, headers=CACHED)
        assert [reply.headers.get("helicone-cache") for reply in (first, second)] == ["MISS", "HIT"]
        assert second.body == first.body
        assert other.provider.requests == []
        assert (await other.request("GET", "/v1/cache/stats")).json()["data"]["entries"] == 1


async def test_no_client_sees_that_redis_is_gone(gateway: GatewayFactory, own_redis_server: RedisServer) -> None:
    async with gateway(PLUGINS, config=on(own_redis_server)) as running:
        await running.chat(headers=CACHED)
        await running.gateway.background.drain(5)
        assert (await running.chat(headers=CACHED)).headers.get("helicone-cache") == "HIT"
        own_redis_server.kill()
        for stream in (False, True, False):
            reply = await running.chat(stream=stream, headers=CACHED)
            assert (reply.status, reply.headers.get("helicone-cache"), reply.aborted) == (200, "MISS", False)
        for path in ("/v1/cache/stats", "/v1/cache/entries/a"):
            reply = await running.request("GET", path)
            assert (reply.status, reply.json()["error"]) == (503, "The cache cannot be reached.")
        assert running.faults == {}


def test_the_commands_look_into_redis_itself(redis_server: RedisServer) -> None:
    cli = typer.Typer()
    CachePlugin(CacheConfig(backend=BackendConfig(url="store://")), "cache").register_commands(cli)
    config = GatewayConfig.model_validate(on(redis_server))

    @cli.callback()
    def root(context: typer.Context) -> None:
        context.obj = SimpleNamespace(config=config)

    async def put() -> None:
        store = a_store(redis_server, namespace=config.store.namespace)
        backend = RedisBackend(store.scope("cache"), SystemClock(), **BOUNDS)
        assert await backend.put(an_entry("a", stale_until=1e11))
        assert await backend.put(an_entry("b", owner="bob", stale_until=1e11))
        await store.close()

    asyncio.run(put())

    def run(*arguments: str) -> Any:
        return json.loads(CliRunner().invoke(cli, ["cache", *arguments, "--json"]).output)

    assert (run("stats")["backend"], run("stats")["entries"]) == ("redis", 2)
    assert run("get", "a")["owner"] == "alice"
    assert run("clear", "--owner", "bob") == {"cleared": 1}
    assert run("stats")["entries"] == 1
    redis_server.ask("FLUSHALL")
    assert run("stats")["entries"] == 0


def test_of_a_redis_that_is_away_the_commands_say_so(own_redis_server: RedisServer) -> None:
    cli = typer.Typer()
    CachePlugin(CacheConfig(backend=BackendConfig(url="store://")), "cache").register_commands(cli)
    config = GatewayConfig.model_validate(on(own_redis_server))
    own_redis_server.kill()

    @cli.callback()
    def root(context: typer.Context) -> None:
        context.obj = SimpleNamespace(config=config)

    for arguments in (["stats"], ["clear", "--all"], ["get", "a"]):
        result = CliRunner().invoke(cli, ["cache", *arguments])
        assert result.exit_code == 1
        assert "The cache cannot be reached: " in result.output


async def test_the_index_in_memory_is_that_on_redis(store: Store, clock: VirtualClock) -> None:
    """The two halves of the operation, side by side, where a member comes again earlier or later."""
    local = MemoryStore(clock)
    now, keys = clock.now(), ["i:{x}:due", "i:{x}:facts"]
    for member, due, latest in (("a", 50, 0), ("a", 20, 0), ("b", 50, 1), ("b", 20, 1), ("c", -5, 0)):
        arguments = [member, b"facts", now + due, now, 60_000, latest]
        assert await store.run(INDEX, keys, arguments) == await local.run(INDEX, keys, arguments)
    listed = await store.run(PAGE, keys, [0, 10])
    assert listed == await local.run(PAGE, keys, [0, 10]) == [b"a", b"facts", b"b", b"facts"]
    assert await store.run(PAGE, keys, [1, 1]) == await local.run(PAGE, keys, [1, 1]) == [b"b", b"facts"]
