"""Bounds of the memory and the disk: room is never exceeded, the longest unused go first, every loss is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from helicone_gw.testing import VirtualClock
from helicone_gw.testing.clock import EPOCH
from helicone_gw_cache.backends import Backend, Selection
from helicone_gw_cache.backends.memory import MemoryBackend
from helicone_gw_cache.entry import Entry
from tests.plugins.cache.making import an_entry
from tests.plugins.cache.places import Place, at

ROOM = 100_000
EVERYTHING = Selection()


@pytest.fixture(params=["memory", "disk"])
def place(request: pytest.FixtureRequest) -> Place:
    return at(request)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def backend(place: Place, clock: VirtualClock) -> AsyncIterator[Backend]:
    async with place(clock, max_bytes=ROOM, max_entry=ROOM, compress_above=ROOM) as opened:
        yield opened


def a_big_entry(key: str) -> Entry:
    """A fifth of the room and a little: four of them fit."""
    return an_entry(key, frames=(b"x" * (ROOM // 5),))


async def present(backend: Backend, keys: str) -> str:
    return "".join(entry.key for entry in await backend.get_many(list(keys)) if entry is not None)


async def test_the_longest_unused_goes_first(backend: Backend, clock: VirtualClock) -> None:
    for key in "abcd":
        await backend.put(a_big_entry(key))
        clock.advance(1)
    assert await present(backend, "a") == "a"
    clock.advance(1)
    await backend.put(a_big_entry("e"))
    clock.advance(1)
    await backend.put(a_big_entry("f"))
    assert backend.counters.evicted == 2
    assert await present(backend, "abcdef") == "adef"


async def test_what_has_expired_goes_before_what_was_used(backend: Backend, clock: VirtualClock) -> None:
    await backend.put(an_entry("old", frames=(b"x" * (ROOM // 5),), stale_until=EPOCH + 1))
    for key in "abc":
        await backend.put(a_big_entry(key))
    clock.advance(1)
    await backend.put(a_big_entry("d"))
    assert (backend.counters.evicted, backend.counters.expired) == (0, 1)
    assert await present(backend, "abcd") == "abcd"


async def test_a_replaced_entry_counts_once(backend: Backend) -> None:
    for _ in range(20):
        await backend.put(a_big_entry("a"))
    assert (await backend.stats(EVERYTHING)).bytes < ROOM / 3
    assert backend.counters.evicted == 0


async def test_what_would_fill_more_than_the_room_is_refused(place: Place, clock: VirtualClock) -> None:
    async with place(clock, max_bytes=5_000, max_entry=50_000, compress_above=50_000) as backend:
        await backend.put(an_entry("a"))
        assert not await backend.put(an_entry("b", frames=(b"x" * 9_000,)))
        assert await present(backend, "ab") == "a"
        assert (backend.counters.too_large, backend.counters.evicted) == (1, 0)


async def test_every_entry_stored_is_there_or_was_counted(backend: Backend) -> None:
    for number in range(300):
        assert await backend.put(an_entry(f"key-{number}", frames=(b"x" * (number * 37 % 4000),)))
    stats = await backend.stats(EVERYTHING)
    assert stats.bytes <= ROOM
    assert stats.entries + backend.counters.evicted == backend.counters.stored == 300


class WithinItsRoom(RuleBasedStateMachine):
    """However it is used, it keeps to its room, and gives only what was put last."""

    place: Place

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = VirtualClock()
        self.context = self.place(self.clock, max_bytes=20_000, max_entry=15_000, compress_above=15_000)
        self.backend = self.runner.run(self.context.__aenter__())
        self.last: dict[str, Entry] = {}

    def teardown(self) -> None:
        self.runner.run(self.context.__aexit__(None, None, None))
        self.runner.close()

    @rule(key=st.sampled_from("abcdefgh"), size=st.integers(0, 11_000), kept=st.integers(1, 30))
    def put(self, key: str, size: int, kept: int) -> None:
        now = self.clock.now()
        entry = an_entry(key, frames=(b"x" * size,), stored_at=now, expires_at=now, stale_until=now + kept)
        assert self.runner.run(self.backend.put(entry))
        self.last[key] = entry
        assert self.runner.run(self.backend.get_many([key])) == [entry]

    @rule(seconds=st.integers(1, 20))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def keeps_to_its_room(self) -> None:
        assert self.runner.run(self.backend.stats(EVERYTHING)).bytes <= 20_000
        now = self.clock.now()
        for key in self.last:
            found = self.runner.run(self.backend.get_many([key]))[0]
            assert found is None or (found == self.last[key] and found.stale_until > now)


def test_it_keeps_to_its_room_however_it_is_used(place: Place) -> None:
    class Machine(WithinItsRoom):
        pass

    Machine.place = staticmethod(place)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )


async def test_in_memory_streams_take_a_fraction_of_their_size(clock: VirtualClock) -> None:
    events = tuple(b'data: {"choices":[{"index":0,"delta":{"content":"word"}}]}\n\n' for _ in range(1000))
    stream = an_entry("a", frames=events, streamed=True)
    backend = MemoryBackend(clock, max_bytes=ROOM, max_entry=1 << 20, compress_above=8 << 10)
    assert stream.size > ROOM
    assert await backend.put(stream)
    assert (await backend.stats(EVERYTHING)).bytes < stream.size / 10
    assert await backend.get_many(["a"]) == [stream]


async def test_in_memory_what_does_not_compress_well_is_kept_as_it_is(clock: VirtualClock, tmp_path: Path) -> None:
    backend = MemoryBackend(clock, max_bytes=1 << 20, max_entry=1 << 20, compress_above=8 << 10)
    noise = an_entry("a", frames=(bytes(range(256)) * 100,))  # repeats, so that it does
    text = an_entry("b", frames=(b"".join(b"%d" % (number * 7919 % 10_007) for number in range(8000)),))
    await backend.put(noise)
    await backend.put(text)
    assert (await backend.get_many(["a"]))[0] is not noise
    assert (await backend.get_many(["b"]))[0] is text
