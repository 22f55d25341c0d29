"""The store in memory: expiry, counters, compare-and-set, and what goes when it is full."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import Store
from helicone_gw.store import MemoryStore
from helicone_gw.testing import VirtualClock, run_virtual


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store(clock: VirtualClock) -> MemoryStore:
    return MemoryStore(clock)


async def test_values_stay_until_deleted(store: Store, clock: VirtualClock) -> None:
    assert await store.get("a") is None
    await store.set("a", b"1")
    clock.advance(1e9)
    assert await store.get("a") == b"1"
    await store.delete("a")
    await store.delete("a")
    assert await store.get("a") is None


async def test_values_expire(store: Store, clock: VirtualClock) -> None:
    await store.set("a", b"1", ttl=10)
    clock.advance(9.99)
    assert await store.get("a") == b"1"
    clock.advance(0.01)
    assert await store.get("a") is None


async def test_the_last_write_decides_about_expiry(store: Store, clock: VirtualClock) -> None:
    await store.set("a", b"1", ttl=10)
    await store.set("a", b"2")
    clock.advance(20)
    assert await store.get("a") == b"2"


async def test_counters(store: Store, clock: VirtualClock) -> None:
    assert await store.increment("n", ttl=10) == 1
    clock.advance(6)
    assert await store.increment("n", by=5, ttl=10) == 6
    assert await store.increment("n", by=-2) == 4
    assert await store.get("n") == b"4"
    clock.advance(4)
    assert await store.increment("n", by=2) == 2, "the time to live counts from the counter's creation"
    clock.advance(1e6)
    assert await store.increment("n") == 3


async def test_compare_and_set(store: Store, clock: VirtualClock) -> None:
    assert not await store.compare_and_set("a", b"0", b"1")
    assert await store.compare_and_set("a", None, b"1", ttl=10)
    assert not await store.compare_and_set("a", None, b"2")
    assert await store.compare_and_set("a", b"1", b"2", ttl=10)
    clock.advance(10)
    assert await store.compare_and_set("a", None, b"3"), "an expired value is absent"
    assert await store.get("a") == b"3"


async def test_the_wall_clock_has_no_say(store: Store, clock: VirtualClock) -> None:
    await store.set("a", b"1", ttl=10)
    clock.set_wall_clock(clock.now() + 3600)
    assert await store.get("a") == b"1"


async def test_a_full_store_lets_go_of_expired_keys_first(clock: VirtualClock) -> None:
    store = MemoryStore(clock, max_keys=3)
    await store.set("kept", b"")
    await store.set("expired", b"", ttl=1)
    await store.set("later", b"", ttl=100)
    clock.advance(2)
    await store.set("new", b"")
    assert await store.get("kept") == await store.get("later") == await store.get("new") == b""
    assert store.evicted == 0


async def test_then_of_those_that_expire_soonest_then_of_the_oldest(clock: VirtualClock) -> None:
    store = MemoryStore(clock, max_keys=3)
    await store.set("old", b"")
    await store.set("soon", b"", ttl=10)
    await store.set("sooner", b"", ttl=5)
    await store.set("a", b"")
    assert await store.get("sooner") is None
    await store.set("b", b"")
    assert await store.get("soon") is None
    await store.set("c", b"")
    assert await store.get("old") is None
    assert store.evicted == 3
    assert len(store) == 3


async def test_writing_what_is_there_already_evicts_nobody(clock: VirtualClock) -> None:
    store = MemoryStore(clock, max_keys=2)
    await store.set("a", b"")
    await store.set("b", b"", ttl=1)
    for _ in range(50):
        await store.set("b", b"", ttl=1)
    assert store.evicted == 0
    assert len(store) == 2


async def test_keys_written_again_and_again_do_not_pile_up(clock: VirtualClock) -> None:
    store = MemoryStore(clock, max_keys=10)
    for number in range(1000):
        await store.set(f"k{number % 5}", b"", ttl=60)
        if number % 3 == 0:
            await store.delete(f"k{number % 5}")
    assert len(store._expiries) <= 2 * len(store) + 16


async def test_a_closed_store_is_empty(store: MemoryStore) -> None:
    await store.set("a", b"1", ttl=5)
    await store.close()
    assert await store.get("a") is None
    assert len(store) == 0


WRITES = st.lists(
    st.tuples(
        st.sampled_from(["set", "increment", "swap", "delete", "wait"]),
        st.sampled_from("abc"),
        st.none() | st.integers(1, 5),
    ),
    max_size=40,
)


@given(WRITES)
def test_it_behaves_like_a_dictionary_with_expiry(writes: list[tuple[str, str, int | None]]) -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        store = MemoryStore(clock)
        model: dict[str, tuple[bytes, float | None]] = {}

        def alive(key: str) -> bytes | None:
            value, expires = model.get(key, (None, None))
            return value if expires is None or expires > clock.monotonic() else None

        for what, key, ttl in writes:
            expires = None if ttl is None else clock.monotonic() + ttl
            current = alive(key)
            match what:
                case "set":
                    await store.set(key, b"7", ttl)
                    model[key] = (b"7", expires)
                case "increment":
                    total = int(current or 0) + 1
                    assert await store.increment(key, ttl=ttl) == total
                    model[key] = (str(total).encode(), expires if current is None else model[key][1])
                case "swap":
                    assert await store.compare_and_set(key, b"7", b"8", ttl) == (current == b"7")
                    if current == b"7":
                        model[key] = (b"8", expires)
                case "delete":
                    await store.delete(key)
                    model.pop(key, None)
                case _:
                    clock.advance(ttl or 0)
            for name in "abc":
                assert await store.get(name) == alive(name)

    run_virtual(scenario())
