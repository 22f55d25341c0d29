"""Notes of zones: whoever has what is looked for is where they say it can be, and what is rare is told exactly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw_logging import zone_notes
from helicone_gw_logging.zone_notes import (
    EDGE,
    RARE,
    SMALL,
    Places,
    Texts,
    Wanted,
    pack_numbers,
    places_of_number,
    places_of_text,
    without,
)

MANY = SMALL + 100


def noted(texts: list[str | None]) -> tuple[bytes | None, bytes | None] | None:
    column = Texts()
    for start in range(0, len(texts), 50):
        some = texts[start : start + 50]
        column.add(some, range(start, start + len(some)))
    return column.packed(len(texts))


def where(texts: list[str | None], wanted: Wanted) -> Places:
    packed = noted(texts)
    assert packed is not None
    return places_of_text(*packed, wanted)


def is_one(text: str) -> Wanted:
    return Wanted((), (text,))


def test_a_text_that_few_have_is_told_exactly_and_one_that_many_have_can_be_anywhere() -> None:
    texts: list[str | None] = ["plain"] * MANY
    texts[7] = texts[70] = "Très Rare"
    texts[8] = None
    assert where(texts, Wanted(["tres r"])) == where(texts, is_one("Très Rare")) == {7, 70}
    assert where(texts, is_one("tres rare")) == where(texts, Wanted(["nobody"])) == frozenset()
    assert where(texts, Wanted(["lain"])) is where(texts, Wanted(["a"])) is None
    assert noted([None] * MANY) is None


@pytest.mark.parametrize(("count", "exact"), [(RARE, True), (RARE + 1, False)])
def test_how_many_are_few(count: int, exact: bool) -> None:
    texts: list[str | None] = ["rare"] * count + ["plain"] * (MANY - count)
    assert where(texts, is_one("rare")) == (set(range(count)) if exact else None)


def test_of_few_requests_it_is_not_noted_which() -> None:
    assert where(["rare", *["plain"] * (SMALL - 1)], is_one("rare")) is None
    assert where(["rare", *["plain"] * SMALL], is_one("rare")) == {0}
    assert where(["rare"], is_one("nobody")) == frozenset()


def test_of_too_many_texts_marks_tell_where_one_is_but_not_a_part_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str | None] = [None if number % 9 == 0 else f"id-{number}" for number in range(2 * MANY)]
    texts[2 * MANY - 1] = "id-8"
    for name, bound in (("MOST", 1000), ("MOST_TEXT", 3000)):
        monkeypatch.setattr(zone_notes, name, bound)
        assert noted(texts)[0] is None  # type: ignore[index]
        assert where(texts, Wanted(["id-8"])) is None
        found = where(texts, is_one("id-8"))
        assert found is not None
        # A mark may be that of another one, by chance.
        assert {8, 2 * MANY - 1} <= found
        assert len(found) < 5
        assert len(where(texts, is_one("nobody")) or ()) < 3


_numbers = st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.integers(-(2**63), 2**63 - 1))


@settings(max_examples=60)
@given(st.lists(_numbers, min_size=1, max_size=60), st.tuples(_numbers, _numbers), st.integers(1, 8), st.booleans())
def test_nobody_who_has_the_number_is_left_out(
    numbers: list[int | None], interval: tuple[int | None, int | None], bound: int, small: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RARE", "EDGE", "FEW_NUMBERS"):
            patch.setattr(zone_notes, name, bound)
        patch.setattr(zone_notes, "SMALL", 100 if small else 0)
        found = places_of_number(pack_numbers({"n": numbers}, range(len(numbers))), "n", [interval])
    low, high = interval
    there = {
        place
        for place, number in enumerate(numbers)
        if number is not None and (low is None or number >= low) and (high is None or number <= high)
    }
    assert found is None or there <= found
    if small and not there and found is None:
        known = [number for number in numbers if number is not None]
        assert low is None or max(known) >= low
        assert high is None or min(known) <= high


def test_the_least_and_greatest_numbers_are_told_exactly() -> None:
    numbers = [*range(MANY)]
    packed = pack_numbers({"n": numbers, "unknown": [None] * MANY, "same": [5] * MANY}, numbers)
    assert places_of_number(packed, "n", [(MANY - 3, None)]) == {MANY - 3, MANY - 2, MANY - 1}
    assert places_of_number(packed, "n", [(None, 1)]) == {0, 1}
    assert places_of_number(packed, "n", [(EDGE + 5, EDGE + 5)]) is None
    assert places_of_number(packed, "n", [(None, 0), (MANY - 1, None)]) == {0, MANY - 1}
    assert places_of_number(packed, "n", [(MANY, None)]) == frozenset()
    assert places_of_number(packed, "unknown", [(None, None)]) == frozenset()
    assert places_of_number(packed, "same", [(5, 5)]) is None
    assert places_of_number(packed, "same", [(6, None)]) == frozenset()


def test_of_few_different_numbers_each_is_told() -> None:
    numbers: list[int | None] = [200] * MANY
    numbers[3], numbers[9], numbers[11] = 418, 500, True
    packed = pack_numbers({"n": numbers}, range(MANY))
    assert places_of_number(packed, "n", [(418, 418)]) == {3}
    assert places_of_number(packed, "n", [(1, 1)]) == {11}
    assert places_of_number(packed, "n", [(300, None)]) == {3, 9}
    assert places_of_number(packed, "n", [(201, 417)]) == frozenset()
    assert places_of_number(packed, "n", [(200, 200)]) is None


def test_of_what_has_changed_nothing_is_told() -> None:
    packed = without(pack_numbers({"n": [1, 2], "m": [3, 4]}, (0, 1)), ("n", "new"))
    assert places_of_number(packed, "n", [(9, None)]) is None
    assert places_of_number(packed, "new", [(9, None)]) is None
    assert places_of_number(packed, "m", [(9, None)]) == frozenset()
