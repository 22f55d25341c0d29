"""Several keys and places behind one provider's name: what is known of each, and which key goes where."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import BadRequest, ConfigError, Exchange, Headers, HeliconeHeaders, ProviderCredential, Request, Target
from helicone_gw.config import ProviderConfig
from helicone_gw.upstream.prepare import Preparer
from helicone_gw.upstream.providers import Catalogue

KEYS: dict[str, Any] = {"keys": ["sk-one", {"key": "sk-two", "name": "second", "weight": 3}]}
PLACES: dict[str, Any] = {
    "api_key": "sk-of-azure",
    "deployments": {
        "east": {"base_url": "https://east.openai.azure.com", "api_key": "sk-east", "models": {"gpt-4o": "our-gpt"}},
        "west": {"base_url": "https://west.openai.azure.com", "weight": 2, "api_version": "2024-10-21"},
    },
}


def catalogue(**providers: dict[str, Any]) -> Catalogue:
    return Catalogue.build({name: ProviderConfig.model_validate(config) for name, config in providers.items()})


def exchange() -> Exchange:
    body = b'{"model": "gpt-4o", "messages": []}'
    request = Request(
        "POST", "/v1/chat/completions", "", Headers(), body, "openai", "chat", HeliconeHeaders(), model="gpt-4o"
    )
    return Exchange("id", request, 0.0)


async def sent(known: Catalogue, target: Target, one: Exchange | None = None) -> tuple[str, str | None]:
    call = await Preparer(known, ())(one or exchange(), target)
    return call.request.url, call.request.headers.get("authorization") or call.request.headers.get("api-key")


def test_keys_have_names_and_weights() -> None:
    known = catalogue(openai=KEYS)
    assert [(each.name, each.weight) for each in known.deployments("openai")] == [("key-1", 1.0), ("second", 3.0)]
    assert known.deployments("anthropic") == ()
    assert known.is_configured("openai")
    assert "sk-one" not in repr(known.deployments("openai"))


async def test_each_key_goes_with_its_own_target() -> None:
    known = catalogue(openai=KEYS)
    url = "https://api.openai.com/v1/chat/completions"
    assert await sent(known, Target("openai", "gpt-4o", deployment="key-1")) == (url, "Bearer sk-one")
    assert await sent(known, Target("openai", "gpt-4o", deployment="second")) == (url, "Bearer sk-two")
    assert await sent(known, Target("openai", "gpt-4o")) == (url, "Bearer sk-one"), "the first, where none is named"


async def test_a_key_of_the_providers_own_is_the_one_where_none_is_named() -> None:
    known = catalogue(openai={**KEYS, "api_key": "sk-main"})
    assert (await sent(known, Target("openai", "gpt-4o")))[1] == "Bearer sk-main"


async def test_places_have_addresses_keys_and_models_of_their_own() -> None:
    known = catalogue(azure=PLACES)
    east, west = known.deployments("azure")
    assert (east.model("gpt-4o"), east.model("o3"), west.model("o3")) == ("our-gpt", None, "o3")
    assert (east.provider.origin, west.provider.origin) == (
        "https://east.openai.azure.com",
        "https://west.openai.azure.com",
    )
    assert known.credential("azure", "https://east.openai.azure.com", "east") == "sk-east"
    url, key = await sent(known, Target("azure", "our-gpt", deployment="east"))
    assert url.startswith("https://east.openai.azure.com/")
    assert key == "sk-east"


def test_a_key_goes_to_its_own_place_alone() -> None:
    known = catalogue(azure=PLACES)
    assert known.credential("azure", "https://west.openai.azure.com", "east") is None
    assert known.credential("azure", "https://west.openai.azure.com", "west") is None, "that address has no key"
    assert known.credential("azure", "https://east.openai.azure.com", "nowhere") is None


def test_a_provider_without_an_address_is_at_its_first_place() -> None:
    known = catalogue(azure=PLACES)
    provider = known.get("azure")
    assert provider is not None
    assert provider.base_url == "https://east.openai.azure.com"


def test_regions_are_places() -> None:
    config = {"api_key": "k", "region": "eu-west-1", "deployments": {"us": {"region": "us-west-2"}}}
    known = catalogue(bedrock=config)
    (us,) = known.deployments("bedrock")
    assert us.provider.base_url == "https://bedrock-runtime.us-west-2.amazonaws.com"
    assert us.key == "k"


async def test_a_deployment_that_does_not_exist_is_no_address() -> None:

    with pytest.raises(BadRequest, match="has no address"):
        await sent(catalogue(openai=KEYS), Target("openai", "gpt-4o", deployment="third"))


async def test_a_clients_own_key_goes_before_those_of_the_configuration() -> None:
    one = exchange()
    one.credential = ProviderCredential("authorization", "Bearer sk-client", "openai")
    known = catalogue(openai=KEYS)
    assert (await sent(known, Target("openai", "gpt-4o", deployment="second"), one))[1] == "Bearer sk-client"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"keys": ["a", {"key": "b", "name": "key-1"}]}, "two keys or deployments are called 'key-1'"),
        ({"deployments": {"x": {"region": "../y"}}}, "providers.bedrock.deployments.x.region"),
    ],
)
def test_what_is_wrong_is_told(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        catalogue(bedrock={"api_key": "k", **config})


@pytest.mark.parametrize(
    "entry", [{"key": "a", "weight": 0}, {"name": "x"}, {"key": "a", "name": "not a name"}, {"key": "a\nb"}]
)
def test_what_no_key_can_be(entry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="keys"):
        ProviderConfig.model_validate({"keys": [entry]})
