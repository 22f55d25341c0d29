"""Vectors: what is near is found, whatever was added and taken out before."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helicone_gw_semantic_cache.vectors import FIRST, Vectors, unit


def random_units(count: int, dimensions: int = 16, seed: int = 0) -> list[np.ndarray]:
    rows = np.random.default_rng(seed).standard_normal((count, dimensions))
    return [vector for row in rows if (vector := unit(row)) is not None]


@given(
    count=st.integers(1, 100),
    removals=st.lists(st.integers(0, 99), max_size=100),
    limit=st.integers(1, 12),
    floor=st.floats(-1, 1),
    seed=st.integers(0, 5),
)
def test_a_search_finds_what_comparing_with_every_row_finds(
    count: int, removals: list[int], limit: int, floor: float, seed: int
) -> None:
    vectors = Vectors(16)
    kept = random_units(count, seed=seed)
    for row, vector in enumerate(kept):
        assert vectors.append(vector) == row
    for removal in removals:
        if removal < len(kept):
            last = vectors.remove(removal)
            assert last == len(kept) - 1
            kept[removal] = kept[-1]
            kept.pop()
    assert vectors.count == len(kept)
    [query] = random_units(1, seed=seed + 100)
    found = vectors.search(query, floor, limit)
    cosines = [vectors.similarity(row, query) for row in range(len(kept))]
    assert cosines == pytest.approx([float(row @ query) for row in kept], abs=1e-6)
    near = sorted((cosine for cosine in cosines if cosine >= floor + 1e-6), reverse=True)
    # Exactly at the floor, rounding decides.
    assert len(near[:limit]) <= len(found) <= limit
    assert [cosines[row] for row in found][: len(near)] == pytest.approx(near[:limit], abs=1e-6)


def test_blocks_double_and_are_never_copied() -> None:
    vectors = Vectors(4)
    assert vectors.nbytes == 0
    sizes = []
    for vector in random_units(FIRST * 8 + 1, 4):
        vectors.append(vector)
        if not sizes or sizes[-1] != vectors.nbytes:
            sizes.append(vectors.nbytes)
    row = 4 * 4
    assert sizes == [FIRST * row, 2 * FIRST * row, 4 * FIRST * row, 8 * FIRST * row, 16 * FIRST * row]


def test_blocks_are_given_back_but_for_one_to_spare() -> None:
    vectors = Vectors(4)
    for vector in random_units(FIRST * 8, 4):
        vectors.append(vector)
    for _ in range(FIRST * 8):
        vectors.remove(0)
    assert (vectors.count, vectors.nbytes) == (0, FIRST * 4 * 4)
    [vector] = random_units(1, 4)
    assert vectors.append(vector) == 0
    assert vectors.search(vector, 0.99, 3) == [0]


@pytest.mark.parametrize(
    "nothing", [[], [0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0], [[1.0]], ["a"], None, [None], [1e39, 1.0]]
)
def test_what_has_no_direction_is_no_vector(nothing: object) -> None:
    with np.errstate(over="ignore"):
        assert unit(nothing) is None


@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=20))
@example([2.0**-149] * 2)  # the smallest numbers there are: their length is none of them
def test_a_unit_vector_has_length_one_and_the_direction_it_had(values: list[float]) -> None:
    vector = unit(values)
    norm = math.sqrt(sum(value * value for value in np.asarray(values, np.float32).astype(float)))
    if vector is None:
        assert norm == 0
        return
    assert float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-5)
    assert vector.dtype == np.float32
