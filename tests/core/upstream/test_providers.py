"""The catalogue: built-in providers, what the configuration changes, and who gets which key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from helicone_gw.config.reserved import RESERVED_SEGMENTS
from helicone_gw.errors import ConfigError
from helicone_gw.upstream.builtin import built_ins
from helicone_gw.upstream.providers import Catalogue
from helicone_gw.upstream.urls import parse_url

LONG = "https://api.openai.com/v1/files?after=" + 3000 * "x" + "\\#"
SECRET = "sk-configured-key-0123456789"


@dataclass
class Config:
    api_key: SecretStr | None = None
    base_url: str | None = None
    dialect: str | None = None
    headers: Mapping[str, str | SecretStr] | None = field(default_factory=dict)
    auth: str | None = None
    include_usage: bool | None = None
    api_version: str | None = None
    region: str | None = None
    aws: Any = None
    google: Any = None
    operations: tuple[str, ...] | None = None
    keys: tuple[SecretStr, ...] = ()
    deployments: Mapping[str, Any] = field(default_factory=dict)


def configured(**providers: Config) -> Catalogue:
    return Catalogue.build({name.replace("_", "-"): config for name, config in providers.items()})


def keyed(**changes: Any) -> Config:
    return Config(api_key=SecretStr(SECRET), **changes)


def problems(**providers: Config) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        configured(**providers)
    return caught.value.problems


def test_every_built_in_base_url_is_canonical_and_its_own_approved_domain() -> None:
    catalogue = Catalogue.build({})
    for name in catalogue.names():
        provider = catalogue.get(name)
        assert provider is not None
        if provider.base_url is not None:
            parsed = parse_url(provider.base_url)
            assert parsed.url == provider.base_url
            assert parsed.scheme == "https"
            assert catalogue.provider_for_url(provider.base_url) is provider, name


def test_every_approved_domain_belongs_to_one_provider() -> None:
    domains = [domain for entry in built_ins().providers.values() for domain in entry.domains]
    assert len(domains) == len(set(domains))
    for domain in domains:
        host = domain.replace("*", "some-resource")
        assert parse_url(f"https://{host}").host == host


def test_names_and_aliases_are_unique_and_none_is_a_path_of_the_gateway() -> None:
    words = [word for name, entry in built_ins().providers.items() for word in (name, *entry.aliases)]
    assert len(words) == len(set(words))
    assert not set(words) & set(RESERVED_SEGMENTS)


@pytest.mark.parametrize(
    ("word", "provider"),
    [
        ("openai", "openai"),
        ("oai", "openai"),
        ("anthropic", "anthropic"),
        ("google", "gemini"),
        ("google-ai-studio", "gemini"),
        ("x", "xai"),
        ("groq", "groq"),
        ("together", "together"),
        ("llama", "llama"),
        ("nvidia", "nvidia"),
        ("perplexity", "perplexity"),
        ("novita", "novita"),
    ],
)
def test_helicones_host_labels_and_model_slugs_mean_their_providers(word: str, provider: str) -> None:
    catalogue = Catalogue.build({})
    assert catalogue.prefixes()[word] == provider
    found = catalogue.get(word)
    assert found is not None
    assert found.name == provider


SLUGS = """
anthropic azure baseten bedrock cerebras chutes cohere deepinfra deepseek fireworks google-ai-studio groq mistral nebius
novita openai openrouter perplexity vertex xai
"""


@pytest.mark.parametrize("slug", SLUGS.split())
def test_every_provider_slug_of_helicones_model_strings_is_known(slug: str) -> None:
    assert Catalogue.build({}).get(slug) is not None


def test_dialects_tell_the_dialect_of_every_provider() -> None:
    dialects = Catalogue.build({}).dialects()
    assert dialects["openai"] == dialects["groq"] == "openai"
    assert dialects["anthropic"] == "anthropic"
    assert dialects["gemini"] == "gemini"
    assert set(dialects.values()) <= set(built_ins().dialects)


def test_azure_understands_openai_requests_and_ollama_three_dialects() -> None:
    catalogue = Catalogue.build({"ollama": Config()})
    azure, ollama = catalogue.get("azure"), catalogue.get("ollama")
    assert azure is not None
    assert azure.dialects == ("openai",)
    assert ollama is not None
    assert set(ollama.dialects) == {"ollama", "openai", "anthropic"}


def test_providers_that_refuse_stream_options_are_not_asked_for_usage() -> None:
    catalogue = Catalogue.build({})
    flags = {name: catalogue.get(name).include_usage for name in ("openai", "groq", "mistral", "perplexity")}  # type: ignore[union-attr]
    assert flags == {"openai": True, "groq": True, "mistral": False, "perplexity": False}


def test_a_configured_key_makes_a_built_in_usable_and_an_empty_one_does_not() -> None:
    catalogue = configured(openai=keyed(), anthropic=Config(api_key=SecretStr("")), groq=Config(api_key=None))
    assert catalogue.is_configured("openai")
    assert catalogue.is_configured("oai")
    assert not catalogue.is_configured("anthropic")
    assert not catalogue.is_configured("groq")
    assert not catalogue.is_configured("mistral")
    assert not catalogue.is_configured("no-such")


def test_the_hint_names_the_variable_and_the_setting() -> None:
    catalogue = Catalogue.build({})
    openai, azure = catalogue.get("openai"), catalogue.get("azure")
    assert openai is not None
    assert openai.hint == "set OPENAI_API_KEY or providers.openai.api_key"
    assert azure is not None
    assert azure.hint == "configure providers.azure with its base_url"


def test_servers_on_this_machine_are_out_of_reach_until_configured() -> None:
    for name, url in (("ollama", "http://127.0.0.1:11434"), ("vllm", "http://127.0.0.1:8000/v1")):
        provider = Catalogue.build({}).get(name)
        assert provider is not None
        assert provider.base_url is None
        assert Catalogue.build({}).provider_for_url(url) is None
        catalogue = Catalogue.build({name: Config()})
        provider = catalogue.get(name)
        assert provider is not None
        assert provider.base_url == url
        assert catalogue.is_configured(name)


def test_the_demo_provider_exists_only_where_it_is_named() -> None:
    assert Catalogue.build({}).get("demo") is None
    catalogue = Catalogue.build({"demo": Config()})
    demo = catalogue.get("demo")
    assert demo is not None
    assert demo.in_process
    assert catalogue.is_configured("demo")


def test_a_provider_of_ones_own() -> None:
    catalogue = configured(local=Config(base_url="http://127.0.0.1:9000/v1/", dialect="openai"))
    local = catalogue.get("local")
    assert local is not None
    assert (local.base_url, local.dialect, local.auth) == ("http://127.0.0.1:9000/v1", "openai", "bearer")
    assert catalogue.prefixes()["local"] == "local"
    assert catalogue.is_configured("local")
    assert catalogue.provider_for_url("http://127.0.0.1:9000/v1/chat/completions") is local


def test_an_anthropic_like_provider_of_ones_own_authenticates_as_anthropic_does() -> None:
    provider = configured(house=Config(base_url="https://llm.example.com", dialect="anthropic")).get("house")
    assert provider is not None
    assert provider.auth == "x-api-key"
    assert provider.default_headers == {"anthropic-version": "2023-06-01"}


def test_a_built_in_can_be_moved_and_changed() -> None:
    catalogue = configured(
        openai=Config(
            api_key=SecretStr(SECRET),
            base_url="https://proxy.example.com/openai/v1",
            auth="api-key",
            include_usage=False,
            headers={"OpenAI-Organization": SecretStr("org-1")},
        )
    )
    openai = catalogue.get("openai")
    assert openai is not None
    assert openai.base_url == "https://proxy.example.com/openai/v1"
    assert openai.auth == "api-key"
    assert openai.include_usage is False
    assert openai.headers == {"openai-organization": "org-1"}
    assert openai.dialect == "openai"


def test_an_alias_configures_the_provider_that_it_means() -> None:
    catalogue = configured(google=keyed())
    assert catalogue.is_configured("gemini")
    assert catalogue.credential("gemini", "https://generativelanguage.googleapis.com") == SECRET


def test_an_alias_with_its_own_address_and_dialect_is_another_provider_and_wins_the_word() -> None:
    catalogue = configured(gemini=keyed(), google=Config(base_url="https://llm.example.com/v1", dialect="openai"))
    assert catalogue.prefixes()["google"] == "google"
    assert catalogue.prefixes()["gemini"] == "gemini"
    assert catalogue.prefixes()["google-ai-studio"] == "gemini"


def test_regions_choose_the_host() -> None:
    catalogue = configured(bedrock=keyed(region="eu-central-1"), vertex=keyed(region="europe-west4"))
    assert catalogue.get("bedrock").base_url == "https://bedrock-runtime.eu-central-1.amazonaws.com"  # type: ignore[union-attr]
    assert catalogue.get("vertex").base_url == "https://europe-west4-aiplatform.googleapis.com"  # type: ignore[union-attr]


def test_a_built_in_in_another_dialect_keeps_its_key_and_domains_only() -> None:
    catalogue = configured(
        gemini=keyed(base_url="https://generativelanguage.googleapis.com/v1beta/openai", dialect="openai")
    )
    gemini = catalogue.get("gemini")
    assert gemini is not None
    assert (gemini.dialect, gemini.auth) == ("openai", "bearer")
    assert gemini.native_paths == ()
    assert catalogue.credential("google", gemini.base_url or "") == SECRET


class TestProblems:
    def test_every_problem_is_reported_at_once_and_none_shows_a_secret(self) -> None:
        found = problems(
            mistrall=Config(),
            local=Config(base_url="ftp://x"),
            groq=Config(dialect="klingon"),
            openai=Config(auth="telepathy"),
            cohere=Config(api_key=SecretStr("sk-with\nnewline")),
            xai=Config(headers={"bad name": "x"}),
            deepseek=Config(base_url="https://user:pass@host/v1"),
            fireworks=Config(base_url="https://host/v1?x=1"),
        )
        assert len(found) == 8
        assert "did you mean 'mistral'?" in found[0]
        assert [line.partition(":")[0] for line in found[1:]] == [
            "providers.local.base_url",
            "providers.groq.dialect",
            "providers.openai.auth",
            "providers.cohere.api_key",
            "providers.xai.headers.bad name",
            "providers.deepseek.base_url",
            "providers.fireworks.base_url",
        ]
        assert "newline" not in "".join(found)
        assert "pass@" not in "".join(found)

    def test_one_provider_under_two_names(self) -> None:
        assert "same provider as providers.openai" in problems(openai=keyed(), oai=keyed())[0]

    def test_a_region_that_would_break_out_of_the_host_name(self) -> None:
        assert "providers.bedrock.region" in problems(bedrock=Config(region="x/y@evil.example"))[0]


class TestCredential:
    def test_is_given_for_the_providers_own_origin_however_it_is_written(self) -> None:
        catalogue = configured(openai=keyed())
        for origin in (
            "https://api.openai.com",
            "https://API.OpenAI.com:443/v1/files?x=1",
            "https://api.openai.com.",
            LONG,
        ):
            assert catalogue.credential("openai", origin) == SECRET

    @pytest.mark.parametrize(
        "origin",
        [
            "http://api.openai.com",
            "https://api.openai.com:8443",
            "https://eu.api.openai.com",
            "https://api.openai.com.evil.example",
            "https://api.openai.com@evil.example",
            "https://api.openai.com\\@evil.example",
            "https://api.openai.com#@evil.example",
            "https://evil.example?https://api.openai.com",
            "https://evil.example/https://api.openai.com",
            "not a url",
        ],
    )
    def test_is_given_for_no_other(self, origin: str) -> None:
        assert configured(openai=keyed()).credential("openai", origin) is None

    def test_follows_a_moved_base_url(self) -> None:
        catalogue = configured(openai=keyed(base_url="http://127.0.0.1:4010"))
        assert catalogue.credential("openai", "http://127.0.0.1:4010/chat/completions") == SECRET
        assert catalogue.credential("openai", "https://api.openai.com") is None

    def test_of_azure_is_for_the_configured_resource_and_not_for_the_suffix(self) -> None:
        catalogue = configured(azure=keyed(base_url="https://mine.openai.azure.com"))
        assert catalogue.credential("azure", "https://mine.openai.azure.com") == SECRET
        assert catalogue.credential("azure", "https://theirs.openai.azure.com") is None
        assert configured(azure=keyed()).credential("azure", "https://mine.openai.azure.com") is None

    def test_of_another_provider_is_never_given(self) -> None:
        catalogue = configured(openai=keyed())
        assert catalogue.credential("anthropic", "https://api.openai.com") is None
        assert catalogue.credential("nobody", "https://api.openai.com") is None

    def test_never_shows(self) -> None:
        catalogue = configured(openai=Config(api_key=SecretStr(SECRET), headers={"x-secret": SecretStr(SECRET)}))
        assert SECRET not in repr(catalogue) + repr(catalogue.get("openai"))


class TestProviderForURL:
    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("https://api.openai.com", "openai"),
            ("https://api.groq.com/openai/v1", "groq"),
            ("https://res.openai.azure.com/openai/deployments/x", "azure"),
            ("https://us-central1-aiplatform.googleapis.com", "vertex"),
            ("https://aiplatform.googleapis.com", "vertex"),
            ("https://bedrock-runtime.us-east-1.amazonaws.com", "bedrock"),
            ("https://model-abc.api.baseten.co", "baseten"),
            ("https://gateway.ai.cloudflare.com/v1/a/b/openai", "cloudflare"),
        ],
    )
    def test_finds_approved_domains(self, url: str, name: str) -> None:
        provider = Catalogue.build({}).provider_for_url(url)
        assert provider is not None
        assert provider.name == name

    @pytest.mark.parametrize(
        "url",
        [
            "http://api.openai.com",
            "https://api.openai.com:8443",
            "https://openai.azure.com",
            "https://a.b.openai.azure.com",
            "https://evilopenai.azure.com",
            "https://api.openai.com.evil.example",
            "https://storage.googleapis.com",
            "https://bedrock-runtime.us-east-1.evil.amazonaws.com.example",
            "https://bedrock-runtime.a.b.amazonaws.com",
            "https://demo.invalid",
            "",
        ],
    )
    def test_and_nothing_that_merely_looks_alike(self, url: str) -> None:
        assert Catalogue.build({}).provider_for_url(url) is None

    def test_of_two_configured_on_one_origin_the_path_decides(self) -> None:
        catalogue = configured(
            one=Config(base_url="https://llm.example.com/one/v1", dialect="openai"),
            two=Config(base_url="https://llm.example.com/two", dialect="anthropic"),
        )
        assert catalogue.provider_for_url("https://llm.example.com/two/v1/messages") is catalogue.get("two")
        assert catalogue.provider_for_url("https://llm.example.com/one/v1") is catalogue.get("one")
        assert catalogue.provider_for_url("https://llm.example.com/twofold") is catalogue.get("one")
