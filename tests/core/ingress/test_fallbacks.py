"""``Helicone-Fallbacks``: both forms, and a word on what is wrong with any other."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.ingress.fallbacks import FallbackTarget, parse_fallbacks

ENTRY = {
    "target-url": "https://api.openai.com",
    "headers": {"Authorization": "Bearer sk-secret"},
    "onCodes": [429, {"from": 500, "to": 599}],
    "bodyKeyOverride": {"model": "gpt-4o-mini"},
}


def test_helicones_form() -> None:
    first, second = parse_fallbacks(json.dumps([ENTRY, {"target-url": "http://b", "headers": {}, "onCodes": []}]))

    assert isinstance(first, FallbackTarget)
    assert isinstance(second, FallbackTarget)
    assert (first.target_url, dict(first.headers)) == ("https://api.openai.com", {"Authorization": "Bearer sk-secret"})
    assert first.body_override == {"model": "gpt-4o-mini"}
    assert (second.on_codes, second.body_override) == ((), None)


@pytest.mark.parametrize(
    ("status", "moves_on"), [(429, True), (428, False), (499, False), (500, True), (599, True), (200, False)]
)
def test_codes_are_numbers_and_inclusive_ranges(status: int, moves_on: bool) -> None:
    (entry,) = parse_fallbacks(json.dumps([ENTRY]))

    assert isinstance(entry, FallbackTarget)
    assert entry.moves_on(status) is moves_on


def test_litellms_form() -> None:
    assert parse_fallbacks('["gpt-3.5-turbo", " gpt-4 "]') == ("gpt-3.5-turbo", "gpt-4")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "JSON"),
        ("[", "JSON"),
        ("gpt-4", "JSON"),
        ("{}", "array"),
        ("[]", "at least one"),
        ("null", "array"),
        ('["gpt-4", ""]', "empty"),
        ('["gpt-4", {}]', "entry 0"),
        ("[1]", "entry 0"),
        ("[{}]", "target-url"),
        ('[{"target-url": "api.openai.com", "headers": {}, "onCodes": []}]', "target-url"),
        ('[{"target-url": "file:///etc/passwd", "headers": {}, "onCodes": []}]', "target-url"),
        ('[{"target-url": "https://a", "onCodes": []}]', "headers"),
        ('[{"target-url": "https://a", "headers": {"a": 1}, "onCodes": []}]', "headers"),
        ('[{"target-url": "https://a", "headers": {}}]', "onCodes"),
        ('[{"target-url": "https://a", "headers": {}, "onCodes": ["429"]}]', "onCodes"),
        ('[{"target-url": "https://a", "headers": {}, "onCodes": [true]}]', "onCodes"),
        ('[{"target-url": "https://a", "headers": {}, "onCodes": [1000]}]', "onCodes"),
        ('[{"target-url": "https://a", "headers": {}, "onCodes": [{"from": 599, "to": 500}]}]', "onCodes"),
        ('[{"target-url": "https://a", "headers": {}, "onCodes": [], "bodyKeyOverride": 1}]', "bodyKeyOverride"),
        ("[" * 5000, "JSON"),
    ],
)
def test_a_malformed_value_is_explained(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_fallbacks(text)


def test_credentials_of_an_entry_show_nowhere() -> None:
    assert "sk-secret" not in repr(parse_fallbacks(json.dumps([ENTRY])))
    with pytest.raises(ValueError, match="onCodes") as problem:
        parse_fallbacks(json.dumps([{**ENTRY, "onCodes": "sk-secret"}]))
    assert "sk-secret" not in str(problem.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(ENTRY)), inner, max_size=4),
    max_leaves=10,
)


@given(json_values)
def test_any_json_is_read_or_explained(value: object) -> None:
    text = json.dumps(value)
    is_list = isinstance(value, list) and bool(value)
    try:
        parsed = parse_fallbacks(text)
    except ValueError:
        return
    assert is_list
    assert len(parsed) == len(json.loads(text))
