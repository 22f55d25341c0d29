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


# Who offers what


KEY = ProviderConfig(api_key=Secret("sk-upstream"))


def of(operation: str, **changes: Any) -> Exchange:
    return exchange(path=f"/v1/{operation}", operation=operation.partition("/")[0], model="m", **changes)


def test_what_the_dialects_provider_does_not_offer_goes_to_one_of_the_configuration_that_does() -> None:
    assert routes(openai=KEY, bedrock=KEY, cohere=KEY)(of("rerank")).targets == (Target("cohere", "m"),)
    assert routes(openai=KEY, together=KEY)(of("rerank")).targets == (Target("together", "m"),)
    assert routes(openai=KEY, groq=KEY)(of("rerank")).targets == (Target("openai", "m"),), "to be refused by name"


@pytest.mark.parametrize(("operation", "provider"), [("embeddings", "mistral"), ("audio/transcriptions", "groq")])
def test_and_so_does_what_it_cannot_be_called_for(operation: str, provider: str) -> None:
    without = routes(anthropic=KEY, groq=KEY, mistral=KEY)
    assert without(of(operation)).targets == (Target(provider, "m"),)
    own = of(operation)
    own.credential = ProviderCredential("authorization", "Bearer sk-own", "openai")
    assert without(own).targets == routes(openai=KEY, groq=KEY)(of(operation)).targets == (Target("openai", "m"),)


@pytest.mark.parametrize("operation", ["chat", "moderations", "files", "batches"])
def test_but_conversations_and_what_is_kept_stay_at_home(operation: str) -> None:
    assert routes(mistral=KEY)(of(operation)).targets == (Target("openai", "m"),)


def test_a_provider_that_may_offer_it_is_not_guessed_at() -> None:
    house = ProviderConfig(base_url="https://llm.example.com/v1", dialect="openai")
    assert routes(house=house)(of("rerank")).targets == (Target("openai", "m"),)
    lists = ProviderConfig(base_url="https://llm.example.com/v1", dialect="openai", operations=("rerank",))
    assert routes(house=lists)(of("rerank")).targets == (Target("house", "m"),)


def test_targets_that_do_not_offer_the_operation_are_left_out_and_told() -> None:
    one = exchange(model="house", path="/v1/embeddings", operation="embeddings")
    assert routes()(one).targets == (Target("openai", "gpt-4o"),)
    assert one.annotations == {"routing.left_out": {"groq/gpt-4o": "does not offer 'embeddings'"}}
    nobody = exchange(model="house", path="/v1/rerank", operation="rerank")
    assert len(routes()(nobody).targets) == 2
    assert nobody.annotations == {}


def test_a_model_that_is_kept_for_some_operations() -> None:
    vectors = {"v": ModelConfig(model="v", providers=("openai",), operations=("embeddings",))}
    table = DefaultRoutes(Catalogue.build({}), vectors)
    assert table(exchange(model="v", path="/v1/embeddings", operation="embeddings")).targets == (Target("openai", "v"),)
    with pytest.raises(BadRequest, match="'v' does not offer 'chat': it is for embeddings") as refused:
        table(exchange(model="v"))
    assert refused.value.code == "operation_not_offered"
    assert table(exchange(model="v", method="GET", path="/v1/models/v", operation="models")).targets


def test_whether_a_target_serves() -> None:
    where = routing()
    assert where.serves(exchange(), Target("groq", "m"))
    assert not where.serves(of("embeddings"), Target("groq", "m"))
    assert where.serves(of("embeddings"), Target("groq", "m", base_url="https://llm.example.com"))
    assert where.serves(of("embeddings"), Target("llm.example.com", "m"))
    assert where.why_not(of("embeddings"), Target("anthropic", "m")) == "does not offer 'embeddings'"
    assert where.targets("new", of("rerank")) == (Target("openai", "new"),)
