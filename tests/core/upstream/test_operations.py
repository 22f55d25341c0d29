"""What providers offer, natively and by translation, and how the rest is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from helicone_gw import Headers, HeliconeHeaders, Request, Secret
from helicone_gw.config import ProviderConfig
from helicone_gw.ingress.offered import GROUPS, OPERATIONS, offered_name
from helicone_gw.upstream.builtin import built_ins
from helicone_gw.upstream.operations import refusal, same_kind, way
from helicone_gw.upstream.provider import Provider
from helicone_gw.upstream.providers import Catalogue

DIALECTS = {"messages": "anthropic", "generate_content": "gemini", "embed_content": "gemini"}


def asked(operation: str, path: str | None = None, **changes: Any) -> Request:
    name = operation.partition("/")[0]
    dialect = changes.pop("dialect", DIALECTS.get(name, "openai"))
    body = b"{}"
    return Request(
        "POST", path or f"/v1/{operation}", "", Headers(), body, dialect, name, HeliconeHeaders(), model="m"
    ).replace(**changes)


def provider(name: str, **config: Any) -> Provider:
    found = Catalogue.build({name: ProviderConfig(**config)}).get(name)
    assert found is not None
    return found


def test_every_entry_of_the_catalogue_uses_names_that_exist() -> None:
    for name, entry in built_ins().providers.items():
        listed = {*entry.operations, *(entry.lacks or ()), *entry.addressed}
        assert listed <= OPERATIONS | GROUPS.keys(), name
        known = Catalogue.build({name: ProviderConfig(base_url="https://llm.example.com/v1")}).get(name)
        assert known is not None
        assert not known.operations & known.lacks, name


@pytest.mark.parametrize(
    ("operation", "path", "name"),
    [
        ("images", "/v1/images/generations", "images/generations"),
        ("audio", "/openai/deployments/d/audio/speech", "audio/speech"),
        ("stream_generate_content", "/v1beta/models/m:streamGenerateContent", "generate_content"),
        ("responses.other", "/v1/responses/resp_1", "responses"),
        ("other", "/v1/anything", "other"),
    ],
)
def test_names(operation: str, path: str, name: str) -> None:
    assert offered_name(operation, path) == name


@pytest.mark.parametrize(
    ("name", "operation", "expected"),
    [
        ("openai", "responses", "native"),
        ("openai", "rerank", None),
        ("openai", "messages", "translated"),
        ("openai", "audio/speech", "native"),
        ("groq", "audio/transcriptions", "native"),
        ("groq", "completions", "translated"),
        ("groq", "embeddings", None),
        ("groq", "embed_content", None),
        ("groq", "images/generations", None),
        ("mistral", "responses", "translated"),
        ("mistral", "moderations", "native"),
        ("together", "rerank", "native"),
        ("together", "images/generations", "native"),
        ("together", "images/variations", "native"),
        ("cerebras", "completions", "native"),
        ("deepseek", "embeddings", None),
        ("openrouter", "messages", "native"),
        ("azure", "images/edits", "native"),
        ("azure", "moderations", None),
        ("anthropic", "chat", "translated"),
        ("anthropic", "embeddings", None),
        ("anthropic", "images/generations", None),
        ("gemini", "embeddings", "translated"),
        ("gemini", "embed_content", "native"),
        ("gemini", "rerank", None),
        ("cohere", "rerank", "translated"),
        ("cohere", "moderations", None),
        ("bedrock", "embeddings", "translated"),
        ("vertex", "embeddings", "translated"),
        ("vertex", "chat", "translated"),
        ("replicate", "chat", "translated"),
        ("replicate", "embeddings", None),
        ("ollama", "embeddings", "native"),
        ("demo", "moderations", None),
        ("cloudflare", "rerank", "native"),
        ("openai", "fine_tuning", "native"),
    ],
)
def test_what_built_in_providers_offer(name: str, operation: str, expected: str | None) -> None:
    assert way(provider(name), asked(operation)) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("anthropic", "native"), ("gemini", "native"), ("openai", "translated")]
)
def test_tokens_are_counted_by_the_three_that_can(name: str, expected: str) -> None:
    for dialect in ("anthropic", "gemini"):
        own = provider(name).dialect == dialect
        found = way(provider(name), asked("count_tokens", dialect=dialect))
        assert found == (expected if own or name == "openai" else "translated")
    assert way(provider("groq"), asked("count_tokens", dialect="anthropic")) is None
    without = provider("house", base_url="https://llm.example.com", dialect="anthropic", operations=("messages",))
    assert way(without, asked("count_tokens", dialect="anthropic")) is None
    assert way(without, asked("count_tokens", dialect="gemini")) is None


@pytest.mark.parametrize(
    ("name", "operation", "expected"),
    [
        ("anthropic", "chat", "native"),
        ("anthropic", "responses", "translated"),
        ("anthropic", "embeddings", None),
        ("gemini", "chat", "translated"),
        ("vertex", "generate_content", "native"),
        ("cohere", "chat", "translated"),
        ("mistral", "responses", "translated"),
        ("openai", "rerank", None),
        ("cohere", "batches", None),
        ("anthropic", "containers", "native"),
        ("groq", "messages", "translated"),
    ],
)
def test_an_address_that_names_the_provider(name: str, operation: str, expected: str | None) -> None:
    assert way(provider(name), asked(operation, provider=name)) == expected


def test_a_provider_of_the_configuration_offers_whatever_is_asked_for() -> None:
    house = provider("house", base_url="https://llm.example.com/v1", dialect="openai")
    assert all(way(house, asked(name)) == "native" for name in ("chat", "rerank", "moderations", "audio/speech"))
    assert way(house, asked("messages")) == "translated"
    assert way(house, asked("message_batches", dialect="anthropic")) is None


def test_unless_it_lists_what_it_offers() -> None:
    house = provider(
        "house", base_url="https://llm.example.com/v1", dialect="openai", operations=("embeddings", "audio")
    )
    assert way(house, asked("embeddings")) == way(house, asked("audio/speech")) == "native"
    assert way(house, asked("embed_content")) == "translated"
    assert way(house, asked("chat")) is way(house, asked("messages")) is way(house, asked("rerank")) is None
    assert way(house, asked("other", path="/v1/anything")) == "native"
    codex = provider("codex", base_url="https://llm.example.com/v1", dialect="openai", operations=("responses",))
    assert way(codex, asked("chat")) == way(codex, asked("messages")) == "translated"


def test_what_a_built_in_one_lists_is_added() -> None:
    groq = provider("groq", operations=("embeddings",))
    assert way(groq, asked("embeddings")) == way(groq, asked("chat")) == "native"
    assert way(groq, asked("rerank")) is None


def test_operations_that_do_not_exist_are_told() -> None:
    with pytest.raises(ValidationError, match="should be one of audio, audio/speech"):
        ProviderConfig(operations=("chats", "chat"))


def test_a_moved_provider_may_have_more() -> None:
    moved = provider("openai", base_url="https://llm.example.com/v1")
    assert way(moved, asked("rerank")) == "native"
    assert way(provider("mistral", base_url="https://llm.example.com/v1"), asked("responses")) == "translated"
    assert way(provider("openai", base_url="https://eu.api.openai.com/v1"), asked("rerank")) is None


def test_deployments_offer_what_their_provider_does() -> None:
    config = ProviderConfig(operations=("embeddings",), keys=(Secret("k1"), Secret("k2")))
    (place, _) = Catalogue.build({"groq": config}).deployments("groq")
    assert way(place.provider, asked("embeddings")) == "native"


def test_a_refusal_names_who_offers_it() -> None:
    catalogue = Catalogue.build({"cohere": ProviderConfig(api_key=Secret("co")), "anthropic": ProviderConfig()})
    error = refusal(provider("openai"), asked("rerank"), catalogue.all())
    assert (error.status, error.code) == (400, "operation_not_offered")
    assert error.message == (
        "Provider 'openai' does not offer 'rerank' (POST /v1/rerank). Here it is offered by cohere."
    )
    nobody = Catalogue.build({"anthropic": ProviderConfig()})
    error = refusal(provider("anthropic"), asked("embeddings"), nobody.all())
    assert "Elsewhere it is offered by openai, gemini" in error.message
    assert "moderations" in refusal(provider("demo"), asked("moderations"), ()).message


def test_operations_of_one_kind() -> None:
    assert same_kind(asked("messages"), ("chat",))
    assert same_kind(asked("count_tokens", dialect="anthropic"), ("chat",))
    assert same_kind(asked("embed_content"), ("embeddings",))
    assert not same_kind(asked("chat"), ("embeddings", "rerank"))
    assert same_kind(asked("audio/speech"), ("audio/speech",))
