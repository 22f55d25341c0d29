"""The store on a real Redis: the same as in memory, exact between processes, and not confused by calls cut short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from helicone_gw import StoreOperation, StoreUnavailable
from helicone_gw.clock import SystemClock
from helicone_gw.store import MemoryStore, Store, open_store
from tests.core.store.helpers import ADD, PATIENT
from tests.fixtures.processes import PROCESSES
from tests.fixtures.redis_server import RedisServer
from tests.fixtures.tcp_proxy import proxied


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[Store]:
    store = open_store(redis_server.url, SystemClock(), **PATIENT)
    yield store
    await store.close()


@pytest.fixture(params=["memory", "redis"])
async def either(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Whatever holds for one holds for the other."""
    if request.param == "memory":
        yield MemoryStore(SystemClock())
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    store = open_store(server.url, SystemClock(), **PATIENT)
    yield store
    await store.close()


async def test_values(either: Store) -> None:
    assert await either.get("a") is None
    await either.set("a", b"\x00\xff")
    await either.set("b", b"2", ttl=60)
    assert await either.get("a") == b"\x00\xff"
    assert await either.get_many(["b", "none", "a"]) == [b"2", None, b"\x00\xff"]
    assert await either.get_many([]) == []
    await either.delete("a")
    await either.delete("a")
    assert await either.get("a") is None


async def test_counters(either: Store) -> None:
    assert await either.increment("n") == 1
    assert await either.increment("n", -3) == -2
    assert await either.increment("m", 5, ttl=60) == 5
    assert await either.increment("m", 2**53, ttl=60) == 2**53 + 5, "beyond what Lua counts exactly"
    assert await either.get("m") == b"%d" % (2**53 + 5)


async def test_compare_and_set(either: Store) -> None:
    assert not await either.compare_and_set("a", b"0", b"1")
    assert await either.compare_and_set("a", None, b"1", ttl=60)
    assert not await either.compare_and_set("a", None, b"2")
    assert await either.compare_and_set("a", b"1", b"2", ttl=60)
    assert await either.compare_and_set("a", b"2", b"3")
    assert await either.get("a") == b"3"


async def test_operations(either: Store) -> None:
    assert await either.run(ADD, ["n"], [2, 1.5]) == [2, None, b"1.5"]
    assert await either.run_all([(ADD, ["{t}:1", "{t}:2"], [1, "x"]), (ADD, ["n"], [b"3", 10])]) == [
        [1, None, b"x"],
        [5, None, b"10"],
    ]
    assert await either.run_all([]) == []
    assert await either.run(ADD, ["{t}:2"], [1, ""]) == [2, None, b""]
    with pytest.raises(ValueError, match="share no"):
        await either.run(ADD, ["a", "b"], [1, ""])


async def test_scopes(either: Store) -> None:
    one, other = either.scope("one"), either.scope("other")
    await one.set("a", b"1", ttl=60)
    assert await either.get("one:a") == b"1"
    assert await other.get_many(["a"]) == [None]
    assert await one.increment("n", 2, ttl=60) == 2
    assert await one.compare_and_set("a", b"1", b"2", ttl=60)
    assert await one.run(ADD, ["{t}1", "{t}2"], [1, "x"]) == [1, None, b"x"]
    assert await other.run_all([(ADD, ["n"], [1, "x"])]) == [[1, None, b"x"]]
    await one.delete("a")
    assert await one.get("a") is None
    assert await one.problem() == ""
    assert one.stats.failures == 0


async def test_what_expires_on_redis(store: Store, redis_server: RedisServer) -> None:
    await store.set("short", b"", ttl=0.0001)
    await store.set("long", b"", ttl=90)
    await store.set("ever", b"", ttl=90)
    await store.set("ever", b"")
    await store.increment("counter", ttl=90)
    redis_server.ask("PEXPIRE", "t:counter", "50000")
    await store.increment("counter", ttl=90)
    await store.compare_and_set("swapped", None, b"1", ttl=90)
    await store.compare_and_set("swapped", b"1", b"2", ttl=30)
    left = {key: int(redis_server.ask("PTTL", f"t:{key}")[1:]) for key in ("long", "ever", "counter", "swapped")}
    assert 60_000 < left["long"] <= 90_000
    assert left["ever"] == -1, "the last write decides"
    assert 40_000 < left["counter"] <= 50_000, "the time to live counts from the counter's creation"
    assert 20_000 < left["swapped"] <= 30_000
    while await store.get("short") is not None:
        await asyncio.sleep(0.001)


async def test_a_counter_that_is_back_at_nothing_is_not_a_new_one(store: Store, redis_server: RedisServer) -> None:
    await store.increment("n", 1)
    await store.increment("n", -1)
    await store.increment("n", 1, ttl=60)
    assert redis_server.ask("PTTL", "t:n") == b":-1\r\n"


async def test_every_key_is_in_the_namespace(store: Store, redis_server: RedisServer) -> None:
    await store.set("a", b"")
    await store.scope("cache").increment("n")
    await store.run(ADD, ["{x}1", "{x}2"], [1, ""])
    assert redis_server.keys() == {"t:a", "t:cache:n", "t:{x}1", "t:{x}2"}


