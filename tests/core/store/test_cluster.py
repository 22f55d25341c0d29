"""A real Redis Cluster of two: keys on both, keys that move, nodes that are gone, and calls cut short."""

from __future__ import annotations

import asyncio

import pytest
from redis.crc import key_slot

from helicone_gw import StoreUnavailable
from helicone_gw.clock import SystemClock
from helicone_gw.store import open_store
from tests.core.store.helpers import ADD, PATIENT, opened, until_it_answers, works
from tests.fixtures.redis_server import RedisServer
from tests.fixtures.tcp_proxy import proxied


async def test_a_cluster(cluster: list[RedisServer]) -> None:
    url = f"redis+cluster://127.0.0.1:{cluster[0].port},127.0.0.1:{cluster[1].port}"
    async with opened(url) as store:
        await store.connect()
        await works(store)
        assert all(len(node.keys()) > 8 for node in cluster), "keys lie on both"
        await asyncio.gather(*(store.increment(f"c{number % 7}") for number in range(140)))
        assert await store.get_many([f"c{number}" for number in range(7)]) == [b"20"] * 7


async def test_a_cluster_that_is_asked_with_a_deadline_as_it_is(cluster: list[RedisServer]) -> None:
    """What connecting and finding the nodes takes is no call's to wait for."""
    url = f"redis+cluster://127.0.0.1:{cluster[1].port}"
    async with opened(url, deadline=1) as store:
        await store.connect()
        for number in range(20):
            assert await store.increment("n") == number + 1
        assert store.stats.failures == 0


async def test_a_node_of_a_cluster_that_dies_and_comes_back(cluster: list[RedisServer]) -> None:
    url = f"redis+cluster://127.0.0.1:{cluster[0].port},127.0.0.1:{cluster[1].port}"
    async with opened(url, deadline=0.5) as store:
        await store.set("{b}x", b"1")
        await store.set("{a}x", b"2")
        for node in cluster:
            node.freeze()
        with pytest.raises(StoreUnavailable):
            await store.get("{a}x")
        assert store.stats.open
        for node in cluster:
            node.thaw()
        await until_it_answers(store)
        assert await store.get_many(["{a}x", "{b}x"]) == [b"2", b"1"]


async def test_calls_that_were_cut_short_leave_no_reply_to_the_next(cluster: list[RedisServer]) -> None:
    with proxied(cluster[0].port) as proxy:
        cluster[0].ask("CONFIG", "SET", "cluster-announce-port", str(proxy.port))
        store = open_store(f"redis+cluster://127.0.0.1:{proxy.port}", SystemClock(), **PATIENT | {"max_connections": 1})
        mine, secret = (f"{{{name}}}" for name in names(0, 8191, 2))
        await store.set(secret, b"of another")
        await store.set(mine, b"mine")
        for _ in range(3):
            before, proxy.holding = proxy.pieces, True
            cut = asyncio.ensure_future(store.get(secret))
            while proxy.pieces == before:
                await asyncio.sleep(0.005)
            cut.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cut
            proxy.holding = False
            assert await store.get_many([mine, secret]) == [b"mine", b"of another"]
        await store.close()


def names(low: int, high: int, count: int) -> list[str]:
    """Tags whose slots lie between the two."""
    found = (name for number in range(100_000) if low <= key_slot((name := f"n{number}").encode()) <= high)
    return [next(found) for _ in range(count)]


async def test_keys_that_move_are_followed(cluster: list[RedisServer]) -> None:
    one, other = cluster
    (tag,) = names(0, 8191, 1)
    slot = str(key_slot(tag.encode()))
    ids = [node.ask("CLUSTER", "MYID").split(b"\r\n")[1].decode() for node in cluster]
    async with opened(f"redis+cluster://127.0.0.1:{one.port}") as store:
        await store.set(f"{{{tag}}}here", b"1")
        await store.set(f"{{{tag}}}there", b"2")
        other.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        one.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        one.ask("MIGRATE", "127.0.0.1", str(other.port), f"t:{{{tag}}}there", "0", "5000")
        half = [f"{{{tag}}}here", f"{{{tag}}}there", "elsewhere"]
        assert await store.get_many(half) == [b"1", b"2", None], "one is asked for there"
        assert await store.run(ADD, [f"{{{tag}}}new"], [1, ""]) == [1, None, b""]
        one.ask("MIGRATE", "127.0.0.1", str(other.port), f"t:{{{tag}}}here", "0", "5000")
        for node in (other, one):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
        assert await store.get_many(half) == [b"1", b"2", None], "now both have moved"
        assert await store.increment(f"{{{tag}}}new") == 2
        assert store.stats.failures == 0
        before = other.ask("INFO", "stats")
        await store.get(f"{{{tag}}}here")
        assert before != other.ask("INFO", "stats")
        link = store._link  # type: ignore[attr-defined]
        assert link._slots[int(slot)] == ("127.0.0.1", other.port), "and that is remembered"


async def test_a_server_that_is_no_cluster(redis_server: RedisServer) -> None:
    async with opened(f"redis+cluster://127.0.0.1:{redis_server.port}") as store:
        assert await store.problem() == "it is no cluster, or has no slots"


async def test_a_first_node_that_is_away_is_no_matter(cluster: list[RedisServer]) -> None:
    async with opened(f"redis+cluster://127.0.0.1:1,127.0.0.1:{cluster[1].port}") as store:
        await works(store)
