"""Policies: what headers, rules and configuration make of one request, together."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from helicone_gw import BadRequest, Headers, Request
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw_cache.config import CacheConfig
from helicone_gw_cache.policy import OPERATIONS, Policies, Policy


def request(headers: dict[str, str] | None = None, **changes: Any) -> Request:
    said = {f"helicone-cache-{name}": value for name, value in (headers or {}).items() if name != "cache-control"}
    plain = {name: value for name, value in (headers or {}).items() if name == "cache-control"}
    return Request(
        "POST",
        "/v1/chat/completions",
        "",
        Headers(plain),
        b"{}",
        "openai",
        "chat",
        parse_helicone_headers(Headers(said)),
        model="gpt-4o-mini",
    ).replace(**changes)


def policy(headers: dict[str, str] | None = None, *, config: dict[str, Any] | None = None, **changes: Any) -> Policy:
    found = Policies(CacheConfig.model_validate(config or {})).of(request(headers, **changes))
    assert found is not None
    return found


def none(headers: dict[str, str] | None = None, *, config: dict[str, Any] | None = None, **changes: Any) -> bool:
    return Policies(CacheConfig.model_validate(config or {})).of(request(headers, **changes)) is None


ON = {"enabled": True}


@pytest.mark.parametrize(
    ("config", "headers", "read", "save"),
    [
        ({}, {"enabled": "true"}, True, True),
        ({}, {"enabled": "True"}, True, True),
        ({}, {"save": "true"}, False, True),
        ({}, {"read": "TRUE"}, True, False),
        ({}, {"read": "true", "save": "true"}, True, True),
        ({}, {"enabled": "true", "save": "false"}, True, True),
        ({}, {"enabled": "false", "save": "true"}, False, True),
        (ON, {}, True, True),
        (ON, {"save": "false"}, True, False),
        (ON, {"read": "false"}, False, True),
        (ON, {"cache-control": "no-cache"}, False, True),
        (ON, {"cache-control": "no-store"}, False, False),
        (ON, {"cache-control": "max-age=0"}, False, False),
        ({"enabled": True, "ttl": 0}, {}, True, False),
        ({"rules": [{"models": ["gpt-4o*"], "enabled": True}]}, {}, True, True),
        ({"rules": [{"routes": ["gpt-4o*"], "enabled": True}]}, {}, True, True),
    ],
)
def test_which_way_an_answer_may_go(config: dict[str, Any], headers: dict[str, str], read: bool, save: bool) -> None:
    found = policy(headers, config=config)
    assert (found.read, found.save) == (read, save)


@pytest.mark.parametrize(
    ("config", "headers"),
    [
        ({}, {}),
        ({}, {"enabled": "yes"}),
        ({}, {"enabled": "false"}),
        ({}, {"seed": "s", "bucket-max-size": "99"}),
        (ON, {"enabled": "false"}),
        (ON, {"read": "false", "save": "false"}),
        ({"rules": [{"models": ["claude*"], "enabled": True}]}, {}),
        ({"enabled": True, "rules": [{"models": ["gpt*"], "enabled": False}]}, {}),
    ],
)
def test_what_is_left_alone(config: dict[str, Any], headers: dict[str, str]) -> None:
    assert none(headers, config=config)


@pytest.mark.parametrize("operation", ["files", "audio", "images", "realtime", "models", "batches", "responses.other"])
def test_other_operations_are_left_alone(operation: str) -> None:
    assert none({"enabled": "true"}, operation=operation)
    assert operation not in OPERATIONS


@pytest.mark.parametrize("changes", [{"method": "GET"}, {"body": None}, {"body": b""}])
def test_so_is_whatever_asks_nothing(changes: dict[str, Any]) -> None:
    assert none({"enabled": "true"}, **changes)


def test_one_who_wants_to_know_is_told_of_another_operation() -> None:
    found = policy({"enabled": "true", "debug": "true"}, operation="files")
    assert (found.read, found.save, found.asked, found.reason) == (False, False, False, "operation files")


@pytest.mark.parametrize(
    ("headers", "config", "ttl"),
    [
        ({}, {}, 604_800),
        ({"cache-control": "max-age=60, s-maxage=120"}, {}, 120),
        ({"cache-control": "max-age=99999999"}, {}, 31_536_000),
        ({"cache-control": "private"}, {"ttl": 5}, 5),
        ({"cache-control": "max-age=60"}, {"ttl": 5}, 60),
        ({}, {"ttl": 5, "rules": [{"models": ["x"], "ttl": 6}, {"models": ["gpt-*"], "ttl": 7}, {"ttl": 8}]}, 7),
        ({}, {"ttl": 5, "rules": [{"models": ["x"], "ttl": 6}, {"ttl": 8}]}, 8),
    ],
)
def test_lifetimes(headers: dict[str, str], config: dict[str, Any], ttl: float) -> None:
    assert policy({"enabled": "true", **headers}, config=config).ttl == ttl


@pytest.mark.parametrize(("said", "size"), [("1", 1), ("20", 20), (None, 3), ("0", 3), ("-1", 3), ("x", 3)])
def test_buckets(said: str | None, size: int) -> None:
    headers = {"enabled": "true"} if said is None else {"enabled": "true", "bucket-max-size": said}
    assert policy(headers, config={"bucket_size": 3}).bucket_size == size


@pytest.mark.parametrize("size", ["21", "1000000"])
def test_too_many_buckets_are_refused_where_something_is_cached(size: str) -> None:
    with pytest.raises(BadRequest, match="at most 20") as refused:
        policy({"enabled": "true", "bucket-max-size": size})
    assert (refused.value.status, refused.value.code) == (400, "bucket_size_too_large")


def test_seed_and_ignored_keys_of_the_configuration_hold_where_the_request_says_nothing() -> None:
    config = {"seed": "house", "ignore_keys": ["user"]}
    found = policy({"enabled": "true"}, config=config)
    assert (found.seed, found.ignore_keys) == ("house", ("user",))
    found = policy({"enabled": "true", "seed": "s", "ignore-keys": "a, b"}, config=config)
    assert (found.seed, found.ignore_keys) == ("s", ("a", "b"))


def test_a_rule_may_be_for_models_and_routes_together() -> None:
    rule = {"models": ["gpt*"], "routes": ["fast"], "replay": "paced", "single_flight": False, "stale_if_error": 9}
    config = {"rules": [rule]}
    through = policy({"enabled": "true"}, config=config, router="fast").settings
    assert (through.replay, through.single_flight, through.stale_if_error) == ("paced", False, 9)
    assert policy({"enabled": "true"}, config=config).settings.replay == "instant"
    assert policy({"enabled": "true"}, config=config, router="fast", model="claude").settings.replay == "instant"


def test_models_of_any_length_are_compared() -> None:
    config = {"rules": [{"models": ["x*"], "ttl": 1}]}
    assert policy({"enabled": "true"}, config=config, model="x" * 5000).ttl == 1


@pytest.mark.parametrize(
    "config",
    [
        {"ttl": -1},
        {"ttl": 31_536_001},
        {"ttl": True},
        {"bucket_size": 21},
        {"bucket_size": 0},
        {"vary": ["colour"]},
        {"vary": ["header:"]},
        {"share": "everybody"},
        {"replay": "slow"},
        {"single_flight": {"max_flights": 0}},
        {"unknown": 1},
    ],
)
def test_what_the_configuration_may_not_say(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CacheConfig.model_validate(config)


def test_facts_are_named_in_lower_case() -> None:
    config = CacheConfig.model_validate({"vary": ["user", "session", "header:X-Tier", "property: Tier "]})
    assert config.vary == ("user", "session", "header:x-tier", "property:tier")
