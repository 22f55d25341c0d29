"""What a key may be given, and what is refused with what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import GatewayKey, Permits
from helicone_gw_ratelimit.policy import parse_policy
from helicone_gw_security.spec import KeySpec, check_budget, check_limit


def test_a_key_is_what_was_asked_for() -> None:
    spec = KeySpec(
        name="ci",
        organization="acme",
        models=("gpt-4*",),
        networks=("10.0.0.0/8", "203.0.113.7"),
        origins=("HTTPS://App.example.com",),
        role="viewer",
        scope="read",
        limits=("100;w=60",),
        budgets=("25/month",),
        provider_key="main",
    )
    permits = Permits(
        models=("gpt-4*",), networks=("10.0.0.0/8", "203.0.113.7/32"), origins=("https://app.example.com",)
    )
    assert spec.key("1") == GatewayKey(
        "1", "ci", "ci", "acme", permits, "viewer", "read", ("100;w=60",), ("25/month",), "main"
    )


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"name": " "}, "name: must not be empty"),
        ({"owner": "a\nb"}, "owner: should be printable"),
        ({"models": ()}, "models: 1 to 100"),
        ({"models": ("m",) * 101}, "models: 1 to 100"),
        ({"models": ("m" * 201,)}, "models: each has"),
        ({"paths": ("v1/chat",)}, "begins with a slash"),
        ({"networks": ("10.0.0.1/8",)}, "no network"),
        ({"networks": ("home",)}, "no network"),
        ({"networks": ()}, "networks: 1 to 100"),
        ({"origins": ("app.example.com",)}, "is no origin"),
        ({"origins": ("https://app.example.com/",)}, "is no origin"),
        ({"origins": ("*",)}, "is no origin"),
        ({"role": "owner"}, "role: should be one of"),
        ({"scope": "none"}, "scope: should be one of"),
        ({"limits": ("basic-100",)}, "is no limit"),
        ({"budgets": ("25",)}, "is no budget"),
        ({"budgets": ("25/day", "30/day")}, "one for each period"),
        ({"limits": ("5;w=60", "6;W=60")}, "one for each window"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        KeySpec(**{"name": "ci", **given})


@pytest.mark.parametrize("text", ["100;w=60", "1;w=60;u=request", "2.5;w=3600;u=cents;s=user", "500;W=60;U=TOKENS"])
def test_a_limit_is_one_for_ratelimit_too(text: str) -> None:
    assert parse_policy(check_limit(text)).quota > 0


@pytest.mark.parametrize(
    "text",
    ["0;w=60", "0.5;w=60", "1;w=59", "1;w=31536001", "1", "1;w=60;u=eggs", "9999999999;w=60", "-1;w=60", "1;w=6e1"],
)
def test_what_is_no_limit_is_none_for_ratelimit_either(text: str) -> None:
    with pytest.raises(ValueError, match=r"limit|window|quota"):
        check_limit(text)
    if ";" in text:
        with pytest.raises(ValueError, match=r"."):
            parse_policy(text)


@pytest.mark.parametrize("text", ["0/month", "25/year", "25", "1e3/day", "2000001/total", "-1/day"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="is no budget"):
        check_budget(text)
    assert check_budget("0.5/day") == "0.5/day"
