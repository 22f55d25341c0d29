"""Header fields: lifetimes as requests say them, and what of an answer's fields is true of its copy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import Headers
from helicone_gw_cache.headers import NOTHING_SAID, Control, control, kept

YEAR = 31_536_000.0


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("max-age=60", Control(60.0)),
        ("s-maxage=120", Control(120.0)),
        ("max-age=60, s-maxage=120", Control(120.0)),
        ("s-maxage=120,max-age=60", Control(120.0)),
        ("MAX-AGE=60", Control(60.0)),
        ('public, max-age="60"', Control(60.0)),
        ("max-age=99999999", Control(YEAR)),
        ("max-age=99999999999999999999", Control(YEAR)),
        ("max-age=0", Control(0.0, no_store=True)),
        ("max-age=60, s-maxage=0", Control(0.0, no_store=True)),
        ("no-store", Control(no_store=True)),
        ("no-cache", Control(no_cache=True)),
        ("no-cache, max-age=60", Control(60.0, no_cache=True)),
        ("private", Control()),
        ("max-age=abc", Control()),
        ("max-age=-5", Control()),
        ("max-age", Control()),
        ("max-age=", Control()),
        ("s-maxage=x, max-age=5", Control(5.0)),
        ("max-age=60, max-age=70", Control(60.0)),
        ("what is this? max-age, max-age=5", Control(5.0)),
        ('private="max-age=5, no-store", max-age=7', Control(7.0)),
        ("", Control()),
        ("no-storefront", Control()),
    ],
)
def test_what_cache_control_asks_for(said: str, meant: Control) -> None:
    assert control(Headers({"cache-control": said})) == meant


def test_several_fields_are_one_list() -> None:
    fields = Headers([(b"cache-control", b"max-age=60"), (b"Cache-Control", b"no-cache")])
    assert control(fields) == Control(60.0, no_cache=True)


def test_nothing_said() -> None:
    assert control(Headers()) is NOTHING_SAID


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_anything_can_be_read(said: str) -> None:
    found = control(Headers({"cache-control": said}))
    assert found.ttl is None or 0 <= found.ttl <= YEAR


def test_fields_that_are_true_of_a_copy() -> None:
    fields = (
        (b"content-type", b"application/json"),
        (b"set-cookie", b"session=1"),
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"anthropic-ratelimit-tokens-remaining", b"0"),
        (b"retry-after", b"1"),
        (b"date", b"now"),
        (b"content-length", b"12"),
        (b"helicone-id", b"another's"),
        (b"x-request-id", b"req-1"),
        (b"openai-version", b"2020-10-01"),
    )
    assert [name for name, _ in kept(fields)] == [b"content-type", b"x-request-id", b"openai-version"]
