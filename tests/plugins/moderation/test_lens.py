"""A text as it is written, and as what its escapes stand for."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw_moderation.lens import Lens, escaped


def shown(pieces: list[str]) -> Lens:
    lens = Lens()
    for piece in pieces:
        lens.feed(piece)
    lens.finish()
    return lens


def cut(text: str, at: list[int]) -> list[str]:
    marks = sorted({0, len(text), *(mark % (len(text) + 1) for mark in at)})
    return [text[a:b] for a, b in pairwise(marks)] or [text]


def test_plain_text_is_what_it_says() -> None:
    assert shown(["a\\u0040", "b"]).view == "a\\u0040b"


def test_json_says_what_its_escapes_stand_for() -> None:
    lens = shown(['{"to": "alice\\u00', "40example.com\\", "n\\ud83d", '\\ude00\\\\u0040"}'])
    assert lens.view == '{"to": "alice@example.com\n😀\\u0040"}'
    assert lens.raw(lens.view.index("@") + 1) == len('{"to": "alice\\u0040')


@given(st.text(max_size=40), st.booleans(), st.lists(st.integers(0, 400), max_size=6))
@settings(max_examples=60)
def test_it_is_the_same_at_every_cut(text: str, ascii: bool, at: list[int]) -> None:
    raw = json.dumps([text], ensure_ascii=ascii)
    lens = shown(cut(raw, at))
    assert lens.view == '["' + text + '"]' if text.isprintable() else lens.view == shown([raw]).view
    assert [lens.raw(end) for end in (1, len(lens.view))] == [1, len(raw)]


@given(st.text(alphabet='\\u0d8fc"n{', max_size=30), st.lists(st.integers(0, 100), max_size=5))
@settings(max_examples=60)
def test_odd_escapes_are_shown_as_they_are_at_every_cut(text: str, at: list[int]) -> None:
    assert shown(cut("{" + text, at)).view == shown(["{" + text]).view


@pytest.mark.parametrize(
    ("text", "json"),
    [
        ('{"a', True),
        ("[{", True),
        (' [\n "a', True),
        ("{}", True),
        ("[EMAIL_1] said", False),
        ("[1] a source", False),
        ("{curly", False),
        ("Hello", False),
        ("[", None),
        (" ", None),
    ],
)
def test_prose_may_begin_with_a_bracket(text: str, json: bool | None) -> None:
    for pieces in ([text], list(text)):
        lens = Lens()
        for piece in pieces:
            lens.feed(piece)
        assert lens.is_json is json


def test_what_is_forgotten_does_not_move_what_is_left() -> None:
    lens = Lens()
    lens.feed('["\\u0041\\u0042\\u0043')
    before = [lens.raw(offset) for offset in (4, 5)]
    lens.forget(4)
    assert (lens.base, lens.view) == (3, "BC")
    assert [lens.raw(offset) for offset in (4, 5)] == before
    assert lens.shown(before[0]) == 4


def test_text_is_escaped_for_a_string() -> None:
    assert json.loads(f'"{escaped(chr(34) + chr(10) + "ä")}"') == '"\nä'