async def test_a_script_that_the_server_forgot_is_sent_again(store: Store, redis_server: RedisServer) -> None:
    redis_server.ask("CONFIG", "RESETSTAT")
    assert [(await store.run(ADD, ["n"], [1, ""]))[0] for _ in range(3)] == [1, 2, 3]
    assert b"cmdstat_eval:calls=1," in redis_server.ask("INFO", "commandstats"), "the script itself travels once"
    redis_server.ask("SCRIPT", "FLUSH")
    calls = [(ADD, [f"k{number % 2}"], [1, ""]) for number in range(4)]
    assert [result[0] for result in await store.run_all(calls)] == [1, 1, 2, 2], "once each, however it was sent"


async def test_several_operations_are_one_round_trip(store: Store, redis_server: RedisServer) -> None:
    with proxied(redis_server.port) as proxy:
        behind = open_store(f"redis://127.0.0.1:{proxy.port}", SystemClock(), **PATIENT)
        await behind.run(ADD, ["n"], [1, ""])
        before = proxy.pieces
        await behind.run_all([(ADD, [f"k{number}"], [1, ""]) for number in range(20)])
        await behind.get_many([f"k{number}" for number in range(20)])
        assert proxy.pieces - before == 4, "two pieces there and two back"
        await behind.close()


@pytest.mark.parametrize(
    ("lua", "error", "message"),
    [
        ("return 1", TypeError, "must return a table"),
        ("return redis.error_reply('NO')", ValueError, "'broken' failed: NO"),
        ("this is no lua", ValueError, "'broken' failed"),
        ("return {redis.call('LPUSH', KEYS[1], 'x'), redis.call('GET', KEYS[1])}", ValueError, "WRONGTYPE"),
    ],
)
async def test_a_script_that_is_wrong_is_a_fault_and_not_an_outage(
    store: Store, lua: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await store.run(StoreOperation("broken", lua, ADD.local), ["k"])
    assert store.stats.failures == 0
    assert not store.stats.open


async def test_what_an_operation_wrote_is_read_by_operations(store: Store, redis_server: RedisServer) -> None:
    redis_server.ask("LPUSH", "t:list", "x")
    for read in (store.get("list"), store.get_many(["list"])):
        with pytest.raises(TypeError, match="by operations alone"):
            await read
    await store.set("text", b"x")
    for count in (store.increment("text"), store.increment("text", ttl=5)):
        with pytest.raises(ValueError, match="not an integer"):
            await count
    assert store.stats.failures == 0


async def test_an_argument_of_a_wrong_kind_is_a_fault_and_costs_no_connection(store: Store) -> None:
    with pytest.raises(TypeError):
        await store.set("a", {"not": "bytes"})  # type: ignore[arg-type]
    assert await store.get("a") is None
    assert store.stats.failures == 0


async def test_a_call_that_was_cut_short_leaves_no_reply_to_the_next(redis_server: RedisServer) -> None:
    with proxied(redis_server.port) as proxy:
        store = open_store(f"redis://127.0.0.1:{proxy.port}", SystemClock(), **PATIENT | {"max_connections": 1})
        await store.set("secret", b"of another")
        await store.set("mine", b"mine")
        proxy.delay = 0.05
        for _ in range(3):
            cut = asyncio.ensure_future(store.get("secret"))
            await asyncio.sleep(0.02)
            cut.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cut
            assert await store.get("mine") == b"mine"
        assert store.stats.failures == 0, "that a caller left is no failure of the store"
        await store.close()


async def test_more_calls_than_connections_wait_for_one(redis_server: RedisServer) -> None:
    with proxied(redis_server.port) as proxy:
        store = open_store(f"redis://127.0.0.1:{proxy.port}", SystemClock(), **PATIENT | {"max_connections": 3})
        totals = await asyncio.gather(*(store.increment("n") for _ in range(200)))
        assert sorted(totals) == list(range(1, 201))
        assert proxy.accepted <= 3
        await store.close()


def _hammer(url: str, rounds: int) -> None:
    async def work() -> None:
        store = open_store(url, SystemClock(), **PATIENT)
        for _ in range(rounds):
            await asyncio.gather(store.increment("plain"), store.increment("expiring", 3, ttl=600))
            await store.run(ADD, ["{sum}:1", "{sum}:2"], [7, ""])
            while True:
                current = await store.get("swapped")
                if await store.compare_and_set("swapped", current, b"%d" % (int(current or 0) + 1), ttl=600):
                    break
        await store.close()

    asyncio.run(work())


async def test_several_processes_count_exactly(store: Store, redis_server: RedisServer) -> None:
    rounds = 100
    processes = [PROCESSES.Process(target=_hammer, args=(redis_server.url, rounds)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join, 60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    counted = await store.get_many(["plain", "expiring", "swapped"])
    assert counted == [b"%d" % (3 * rounds), b"%d" % (9 * rounds), b"%d" % (3 * rounds)]
    assert (await store.run(ADD, ["{sum}:2"], [0, ""]))[0] == 3 * rounds * 7


async def test_a_closed_store_refuses(store: Store) -> None:
    await store.set("a", b"")
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.get("a")
    assert store.stats.refused == 1
    await store.close()
