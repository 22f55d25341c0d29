"""The index: what is kept, what goes when there is too much, and that its accounts are right throughout."""

from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from helicone_gw_semantic_cache.facts import facts_of
from helicone_gw_semantic_cache.index import SWEPT, Entry, Index, Kept, Scope
from helicone_gw_semantic_cache.vectors import Vector, unit

FACTS = facts_of("")


def vector(seed: int, dimensions: int = 4) -> Vector:
    made = unit(np.random.default_rng(seed).standard_normal(dimensions))
    assert made is not None
    return made


def entry(text: str, *, size: int = 10, stored_at: float = 0.0, ttl: float = 100.0) -> Entry:
    kept = Kept(200, "application/json", (b"x" * size,), False, f"id of {text}")
    return Entry(hashlib.sha256(text.encode()).digest(), FACTS, kept, stored_at, stored_at + ttl)


def put(index: Index, key: bytes, text: str, **options: float) -> Entry:
    made = entry(text, **options)  # type: ignore[arg-type]
    index.put(key, vector(hash(text) % 1000), made)
    return made


def texts(index: Index, key: bytes) -> set[str]:
    scope = index._scopes.get(key)
    return set() if scope is None else {each.kept.request_id[6:] for each in scope.entries}


def test_the_same_text_takes_the_place_of_the_older() -> None:
    index = Index(10, 10, 1 << 20)
    first, second = put(index, b"s", "one"), put(index, b"s", "one")
    assert not index.holds(b"s", first)
    assert index.holds(b"s", second)
    assert (len(index), index.counts.replaced) == (1, 1)


def test_of_a_full_scope_the_entry_used_longest_ago_goes() -> None:
    index = Index(10, 3, 1 << 20)
    one, *_ = [put(index, b"s", text) for text in ("one", "two", "three")]
    scope = index.scope(b"s")
    assert scope is not None
    index.used(scope, one)
    put(index, b"s", "four")
    assert texts(index, b"s") == {"one", "three", "four"}
    assert index.counts.evicted == 1


def test_of_too_many_scopes_the_one_used_longest_ago_goes_whole() -> None:
    index = Index(2, 10, 1 << 20)
    for key in (b"a", b"a", b"b"):
        put(index, key, f"{key!r}{len(index)}")
    index.scope(b"a")
    put(index, b"c", "new")
    assert (index.scope(b"b"), index.scopes) == (None, 2)
    assert len(texts(index, b"a")) == 2


def test_when_memory_is_short_entries_of_the_scope_used_longest_ago_go() -> None:
    index = Index(10, 10, 16_000)
    for number in range(3):
        put(index, b"a", f"a{number}", size=2000)
    put(index, b"b", "b", size=2000)
    assert index.nbytes <= 16_000
    assert texts(index, b"a") == {"a1", "a2"}
    put(index, b"c", "too large by itself", size=20_000)
    assert (len(index), index.nbytes, index.scopes) == (0, 0, 0)


def test_vectors_of_another_length_begin_a_scope_anew() -> None:
    index = Index(10, 10, 1 << 20)
    old = put(index, b"s", "one")
    new = entry("two")
    index.put(b"s", vector(1, dimensions=8), new)
    assert not index.holds(b"s", old)
    assert index.holds(b"s", new)


def test_a_sweep_takes_out_what_is_too_old_a_few_at_a_time() -> None:
    index = Index(10, 1000, 1 << 24)
    for number in range(SWEPT + 5):
        put(index, b"s", str(number), ttl=10)
    fresh = put(index, b"t", "fresh", ttl=100)
    index.sweep(9.9)
    assert len(index) == SWEPT + 6
    index.sweep(10)
    assert len(index) == 6
    index.sweep(10)
    assert (len(index), index.counts.expired, index.scopes) == (1, SWEPT + 5, 1)
    assert index.holds(b"t", fresh)


def test_what_was_wrong_is_discarded_once() -> None:
    index = Index(10, 10, 1 << 20)
    wrong = put(index, b"s", "one")
    index.discard(b"s", wrong)
    index.discard(b"s", wrong)
    put(index, b"s", "one")
    index.discard(b"s", wrong)  # another answer stands there now
    assert (len(index), index.counts.discarded) == (1, 1)


class Accounts(RuleBasedStateMachine):
    """Whatever happens, rows, tables and sums agree, and no bound is passed."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index(3, 5, 40_000)
        self.now = 0.0

    @rule(key=st.sampled_from([b"a", b"b", b"c", b"d"]), text=st.integers(0, 8), size=st.integers(0, 9000))
    def put(self, key: bytes, text: int, size: int) -> None:
        made = entry(str(text), size=size, stored_at=self.now, ttl=10)
        self.index.put(key, vector(text), made)

    @rule(key=st.sampled_from([b"a", b"b", b"c", b"d"]), text=st.integers(0, 8))
    def discard(self, key: bytes, text: int) -> None:
        scope = self.index.scope(key)
        found = None if scope is None else scope.by_text.get(hashlib.sha256(str(text).encode()).digest())
        if found is not None:
            self.index.discard(key, found)

    @rule(seconds=st.floats(0, 6))
    def sweep(self, seconds: float) -> None:
        self.now += seconds
        self.index.sweep(self.now)

    @invariant()
    def everything_agrees(self) -> None:
        index = self.index
        scopes: list[Scope] = list(index._scopes.values())
        assert len(scopes) <= 3
        total = 0
        for scope in scopes:
            assert 0 < len(scope.entries) <= 5
            assert scope.vectors.count == len(scope.entries) == len(scope.by_text)
            for row, each in enumerate(scope.entries):
                assert each.row == row
                assert scope.by_text[each.exact] is each
                text = int(each.kept.request_id[6:])
                assert scope.vectors.similarity(row, vector(text)) > 0.999
            total += scope.vectors.nbytes + sum(each.size for each in scope.entries)
        assert index.nbytes == total <= 40_000
        assert len(index) == sum(len(scope.entries) for scope in scopes)


TestAccounts = Accounts.TestCase
TestAccounts.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
