"""The core's own table: where a request goes that no plugin routed."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import (
    BadRequest,
    Exchange,
    Headers,
    ModelConfig,
    NotFound,
    Prices,
    ProviderCredential,
    Request,
    Secret,
    Target,
)
from helicone_gw.config import ProviderConfig
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw.routing import DefaultRoutes, Routing
from helicone_gw.upstream.prepare import ITSELF
from helicone_gw.upstream.providers import Catalogue

MODELS = {
    "house": ModelConfig(model="gpt-4o", providers=("openai", "groq"), aliases=("home", "haus")),
    "gpt-x": ModelConfig(model="gpt-4o-2024"),
}


def routes(demo: bool = False, **providers: ProviderConfig) -> DefaultRoutes:
    if demo:
        providers["demo"] = ProviderConfig()
    return DefaultRoutes(Catalogue.build(providers), MODELS)


def exchange(headers: dict[str, str] | None = None, **changes: Any) -> Exchange:
    helicone = parse_helicone_headers(Headers(headers or {}))
    plain = Request("POST", "/v1/chat/completions", "", Headers(), b"{}", "openai", "chat", helicone, model="gpt-4o")
    return Exchange("id", plain.replace(**changes), 0.0)


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini"])
def test_a_model_that_nobody_configured_goes_to_its_dialects_own_provider(dialect: str) -> None:
    assert routes()(exchange(dialect=dialect, model="m")).targets == (Target(dialect, "m"),)


@pytest.mark.parametrize("name", ["house", "home", "haus"])
def test_a_configured_model_goes_to_its_providers_in_order(name: str) -> None:
    assert routes()(exchange(model=name)).targets == (Target("openai", "gpt-4o"), Target("groq", "gpt-4o"))
    assert routes().targets(name) == (Target("openai", "gpt-4o"), Target("groq", "gpt-4o"))


def test_a_configured_model_without_providers_only_gets_its_name() -> None:
    assert routes()(exchange(model="gpt-x")).targets == (Target("openai", "gpt-4o-2024"),)
    assert routes().targets("gpt-x") == ()


def test_an_address_that_names_its_provider_is_the_last_word() -> None:
    assert routes()(exchange(provider="groq", model="house")).targets == (Target("groq", "house"),)


def test_a_request_without_a_model() -> None:
    assert routes()(exchange(model=None, operation="files")).targets == (Target("openai"),)


@pytest.mark.parametrize("header", ["Helicone-Target-URL", "Helicone-OpenAI-Api-Base"])
@pytest.mark.parametrize("provider", [None, "openai", "anthropic"])
def test_a_target_url_names_the_provider_that_it_belongs_to(header: str, provider: str | None) -> None:
    url = "https://api.groq.com/openai/v1"
    assert routes()(exchange({header: url}, provider=provider)).targets == (Target("groq", "gpt-4o", base_url=url),)


def test_a_target_url_of_nobody_known_is_named_by_its_host() -> None:
    url = "https://llm.example.com/v1"
    assert routes()(exchange({"Helicone-Target-URL": url})).targets == (
        Target("llm.example.com", "gpt-4o", base_url=url),
    )


def test_another_providers_own_address_is_not_moved() -> None:
    one = exchange({"Helicone-Target-URL": "https://llm.example.com"}, provider="groq")
    assert routes()(one).targets == (Target("groq", "gpt-4o"),)


def test_demo_models_where_the_configuration_names_the_provider() -> None:
    assert routes(demo=True)(exchange(model="demo-large")).targets == (Target("demo", "demo-large"),)
    assert routes()(exchange(model="demo-large")).targets == (Target("openai", "demo-large"),)


def test_a_dialect_of_nobody() -> None:
    with pytest.raises(BadRequest, match="No provider speaks"):
        routes()(exchange(dialect="esperanto"))


def models(**changes: Any) -> Exchange:
    return exchange(**{"method": "GET", "path": "/v1/models", "operation": "models", "model": None, **changes})


def test_the_list_of_models_is_the_gateways_own_where_no_provider_can_be_asked() -> None:
    assert routes()(models()).targets == (Target(ITSELF.name),)
    assert routes()(models(method="HEAD")).targets == (Target(ITSELF.name),)
    assert routes()(models(method="DELETE")).targets == (Target("openai"),), "a fine-tuned model is the provider's"


def test_the_list_of_models_is_the_providers_where_there_is_a_key() -> None:
    key = ProviderConfig(api_key=Secret("sk-upstream"))
    assert routes(openai=key)(models()).targets == (Target("openai"),)
    assert routes(anthropic=key)(models()).targets == (Target(ITSELF.name),)
    one = models()
    one.credential = ProviderCredential("authorization", "Bearer sk-own", "openai")
    assert routes()(one).targets == (Target("openai"),)
    one.credential = ProviderCredential("authorization", "Bearer sk-own", "anthropic")
    assert routes()(one).targets == (Target(ITSELF.name),)


def test_a_route_that_nobody_knows() -> None:
    with pytest.raises(NotFound, match="no route 'fast'"):
        routes()(exchange(router="fast"))


def routing() -> Routing:
    catalogue = Catalogue.build({})
    return Routing(catalogue, DefaultRoutes(catalogue, MODELS))


def test_where_a_model_string_leads_is_asked_of_resolvers_first() -> None:
    where = routing()
    where.use(lambda model, exchange: [])
    where.use(lambda model, exchange: [Target("mistral", model)] if model != "house" else [])
    where.use(lambda model, exchange: pytest.fail("the one before has answered") if model == "fast" else [])
    assert where.targets("fast") == (Target("mistral", "fast"),)
    assert where.targets("house") == (Target("openai", "gpt-4o"), Target("groq", "gpt-4o"))


def test_a_model_that_nobody_knows_leads_to_its_requests_own_provider() -> None:
    where = routing()
    assert where.targets("new-model") == ()
    assert where.targets("new-model", exchange(dialect="anthropic")) == (Target("anthropic", "new-model"),)
    assert where.targets("new-model", exchange(provider="groq")) == (Target("groq", "new-model"),)
    assert where.targets("new-model", exchange(dialect="esperanto")) == ()


def test_estimates_go_by_the_same_resolvers() -> None:
    where = routing()
    asked: list[str] = []

    def resolver(model: str, given: Exchange | None) -> list[Target]:
        asked.append(model)
        return []

    where.use(resolver)
    assert Prices(targets=where.targets).estimate("m", None, 1, 1) is None
    assert asked == ["m"]
