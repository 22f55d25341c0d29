"""Every backend, one behaviour: a table of entries that expire, can be cleared and counted, and never makes trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from helicone_gw.testing import VirtualClock
from helicone_gw.testing.clock import EPOCH
from helicone_gw_cache.backends import Backend, Group, Selection, Stats
from helicone_gw_cache.entry import Entry
from tests.plugins.cache.making import an_entry
from tests.plugins.cache.places import PLACES, Place, at

EVERYTHING = Selection()


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    return at(request)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def backend(place: Place, clock: VirtualClock) -> AsyncIterator[Backend]:
    async with place(clock) as opened:
        yield opened


async def test_what_was_put_is_there_and_anything_else_is_not(backend: Backend) -> None:
    entry, other = an_entry("a"), an_entry("b", frames=(b"other",), model="o3")
    assert await backend.put(entry)
    assert await backend.put(other)
    assert await backend.get_many(["b", "missing", "a", "b"]) == [other, None, entry, other]
    assert await backend.get_many([]) == []
    assert backend.counters.stored == 2


async def test_streams_of_every_size_come_back_as_they_were(backend: Backend) -> None:
    for count in (1, 30, 400, 3000):
        events = tuple(b'data: {"choices":[{"delta":{"content":"w%d"}}]}\n\n' % n for n in range(count))
        stream = an_entry(f"stream-{count}", frames=events, gaps_ms=tuple(range(count)), streamed=True)
        assert await backend.put(stream)
        assert await backend.get_many([stream.key]) == [stream]


async def test_a_second_put_replaces_the_first(backend: Backend) -> None:
    await backend.put(an_entry("a", owner="alice", model="gpt-4o"))
    again = an_entry("a", owner="alice", model="o3", frames=(b"again",))
    assert await backend.put(again)
    assert await backend.get_many(["a"]) == [again]
    assert (await backend.stats(EVERYTHING)).entries == 1


async def test_an_entry_is_there_while_it_is_stale_and_gone_after(backend: Backend, clock: VirtualClock) -> None:
    entry = an_entry("a", expires_at=EPOCH + 10, stale_until=EPOCH + 20)
    await backend.put(entry)
    clock.advance(10)
    assert await backend.get_many(["a"]) == [entry]
    clock.advance(9.5)
    assert await backend.get_many(["a"]) == [entry]
    clock.advance(0.5)
    assert await backend.get_many(["a"]) == [None]
    assert (await backend.stats(EVERYTHING)).entries == 0
    assert not await backend.delete("a")


async def test_what_has_expired_already_is_not_stored(backend: Backend, clock: VirtualClock) -> None:
    entry = an_entry("a")
    await backend.put(entry)
    clock.advance(100)
    assert not await backend.put(an_entry("a", frames=(b"late",), stale_until=EPOCH + 100))
    assert await backend.get_many(["a"]) == [entry]


async def test_a_deleted_entry_is_gone(backend: Backend) -> None:
    await backend.put(an_entry("a"))
    await backend.put(an_entry("b"))
    assert await backend.delete("a")
    assert not await backend.delete("a")
    assert await backend.get_many(["a", "b"]) == [None, an_entry("b")]
    assert (await backend.stats(EVERYTHING)).entries == 1


async def test_too_large_an_entry_is_refused_and_counted(place: Place, clock: VirtualClock) -> None:
    async with place(clock, max_entry=10_000) as backend:
        before = an_entry("a")
        await backend.put(before)
        assert not await backend.put(an_entry("a", frames=(b"x" * 10_000,)))
        assert await backend.get_many(["a"]) == [before]
        assert (backend.counters.too_large, backend.counters.stored) == (1, 1)


SOME = [
    an_entry("a", owner="alice", model="gpt-4o", stored_at=EPOCH),
    an_entry("b", owner="alice", model="o3", stored_at=EPOCH + 5),
    an_entry("c", owner="bob", provider="anthropic", model="claude", stored_at=EPOCH + 9),
    an_entry("d", owner="alice", organization="other", model=None, provider=None, stored_at=EPOCH + 2),
    an_entry("e", owner="", model="gpt-4o", stored_at=EPOCH + 3),
]


@pytest.mark.parametrize(
    ("selection", "keys"),
    [
        (Selection(), "abcde"),
        (Selection(organization="default"), "abce"),
        (Selection(organization="default", owner="alice"), "ab"),
        (Selection(organization="default", owner=""), "e"),
        (Selection(organization="other", owner="alice"), "d"),
        (Selection(owner="alice"), "abd"),
        (Selection(organization="default", owner="nobody"), ""),
        (Selection(model="gpt-4o"), "ae"),
        (Selection(provider="anthropic"), "c"),
        (Selection(organization="default", owner="alice", model="o3"), "b"),
        (Selection(stored_before=EPOCH + 3), "ad"),
    ],
)
async def test_a_selection_is_counted_and_cleared_and_nothing_else(
    backend: Backend, selection: Selection, keys: str
) -> None:
    for entry in SOME:
        await backend.put(entry)
    assert (await backend.stats(selection)).entries == len(keys)
    assert await backend.clear(selection) == len(keys)
    left = await backend.get_many([entry.key for entry in SOME])
    assert [entry.key for entry in left if entry is not None] == [key for key in "abcde" if key not in keys]
    assert (await backend.stats(selection)).entries == 0
    assert (await backend.stats(EVERYTHING)).entries == 5 - len(keys)


async def test_stats_are_by_provider_and_model_and_tell_the_age(backend: Backend) -> None:
    assert await backend.stats(EVERYTHING) == Stats(0, 0, None, None, ())
    for entry in SOME:
        await backend.put(entry)
    stats = await backend.stats(EVERYTHING)
    assert (stats.oldest, stats.newest) == (EPOCH, EPOCH + 9)
    assert {(group.provider, group.model): group.entries for group in stats.groups} == {
        ("openai", "gpt-4o"): 2,
        ("openai", "o3"): 1,
        ("anthropic", "claude"): 1,
        (None, None): 1,
    }
    assert stats.groups[0] == Group("openai", "gpt-4o", 2, stats.groups[0].bytes)
    assert stats.bytes == sum(group.bytes for group in stats.groups) > 0


async def test_more_entries_than_fit_one_page_are_counted_and_cleared(backend: Backend) -> None:
    for number in range(1203):
        await backend.put(an_entry(f"key-{number}", model="odd" if number % 2 else "even"))
    assert (await backend.stats(EVERYTHING)).entries == 1203
    assert await backend.clear(Selection(model="odd")) == 601
    assert await backend.clear(Selection(organization="default", owner="alice")) == 602
    assert (await backend.stats(EVERYTHING)).entries == 0


async def test_requests_may_come_side_by_side(backend: Backend) -> None:
    entries = [an_entry(f"key-{number % 20}", latency_ms=number) for number in range(200)]
    await asyncio.gather(*(backend.put(entry) for entry in entries))
    for found in await asyncio.gather(*(backend.get_many([f"key-{number}"]) for number in range(20))):
        assert found[0] in entries
    assert (await backend.stats(EVERYTHING)).entries == 20


async def test_closing_twice_is_harmless(backend: Backend) -> None:
    await backend.put(an_entry("a"))
    await backend.close()
    await backend.close()


KEYS = st.sampled_from(["a", "b", "c", "d", "e", "f"])
OWNERS = st.sampled_from(["alice", "bob"])
MODELS = st.sampled_from(["gpt-4o", "o3", None])


class AgainstADict(RuleBasedStateMachine):
    """A backend with room for everything does what a dictionary does, with a clock."""

    place: Place

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = VirtualClock()
        self.context = self.place(self.clock)
        self.backend = self.runner.run(self.context.__aenter__())
        self.model: dict[str, Entry] = {}

    def teardown(self) -> None:
        self.runner.run(self.context.__aexit__(None, None, None))
        self.runner.close()

    def alive(self) -> dict[str, Entry]:
        now = self.clock.now()
        return {key: entry for key, entry in self.model.items() if entry.stale_until > now}

    @rule(
        key=KEYS,
        owner=OWNERS,
        model=MODELS,
        frames=st.lists(st.binary(max_size=9000), max_size=3).map(tuple),
        kept=st.integers(0, 30),
    )
    def put(self, key: str, owner: str, model: str | None, frames: tuple[bytes, ...], kept: int) -> None:
        now = self.clock.now()
        # The key contains its owner, as the plugin's do.
        entry = an_entry(
            key + owner, owner=owner, model=model, frames=frames, stored_at=now, expires_at=now, stale_until=now + kept
        )
        assert self.runner.run(self.backend.put(entry)) == (kept > 0)
        if kept:
            self.model[entry.key] = entry

    @rule(key=KEYS, owner=OWNERS)
    def delete(self, key: str, owner: str) -> None:
        assert self.runner.run(self.backend.delete(key + owner)) == (key + owner in self.alive())
        self.model.pop(key + owner, None)

    @rule(seconds=st.sampled_from([0.5, 1, 7, 30]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(owner=st.none() | OWNERS, model=MODELS, age=st.none() | st.integers(0, 20))
    def clear(self, owner: str | None, model: str | None, age: int | None) -> None:
        selection = Selection(
            organization="default",
            owner=owner,
            model=model,
            stored_before=None if age is None else self.clock.now() - age,
        )
        meant = [key for key, entry in self.alive().items() if selection.covers(entry)]
        assert self.runner.run(self.backend.clear(selection)) == len(meant)
        for key in meant:
            del self.model[key]

    @rule(owner=st.none() | OWNERS, model=MODELS)
    def count(self, owner: str | None, model: str | None) -> None:
        selection = Selection(owner=owner, model=model)
        meant = sum(selection.covers(entry) for entry in self.alive().values())
        assert self.runner.run(self.backend.stats(selection)).entries == meant

    @invariant()
    def holds_what_the_dictionary_holds(self) -> None:
        keys = sorted(self.model)
        assert self.runner.run(self.backend.get_many(keys)) == [self.alive().get(key) for key in keys]


def test_it_does_what_a_dictionary_does(place: Place) -> None:
    class Machine(AgainstADict):
        pass

    Machine.place = staticmethod(place)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
