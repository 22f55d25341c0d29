"""Lookups: nearest first, what the guard lets through, and what happened while a thread searched."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from helicone_gw_semantic_cache import lookup as module
from helicone_gw_semantic_cache.facts import facts_of
from helicone_gw_semantic_cache.guard import CHECKS
from helicone_gw_semantic_cache.index import Entry, Index, Kept
from helicone_gw_semantic_cache.lookup import CANDIDATES, Found, Lookup
from helicone_gw_semantic_cache.policy import Policy
from helicone_gw_semantic_cache.vectors import Vector, unit
from tests.plugins.semantic_cache.ngrams import cosine, embed

ASKED, LIKE, LIKER = "How do I reset my password?", "how can I reset my password", "how do i reset my password"
POLICY = Policy(True, 0.5, 100, frozenset(CHECKS))


def vector(text: str) -> Vector:
    made = unit(embed(text))
    assert made is not None
    return made


def holding(*texts: str) -> tuple[Index, Lookup]:
    index = Index(10, 1000, 1 << 24)
    for text in texts:
        kept = Kept(200, "application/json", (b"{}",), False, text)
        entry = Entry(hashlib.sha256(text.encode()).digest(), facts_of(text), kept, 0.0, 100.0)
        index.put(b"s", vector(text), entry)
    return index, Lookup(index, lambda: 50.0)


async def like(lookup: Lookup, text: str, policy: Policy = POLICY) -> tuple[Found | None, str | None]:
    return await lookup.like(b"s", vector(text), text, policy, None)


async def test_the_nearest_that_the_guard_lets_through_is_found() -> None:
    _, lookup = holding(LIKE, LIKER, "How do I reset my passport?", f"{ASKED} 2")
    found, refused = await like(lookup, ASKED)
    assert found is not None
    assert found.entry.kept.request_id == LIKER
    assert found.similarity == pytest.approx(cosine(ASKED, LIKER), abs=1e-6)
    assert refused == "numbers"
    assert lookup.counts.refused["numbers"] == 1


async def test_below_the_threshold_nothing_is_found() -> None:
    _, lookup = holding(LIKE)
    assert await like(lookup, ASKED, Policy(True, 0.99, 100, frozenset())) == (None, None)
    assert await like(lookup, "Wholly unlike") == (None, None)


async def test_only_so_many_are_shown_to_the_guard() -> None:
    _, lookup = holding(*(f"{ASKED} {number}" for number in range(CANDIDATES + 5)))
    found, refused = await like(lookup, ASKED)
    assert (found, refused) == (None, "numbers")
    assert lookup.counts.refused["numbers"] == CANDIDATES


async def test_vectors_of_another_length_are_not_compared() -> None:
    _, lookup = holding(LIKE)
    short = unit([1.0, 2.0])
    assert short is not None
    assert await lookup.like(b"s", short, ASKED, POLICY, None) == (None, None)
    assert await lookup.like(b"other", vector(ASKED), ASKED, POLICY, None) == (None, None)


@pytest.mark.parametrize("gone", ["the entry", "another", "all"])
async def test_what_left_while_a_thread_searched_is_not_found(monkeypatch: pytest.MonkeyPatch, gone: str) -> None:
    index, lookup = holding(LIKE, LIKER, "Wholly unlike")
    scope = index.scope(b"s")
    assert scope is not None
    by_text = {entry.kept.request_id: entry for entry in scope.entries}

    async def to_thread(search: Callable[..., Any], *arguments: Any) -> Any:
        rows = search(*arguments)
        for text in {"the entry": [LIKER], "another": [LIKE], "all": list(by_text)}[gone]:
            index.discard(b"s", by_text[text])
        return rows

    monkeypatch.setattr(module, "INLINE", 0)
    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    found, _ = await like(lookup, ASKED)
    expected = {"the entry": {LIKE, None}, "another": {LIKER, None}, "all": {None}}[gone]
    assert (None if found is None else found.entry.kept.request_id) in expected
    if found is not None:
        assert found.similarity == pytest.approx(cosine(ASKED, found.entry.kept.request_id), abs=1e-6)


async def test_a_scope_that_began_anew_meanwhile_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    index, lookup = holding(LIKER)

    async def to_thread(search: Callable[..., Any], *arguments: Any) -> Any:
        rows = search(*arguments)
        other, short = holding("Wholly unlike")[0], unit([1.0, 2.0])
        assert short is not None
        scope = other.scope(b"s")
        assert scope is not None
        index.put(b"s", short, scope.entries[0])
        return rows

    monkeypatch.setattr(module, "INLINE", 0)
    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    assert await like(lookup, ASKED) == (None, None)
