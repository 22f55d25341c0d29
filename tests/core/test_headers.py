"""Header fields: order kept, case ignored, never changed in place, never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import Headers
from helicone_gw.headers import Selection

NAMES = st.text("abcXYZ-", min_size=1, max_size=6)
VALUES = st.text(st.characters(max_codepoint=255), max_size=8)
FIELDS = st.lists(st.tuples(NAMES.map(str.encode), VALUES.map(lambda value: value.encode("latin-1"))), max_size=8)


@given(FIELDS)
def test_order_duplicates_and_bytes_are_kept(fields: list[tuple[bytes, bytes]]) -> None:
    headers = Headers(fields)
    assert headers.raw == tuple((name.lower(), value) for name, value in fields)
    assert len(headers) == len(fields)
    assert [(name.encode(), value.encode("latin-1")) for name, value in headers] == list(headers.raw)


@given(FIELDS, NAMES)
def test_reading_a_field(fields: list[tuple[bytes, bytes]], name: str) -> None:
    headers = Headers(fields)
    same = [value.decode("latin-1") for key, value in fields if key.lower() == name.lower().encode()]
    assert headers.get_all(name.upper()) == same
    assert headers.get(name) == (same[0] if same else None)
    assert headers.get(name, "default") == (same[0] if same else "default")
    assert (name in headers) == bool(same)


@given(FIELDS, NAMES, VALUES)
def test_setting_a_field_leaves_one_of_it_and_the_original_alone(
    fields: list[tuple[bytes, bytes]], name: str, value: str
) -> None:
    headers = Headers(fields)
    before = headers.raw
    changed = headers.set(name, value)
    assert changed.get_all(name) == [value]
    assert changed.raw[-1] == (name.lower().encode(), value.encode("latin-1"))
    assert changed.without(name) == headers.without(name.upper())
    assert name not in headers.without(name)
    assert headers.raw == before


def test_several_fields_are_taken_out_at_once() -> None:
    headers = Headers({"A": "1", "B": "2", "C": "3"})
    assert list(headers.without("a", "C", "missing")) == [("b", "2")]


def test_only_text_can_be_a_name() -> None:
    assert b"a" not in Headers({"a": "1"})
    assert 1 not in Headers({"a": "1"})


def test_equal_fields_are_equal_and_hash_alike() -> None:
    one, same = Headers({"A": "1"}), Headers([(b"a", b"1")])
    assert one == same
    assert hash(one) == hash(same)
    assert one != Headers({"a": "2"})
    assert one != {"a": "1"}


def test_the_representation_names_fields_and_shows_no_value() -> None:
    shown = repr(Headers({"Authorization": "Bearer sk-secret", "X-Api-Key": "sk-other"}))
    assert shown == "Headers(authorization, x-api-key)"


@pytest.mark.parametrize("value", ["snow ☃", "\u0100"])
def test_a_value_that_is_no_latin_1_is_an_error_where_it_is_set(value: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        Headers({"a": value})
    with pytest.raises(UnicodeEncodeError):
        Headers().set("a", value)


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"helicone-x"]), st.binary(max_size=3)), max_size=70))
def test_a_selection_is_the_fields_that_meet_the_condition_in_order(fields: list[tuple[bytes, bytes]]) -> None:
    headers = Headers(fields)
    assert ODD(headers) == tuple(field for field in fields if field[0] in (b"a", b"helicone-x"))
    assert Selection(lambda name: True)(headers) == headers.raw
    assert Selection(lambda name: False)(headers) == ()


ODD = Selection(lambda name: name in (b"a", b"helicone-x"))
"""One for all examples, so that what it remembers of former ones counts."""


def test_the_names_and_first_values_are_those_of_the_fields() -> None:
    headers = Headers([(b"A", b"1"), (b"b", b"2"), (b"a", b"3")])
    assert headers.names == (b"a", b"b", b"a")
    assert headers.first == {b"a": b"1", b"b": b"2"}
    with pytest.raises(AttributeError, match="nothing"):
        headers.nothing  # noqa: B018
