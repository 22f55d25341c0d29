"""The store in memory: expiry, counters, compare-and-set, and what goes when it is full."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import LocalKeys, Store, StoreOperation
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
    assert len(store._table._expiries) <= 2 * len(store) + 16


def _move(
    keys: LocalKeys, names: Sequence[str], arguments: Sequence[bytes | str | int | float], now: float
) -> list[int | bytes | None]:
    amount = int(arguments[0])
    balances = [keys.get(name) or 0 for name in names]
    keys.set(names[0], balances[0] - amount, ttl=60)
    keys.set(names[1], balances[1] + amount, ttl=60)
    return [balances[0] - amount, balances[1] + amount, int(now), None]


MOVE = StoreOperation("move", "return {}", _move)


async def test_an_operation_reads_and_writes_several_keys_at_once(store: Store, clock: VirtualClock) -> None:
    keys = ["{acme}:from", "{acme}:to"]
    assert await store.run(MOVE, keys, [3]) == [-3, 3, int(clock.now()), None]
    assert await store.run_all([(MOVE, keys, [1]), (MOVE, keys, [b"2"])]) == [
        [-4, 4, int(clock.now()), None],
        [-6, 6, int(clock.now()), None],
    ]
    clock.advance(60)
    assert (await store.run(MOVE, keys, [1]))[:2] == [-1, 1], "what an operation writes expires as well"


async def test_an_operation_is_told_the_wall_clock(store: Store, clock: VirtualClock) -> None:
    clock.set_wall_clock(1_900_000_000)
    assert (await store.run(MOVE, ["{a}1", "{a}2"], [1]))[2] == 1_900_000_000


@pytest.mark.parametrize("keys", [["a", "b"], ["{x}a", "{y}a"], ["{x}a", "b"], ["{}a", "{}b"], ["}x{a", "}x{b"]])
async def test_keys_that_a_cluster_would_hold_apart_are_refused_here_too(store: Store, keys: list[str]) -> None:
    with pytest.raises(ValueError, match=r"'move' share no \{tag\}"):
        await store.run(MOVE, keys, [1])


async def test_what_an_operation_wrote_is_read_by_operations(store: Store) -> None:
    await store.run(MOVE, ["{a}1", "{a}2"], [1])
    with pytest.raises(TypeError, match="by operations alone"):
        await store.get("{a}1")


async def test_many_values_at_once(store: Store) -> None:
    await store.set("a", b"1")
    await store.set("c", b"3")
    assert await store.get_many(["a", "b", "c"]) == [b"1", None, b"3"]
    assert await store.get_many([]) == []


async def test_a_scope_has_keys_of_its_own(store: Store, clock: VirtualClock) -> None:
    one, other = store.scope("one"), store.scope("other")
    await one.set("a", b"1", ttl=10)
    assert await one.get("a") == await store.get("one:a") == b"1"
    assert await other.get("a") is None
    assert await one.get_many(["a", "b"]) == [b"1", None]
    assert await one.increment("n", 2, ttl=5) == 2
    assert await other.increment("n") == 1
    assert await one.compare_and_set("a", b"1", b"2")
    assert await one.run(MOVE, ["{t}1", "{t}2"], [5]) == [-5, 5, int(clock.now()), None]
    assert await other.run_all([(MOVE, ["{t}1", "{t}2"], [1])]) == [[-1, 1, int(clock.now()), None]]
    await one.delete("a")
    assert await one.get("a") is None
    await one.scope("deep").set("a", b"3")
    assert await store.get("one:deep:a") == b"3"
    await one.close()
    assert await one.get("n") == b"2", "the store belongs to the gateway"
    with pytest.raises(ValueError, match="braces"):
        store.scope("{a}")


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
