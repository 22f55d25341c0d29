"""Codes of zones: whoever has what is asked has one of the codes that can mean it."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_logging import zone_codes
from helicone_gw_logging.zone_codes import (
    MOST,
    OTHER,
    UNKNOWN,
    Codes,
    code_numbers,
    code_texts,
    everyone,
    mask_of_codes,
    mask_of_places,
    pack_codes,
    places_of_mask,
    unpack_codes,
)

LARGEST = 2**63 - 1
_numbers = st.one_of(st.none(), st.booleans(), st.integers(0, 5), st.integers(-LARGEST - 1, LARGEST))
_bounds = st.one_of(st.none(), st.integers(-1, 6), st.integers(-LARGEST - 1, LARGEST), st.floats(-1, 6))


def where(codes: Codes, wanted: Collection[int]) -> frozenset[int]:
    return places_of_mask(mask_of_codes(codes, wanted))


@given(st.lists(_numbers, min_size=1, max_size=60), st.tuples(_bounds, _bounds), st.integers(3, 12), st.integers(0, 3))
def test_nobody_who_has_the_number_is_left_out(
    numbers: list[int | None], interval: tuple[float | None, float | None], most: int, gap: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zone_codes, "MOST", most)
        places = [7 + number * max(1, gap) for number in range(len(numbers))]
        codes = unpack_codes(pack_codes(code_numbers(numbers, places)))
    known = {place: int(number) for place, number in zip(places, numbers, strict=True) if number is not None}
    low, high = interval
    there = {
        place for place, number in known.items() if (low is None or number >= low) and (high is None or number <= high)
    }
    found = where(codes, codes.of_numbers(low, high))
    assert there <= found <= known.keys()
    if len({*known.values()}) <= most:
        assert found == there
    surely = where(codes, codes.within(low, high))
    assert surely <= there
    if len({*known.values()}) <= most:
        assert surely == there
    assert where(codes, codes.known) == known.keys()
    assert where(codes, (UNKNOWN,)) == {*places} - known.keys()
    assert len(codes.known) <= most
    if low is not None:
        # What is left out of those that have another number has this one.
        assert where(codes, codes.of_number(low)) <= {place for place, number in known.items() if number == low}


def test_a_number_that_many_have_has_a_code_of_its_own() -> None:
    numbers = [number if number % 3 else 0 for number in range(10 * MOST)]
    codes = code_numbers(numbers, range(len(numbers)))
    assert where(codes, codes.of_number(0)) == {place for place, number in enumerate(numbers) if number == 0}
    assert len(where(codes, codes.of_numbers(1000, 1000))) < 50


def test_the_greatest_number_that_there_is_has_a_code() -> None:
    greatest = 2**63 - 1
    codes = code_numbers([*range(MOST), *[greatest] * 3 * MOST], range(4 * MOST))
    assert where(codes, codes.of_number(greatest)) == {*range(MOST, 4 * MOST)}
    assert where(codes, codes.within(greatest - 1, None)) == {*range(MOST, 4 * MOST)}


_texts = st.lists(st.one_of(st.none(), st.sampled_from("abcdefg")), min_size=1, max_size=40)


@given(_texts, st.sets(st.sampled_from("abcdefg")), st.integers(0, 5), st.integers(1, 4))
def test_texts_that_many_have_are_told_apart(texts: list[str | None], wanted: set[str], many: int, most: int) -> None:
    there: dict[str, list[int]] = {}
    others = []
    for place, text in enumerate(texts, 3):
        if text == "g":
            others.append(place)
        elif text is not None:
            there.setdefault(text, []).append(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zone_codes, "MOST", most)
        packed = pack_codes(code_texts(there, others, many, everyone(range(3, 3 + len(texts)))))
    codes = unpack_codes(packed)
    frequent = [text for text, places in there.items() if len(places) > many][:most]
    assert codes.texts == frequent
    found = where(codes, codes.of_texts(wanted.__contains__))
    assert found == {place for place, text in enumerate(texts, 3) if text in wanted and text in frequent}
    assert where(codes, (UNKNOWN,)) == {place for place, text in enumerate(texts, 3) if text is None}
    rest = {place for place, text in enumerate(texts, 3) if text is not None and text not in frequent}
    assert where(codes, (OTHER,)) == rest


@given(st.sets(st.integers(0, 300)))
def test_a_mask_has_its_places(places: set[int]) -> None:
    assert places_of_mask(mask_of_places(places)) == places


def test_places_of_others_have_no_code() -> None:
    codes = Codes(everyone((2, 5)))
    assert where(codes, (UNKNOWN, OTHER, *range(2, OTHER))) == {2, 5}


def test_what_hardly_differs_is_compressed() -> None:
    same, mixed = [1] * 8192, [number * 7919 % 251 for number in range(8192)]
    assert len(pack_codes(code_numbers(same, range(8192)))) < 100
    packed = pack_codes(code_numbers(mixed, range(8192)))
    assert unpack_codes(packed) == code_numbers(mixed, range(8192))
