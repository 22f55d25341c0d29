"""Policies by rule, and what a client allows."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from helicone_gw import Exchange, Headers, HeliconeHeaders, Request
from helicone_gw_semantic_cache.config import SemanticCacheConfig
from helicone_gw_semantic_cache.policy import NOTHING, Policies, Wishes, wishes_of


def request(model: str | None = "m", router: str | None = None, **cache: Any) -> Request:
    control = cache.pop("control", None)
    headers = Headers({} if control is None else {"cache-control": control})
    helicone = replace(HeliconeHeaders(), cache=replace(HeliconeHeaders().cache, **cache))
    return Request("POST", "/", "", headers, b"", "openai", "chat", helicone, model=model, router=router)


def test_off_unless_somebody_says_otherwise() -> None:
    policies = Policies(SemanticCacheConfig())
    assert not policies.any
    assert not policies.of(request()).enabled


def test_the_first_rule_that_fits_decides_and_leaves_the_rest_as_it_is() -> None:
    policies = Policies(
        SemanticCacheConfig.model_validate(
            {
                "threshold": 0.9,
                "guard": ["names"],
                "rules": [
                    {"models": ["gpt-*"], "routes": ["faq"], "enabled": True, "threshold": 0.8, "guard": []},
                    {"models": ["gpt-*", "o1"], "enabled": True, "ttl": 5},
                    {"routes": ["f*"], "enabled": False},
                ],
            }
        )
    )
    assert policies.any
    faq = policies.of(request("gpt-4o", "faq"))
    assert (faq.enabled, faq.threshold, faq.guard, faq.ttl) == (True, 0.8, frozenset(), 86_400)
    plain = policies.of(request("o1"))
    assert (plain.enabled, plain.threshold, plain.guard, plain.ttl) == (True, 0.9, {"names"}, 5)
    assert not policies.of(request("claude", "faq")).enabled
    assert not policies.of(request("claude")).enabled
    assert not policies.of(request(None)).enabled


@pytest.mark.parametrize(
    ("said", "wishes"),
    [
        ({}, Wishes()),
        ({"enabled": True}, Wishes()),
        ({"enabled": False}, NOTHING),
        ({"read": False}, Wishes(read=False)),
        ({"save": False}, Wishes(store=False)),
        ({"bucket_max_size": 1}, Wishes()),
        ({"bucket_max_size": 3}, NOTHING),
        ({"control": "no-store"}, NOTHING),
        ({"control": "max-age=60, NO-STORE"}, NOTHING),
        ({"control": "no-cache"}, Wishes(read=False)),
        ({"control": "max-age=60"}, Wishes(max_age=60)),
        ({"control": 'max-age="60", s-maxage=30'}, Wishes(max_age=30)),
        ({"control": "max-age=soon, max-stale"}, Wishes()),
    ],
)
def test_what_a_client_allows(said: dict[str, Any], wishes: Wishes) -> None:
    assert wishes_of(Exchange("id", request(**said), 0.0)) == wishes


def test_what_is_to_be_redacted_is_not_looked_up() -> None:
    asked = request()
    asked = asked.replace(helicone=replace(asked.helicone, peyeeye_enabled=True))
    assert wishes_of(Exchange("id", asked, 0.0)) == NOTHING


@pytest.mark.parametrize(
    "config",
    [
        {"threshold": 0},
        {"threshold": 1.1},
        {"threshold": True},
        {"guard": ["spelling"]},
        {"embeddings": {"dimensions": 0}},
        {"embeddings": {"timeout": 0}},
        {"meter": {"share": 2}},
        {"max_entries": 0},
        {"max_answer": 2048, "max_bytes": 1024},
        {"treshold": 0.9},
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SemanticCacheConfig.model_validate(config)
