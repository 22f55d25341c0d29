"""Matching: which requests a limit is for."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import BadRequest, Exchange, GatewayKey, Headers, HeliconeHeaders, Request, Target
from helicone_gw.helicone import Properties
from helicone_gw_ratelimit.config import LimitConfig
from helicone_gw_ratelimit.matching import compile_matcher, models_in


def exchange() -> Exchange:
    helicone = HeliconeHeaders(user_id="alice", properties=Properties([("App", "web-1")]))
    request = Request("POST", "/", "", Headers(), b"", "openai", "chat", helicone, model="fast", router="main")
    made = Exchange("id", request, received_at=0)
    made.key = GatewayKey("1", "ci-2", "ci")
    return made


def targets(model: str, exchange: Exchange) -> list[Target]:
    return [Target("openai", "gpt-4o-mini")] if model == "fast" else []


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({"keys": ["ci-*"]}, True),
        ({"keys": ["ci"]}, False),
        ({"users": ["bob", "ali*"]}, True),
        ({"users": ["Alice"]}, False),
        ({"models": ["fast"]}, True),
        ({"models": ["gpt-4o*"]}, True),
        ({"models": ["claude*"]}, False),
        ({"routes": ["main"]}, True),
        ({"routes": ["other"]}, False),
        ({"properties": {"app": ["web-*"]}}, True),
        ({"properties": {"app": ["web-*"], "team": ["*"]}}, False),
        ({"keys": ["*"], "users": ["alice"], "models": ["fast"]}, True),
        ({"keys": ["*"], "users": ["bob"], "models": ["fast"]}, False),
    ],
)
def test_all_that_is_said_has_to_fit(rule: dict[str, Any], fits: bool) -> None:
    matcher = compile_matcher(LimitConfig.model_validate({"concurrency": 1, **rule}), targets)
    assert matcher is not None
    assert matcher(exchange()) is fits


def test_nothing_said_is_for_everybody() -> None:
    assert compile_matcher(LimitConfig(concurrency=1), targets) is None


def test_who_has_no_key_user_or_model_fits_no_pattern() -> None:
    nobody = Exchange(
        "id", Request("GET", "/", "", Headers(), None, "openai", "files", HeliconeHeaders()), received_at=0
    )
    for field in ("keys", "users", "models", "routes"):
        matcher = compile_matcher(LimitConfig.model_validate({"concurrency": 1, field: ["*"]}), targets)
        assert matcher is not None
        assert not matcher(nobody)


def test_a_model_that_leads_nowhere_fits_nothing_and_is_refused_by_whoever_routes_it() -> None:
    def nowhere(model: str, exchange: Exchange) -> list[Target]:
        raise BadRequest("no provider is left")

    matcher = compile_matcher(LimitConfig.model_validate({"concurrency": 1, "models": ["gpt*"]}), nowhere)
    assert matcher is not None
    assert not matcher(exchange())


def test_a_list_of_models_asks_for_each_of_them() -> None:
    assert "claude-sonnet-4-5" in models_in("gpt-4o-mini, claude-sonnet-4-5/anthropic")
    assert len(models_in(",".join(map(str, range(5000))))) <= 202
