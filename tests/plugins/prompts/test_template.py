"""Templates: which tags there are, and what texts and JSON values become when their variables are given."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_prompts.template import (
    MISSING,
    MOST_PROBLEMS,
    Inputs,
    Partial,
    Problem,
    TemplateError,
    TooLarge,
    Variable,
    fill,
    fill_json,
    fits,
    parse,
    put_in,
    text_of,
    written,
)


def filled(text: str, /, **inputs: Any) -> str:
    problems: list[Problem] = []
    result = fill(text, Inputs(inputs), problems)
    assert problems == []
    return result


def problems_of(value: Any, /, **inputs: Any) -> list[str]:
    found: list[Problem] = []
    fill_json(value, Inputs(inputs), found)
    return [str(problem) for problem in found]


def test_variables_and_partials_with_blanks_anywhere() -> None:
    assert parse("Hi {{hc:name:string}}, {{ hc : a-b_2 : number }}!") == [
        "Hi ",
        Variable("name", "string", "{{hc:name:string}}"),
        ", ",
        Variable("a-b_2", "number", "{{ hc : a-b_2 : number }}"),
        "!",
    ]
    assert parse("{{hcp:aB3dEf:0}}{{ hcp : x : 12 : staging }}") == [
        Partial("aB3dEf", 0, None, "{{hcp:aB3dEf:0}}"),
        Partial("x", 12, "staging", "{{ hcp : x : 12 : staging }}"),
    ]


@pytest.mark.parametrize(
    "text", ["", "plain", "{{name}}", "{{ hcx:a:b }}", "{hc:a:b}", "{{hc}}", "{{{{", "a {{ b }} c"]
)
def test_what_is_no_tag_is_text(text: str) -> None:
    assert parse(text) == ([text] if text else [])


@pytest.mark.parametrize(
    ("text", "line", "column", "nth"),
    [
        ("{{hc:name}}", 1, 1, 0),
        ("ok {{hc:a:b}} then\n  {{hc:2x:string}}", 2, 3, 1),
        ("{{hc:open", 1, 1, 0),
        ("a\n{{hcp:prompt}}", 2, 1, 0),
        ("{{hcp:prompt:one}}", 1, 1, 0),
        ("{{hc:a:b:c}}", 1, 1, 0),
        ("{{hc:x {{hc:a:b}}", 1, 1, 0),
        ("{{hc:é:string}}", 1, 1, 0),
    ],
)
def test_a_broken_tag_is_told_with_its_place(text: str, line: int, column: int, nth: int) -> None:
    with pytest.raises(TemplateError) as raised:
        parse(text)
    assert (raised.value.line, raised.value.column, raised.value.nth) == (line, column, nth)
    assert "{{hc" in raised.value.message


PIECES = st.one_of(
    st.sampled_from(
        ["{{hc:a:string}}", "{{ hc:b : number}}", "{{hcp:abc123:1}}", "{{hcp:q:0:staging}}", "{{", "}}", "hc:"]
    ),
    st.text(alphabet="ab {}:h\n", max_size=8),
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_what_was_parsed_is_written_as_it_was(text: str) -> None:
    try:
        pieces = parse(text)
    except TemplateError:
        return
    assert written(pieces) == text
    assert all(not isinstance(piece, str) or piece for piece in pieces)


def test_values_in_texts() -> None:
    text = "{{hc:x:string}}"
    given = [
        ("a", "a"),
        (3, "3"),
        (3.0, "3"),
        (2.5, "2.5"),
        (True, "true"),
        (0, "0"),
        ("", ""),
        ({"a": [1]}, '{"a":[1]}'),
    ]
    for value, expected in given:
        assert filled(text, x=value) == expected
    assert filled("{{hc:x:boolean}}", x="YES") == "true"
    assert filled("{{hc:x:boolean}}", x="no") == "false"
    assert filled("{{hc:x:number}}", x=" 1e3 ") == " 1e3 "
    assert text_of(1e300) == "1e300"


def test_what_was_not_given_stays_as_it_is_written() -> None:
    assert filled("a {{ hc:x : string }} b") == "a {{ hc:x : string }} b"
    assert filled("{{hc:x:number}}", x=None) == "{{hc:x:number}}"
    assert fill("{{hc:x:number}}", Inputs({"x": 0}, keep_falsy=True), []) == "{{hc:x:number}}"


def test_partials_stay_when_variables_are_filled_in() -> None:
    assert filled("{{hcp:a:0}} {{hc:x:string}}", x="y") == "{{hcp:a:0}} y"
    assert put_in("{{hcp:a:0}} {{hcp:a:1}} {{hc:x:string}}", {"{{hcp:a:0}}": "A"}) == "A {{hcp:a:1}} {{hc:x:string}}"


@pytest.mark.parametrize(
    ("value", "expected", "good"),
    [
        (1, "number", True),
        (1.5, "number", True),
        ("-1.5e3", "number", True),
        ("1,5", "number", False),
        ("", "number", False),
        ("NaN", "number", False),
        ("１", "number", False),
        (True, "number", False),
        (True, "boolean", True),
        ("Yes", "boolean", True),
        ("maybe", "boolean", False),
        (1, "boolean", False),
        ([1], "string", True),
        ({}, "date", True),
    ],
)
def test_what_may_be_given_for_a_type(value: Any, expected: str, good: bool) -> None:
    assert fits(value, expected) is good


def test_a_wrong_input_is_told_with_its_variable_type_and_value() -> None:
    problems: list[Problem] = []
    text = "{{hc:n:number}} {{hc:n:number}} {{hc:b:boolean}}"
    assert fill(text, Inputs({"n": "many" * 50, "b": 2}), problems) == text
    assert [str(problem) for problem in problems] == [
        f"n: expected number, given {'many' * 25}...",
        "b: expected boolean, given 2",
    ]


def test_json_values_take_inputs_of_any_kind_and_miss_none() -> None:
    schema = {"a": "{{hc:list:any}}", "{{hc:key:string}}": ["x-{{hc:n:number}}", 1, None], "b-{{hc:n:number}}": "t"}
    inputs = Inputs({"list": [1, {"x": None}], "key": "K", "n": 4})
    assert fill_json(schema, inputs, []) == {"a": [1, {"x": None}], "K": ["x-4", 1, None], "b-4": "t"}
    assert problems_of({"a": "{{hc:x:number}}"}) == ["x: expected number, and none was given"]
    assert problems_of({"{{hc:x:string}}": 1}, x=5) == ["x: expected string, given 5"]
    assert problems_of(["{{hc:x:number}}"], x="no") == ["x: expected number, given no"]


def test_no_more_is_put_in_than_there_is_room_for() -> None:
    """A short text that repeats a long input, or its variables, is stopped on the way."""
    inputs = Inputs({"x": "y" * 1_000_000, "list": [1] * 1_000}, room=10_000_000)
    with pytest.raises(TooLarge):
        fill("{{hc:x:string}}" * 100_000, inputs, [])
    with pytest.raises(TooLarge):
        fill_json(["{{hc:list:any}}"] * 100_000, Inputs({"list": [1] * 1_000}, room=10_000_000), [])
    problems: list[Problem] = []
    fill_json(["".join(f"{{{{hc:v{number}:number}}}}" for number in range(100_000))], Inputs({}), problems)
    assert len(problems) == MOST_PROBLEMS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(alphabet='a"{}\\:,\n{h', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='ab"', max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(alphabet='ab"\\{}[]:,\n\x00', max_size=30), JSON)
def test_an_input_cannot_leave_its_place(text: str, value: Any) -> None:
    """Whatever is put in, the JSON around it has the shape it had, and nothing put in is a tag."""
    body = {"type": "x", "schema": {"title": "<{{hc:t:string}}>", "default": "{{hc:v:any}}", "end": True}}
    problems: list[Problem] = []
    made = json.loads(json.dumps(fill_json(body, Inputs({"t": text, "v": value}), problems)))
    if value is None:
        assert [problem.value for problem in problems] == [MISSING]
        return
    assert problems == []
    assert made == {"type": "x", "schema": {"title": f"<{text}>", "default": value, "end": True}}


@given(st.sampled_from(["{{hc:b:string}}", "{{hcp:x:0}}", "a{{", "}}"]))
def test_an_input_that_looks_like_a_tag_is_text(text: str) -> None:
    assert filled("{{hc:a:string}}{{hc:b:string}}", a=text, b="B") == f"{text}B"


@pytest.mark.parametrize("text", ["{{hc:" + " " * 300_000, "{{hc:a" * 100_000, "{{ {{hc" * 100_000 + "{{hc:"])
def test_long_texts_of_beginnings_take_no_more_than_their_length(text: str) -> None:
    """A parser that took the square of it would not come to its end here."""
    with pytest.raises(TemplateError):
        parse(text)
