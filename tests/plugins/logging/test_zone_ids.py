"""Ids of zones: a part of one is found in all that have it, whatever they look like, and a dash more or less counts for
nothing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.ids import new_id
from helicone_gw_logging.zone_ids import pack_ids, places_of_part

_ids = st.lists(
    st.one_of(
        st.uuids().map(str),
        st.uuids().map(lambda one: str(one).upper()),
        st.text("0123456789abcdef-", max_size=9),
        st.text("abcxyz-Ä%_ ", max_size=9),
    ),
    min_size=1,
    max_size=12,
)


def plain(text: str) -> str:
    return text.lower().replace("-", "")


@given(_ids, st.data())
def test_whoever_has_the_part_is_found(ids: list[str], data: st.DataObject) -> None:
    one = data.draw(st.sampled_from([*ids, "deadbeef", "xyz"]))
    first = data.draw(st.integers(0, max(0, len(one) - 1)))
    part = one[first : first + data.draw(st.integers(1, 12))] or "x"
    found = places_of_part(pack_ids(ids, range(3, 3 + len(ids))), part)
    there = {place for place, each in enumerate(ids, 3) if part.lower() in each.lower()}
    if found is None:
        assert len(plain(part)) < 3
        return
    assert there <= found
    # Accents are as good as none.
    near = plain(part).replace("ä", "a")
    assert found <= {place for place, each in enumerate(ids, 3) if near in plain(each).replace("ä", "a")}


@pytest.mark.parametrize("length", [3, 4, 5, 8, 13])
def test_only_those_are_found_that_have_it(length: int) -> None:
    dice, ids = random.Random(length), [new_id() for _ in range(2000)]
    packed = pack_ids(ids, range(2000))
    assert len(packed) < 19 * len(ids)
    for number in dice.choices(range(2000), k=20):
        first = dice.randrange(36 - length)
        part = ids[number][first : first + length]
        if len(plain(part)) > 2:
            assert places_of_part(packed, part) == {at for at, one in enumerate(ids) if plain(part) in plain(one)}


def test_what_is_too_short_can_be_anywhere_unless_nobody_has_such_letters() -> None:
    packed = pack_ids([new_id(), new_id()], (4, 9))
    assert places_of_part(packed, "ab") is None
    assert places_of_part(packed, "xy") == frozenset()
    assert places_of_part(pack_ids(["order-1", "order-12"], (4, 9)), "12") == {9}
    assert places_of_part(pack_ids([], ()), "abc") == frozenset()
