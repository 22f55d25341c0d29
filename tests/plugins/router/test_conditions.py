"""Conditions: which requests a rule or a target is meant for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from helicone_gw import Headers, Request
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw_router.conditions import Facts, Moment, compile_condition, parse_days, parse_time
from helicone_gw_router.config import When

BODY = b'{"model": "m", "temperature": 0.5, "n": 1, "logprobs": true, "response_format": {"type": "json_object"}}'


def holds(when: dict[str, Any], *, body: bytes | None = BODY, now: float = 0.0, stream: bool = False) -> bool:
    headers = Headers({"x-tier": "gold", "Helicone-Property-App": "web"})
    request = Request(
        "POST", "/v1/chat/completions", "", headers, body, "openai", "chat", parse_helicone_headers(headers),
        model="gpt-4o-mini", stream=stream, user="alice",
    )  # fmt: skip
    condition = compile_condition(When.model_validate(when))
    return condition is None or condition(Facts(request, "ci", now))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, True),
        ({"model": "gpt-4o*"}, True),
        ({"model": "claude*"}, False),
        ({"headers": {"X-Tier": "g*"}}, True),
        ({"headers": {"x-tier": "gold", "x-other": "*"}}, False),
        ({"properties": {"app": "web"}}, True),
        ({"properties": {"app": "mobile"}}, False),
        ({"user": "al*"}, True),
        ({"user": "bob"}, False),
        ({"key": "ci"}, True),
        ({"key": "prod"}, False),
        ({"body": {"response_format.type": "json*"}}, True),
        ({"body": {"temperature": 0.5}}, True),
        ({"body": {"n": 1}}, True),
        ({"body": {"n": True}}, False),
        ({"body": {"logprobs": True}}, True),
        ({"body": {"logprobs": 1}}, False),
        ({"body": {"tools.0": "x"}}, False),
        ({"min_tokens": 20, "max_tokens": 30}, True),
        ({"min_tokens": 100}, False),
        ({"max_tokens": 10}, False),
        ({"stream": False}, True),
        ({"stream": True}, False),
        ({"model": "gpt*", "user": "bob"}, False),
    ],
)
def test_each_condition(when: dict[str, Any], expected: bool) -> None:
    assert holds(when) is expected


@pytest.mark.parametrize("body", [None, b"", b"not json", b"[1]"])
def test_a_body_that_says_nothing(body: bytes | None) -> None:
    assert not holds({"body": {"n": 1}}, body=body)
    assert holds({"max_tokens": 5}, body=body)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("now", "inside"),
    [
        ("2026-01-05T07:59", False),
        ("2026-01-05T08:00", True),
        ("2026-01-05T17:59", True),
        ("2026-01-05T18:00", False),
        ("2026-01-10T12:00", False),
    ],
)
def test_office_hours(now: str, inside: bool) -> None:
    assert holds({"time": {"from": "08:00", "to": "18:00", "days": "mon-fri"}}, now=at(now)) is inside


def test_a_night_belongs_to_the_day_it_begins_on() -> None:
    night = Moment("22:00", "06:00", "fri", "UTC")
    assert night.holds(at("2026-01-09T23:00"))
    assert night.holds(at("2026-01-10T05:59"))
    assert not night.holds(at("2026-01-09T05:00"))
    assert not night.holds(at("2026-01-10T23:00"))


def test_zones() -> None:
    zurich = Moment("08:00", "18:00", "mon-sun", "Europe/Zurich")
    assert zurich.holds(at("2026-01-05T07:30"))
    assert not zurich.holds(at("2026-01-05T17:30"))


def test_days_and_times_are_read() -> None:
    assert parse_days("fri-mon") == {4, 5, 6, 0}
    assert parse_days("Sat, Sun") == {5, 6}
    assert parse_time("24:00") == 1440


@pytest.mark.parametrize(
    "time",
    [
        {"from": "8"},
        {"from": "8:0"},
        {"to": "25:00"},
        {"to": "12:60"},
        {"days": "someday"},
        {"zone": "Moon/Base"},
        {"from": "ab:cd"},
    ],
)
def test_what_is_no_time(time: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        When.model_validate({"time": time})
