"""From a request and a target to a call: its body, headers and address."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw import (
    BadRequest,
    Exchange,
    Headers,
    ProviderCredential,
    Request,
    Secret,
    Target,
)
from helicone_gw.config import ProviderConfig
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw.pipeline.attempts import Call
from helicone_gw.upstream.prepare import ITSELF, Preparer, speaks
from helicone_gw.upstream.providers import Catalogue

OWN = "sk-own-of-the-client"
CONFIGURED = {name: f"sk-configured-for-{name}" for name in ("openai", "groq", "anthropic", "gemini", "mistral")}
LISTED = "http://127.0.0.1:9999"
"""An allowed target that belongs to no provider."""

PROVIDERS = {
    **{name: ProviderConfig(api_key=Secret(key)) for name, key in CONFIGURED.items()},
    "house": ProviderConfig(base_url="http://127.0.0.1:8000/v1", dialect="openai", auth="none"),
    "byquery": ProviderConfig(base_url="http://127.0.0.1:8001", api_key=Secret("k&ey"), auth="query-key"),
}


def preparer(*allowed: str, **providers: ProviderConfig) -> Preparer:
    return Preparer(Catalogue.build(providers or PROVIDERS), allowed or ("127.0.0.1:9999",))


def exchange(credential: ProviderCredential | None = None, **changes: Any) -> Exchange:
    helicone = changes.pop("helicone", {})
    body = changes.pop("body", b'{"model": "gpt-4o", "messages": [], "temperature": 0.50}')
    request = Request(
        "POST",
        "/v1/chat/completions",
        "",
        Headers({"content-type": "application/json"}),
        body,
        "openai",
        "chat",
        parse_helicone_headers(Headers(helicone)),
        model="gpt-4o",
    )
    one = Exchange("id", request.replace(**changes), 0.0)
    one.credential = credential
    return one


async def prepared(one: Exchange, target: Target, prepare: Preparer | None = None) -> Call:
    return await (prepare or preparer())(one, target)


def own(provider: str = "openai", header: str = "authorization") -> ProviderCredential:
    return ProviderCredential(header, f"Bearer {OWN}" if header == "authorization" else OWN, provider)


# Body


async def test_the_body_is_spliced_where_the_model_differs_and_passes_where_it_does_not() -> None:
    one = exchange()
    assert (await prepared(one, Target("openai", "gpt-4o"))).request.body is one.request.body
    call = await prepared(one, Target("openai", "gpt-4o-2024"))
    assert call.request.body == b'{"model": "gpt-4o-2024", "messages": [], "temperature": 0.50}'
    assert (await prepared(one, Target("openai"))).request.body is one.request.body


async def test_the_body_says_the_model_that_a_plugin_has_the_request_ask_for() -> None:
    one = exchange(body=b'{"model": "gpt-4o, o3", "messages": []}', model="gpt-4o, o3")
    one.request = one.request.replace(model="o3")
    assert (await prepared(one, Target("openai", "o3"))).request.body == b'{"model": "o3", "messages": []}'
    path = "/v1beta/models/gemini-x:generateContent"
    other = exchange(dialect="gemini", operation="generate_content", path=path, model="gemini-x")
    other.request = other.request.replace(model="gemini-y")
    assert "/models/gemini-y:" in (await prepared(other, Target("gemini", "gemini-y"))).request.url


async def test_geminis_model_is_in_the_path() -> None:
    one = exchange(
        dialect="gemini",
        operation="generate_content",
        path="/v1beta/models/gemini-x:generateContent",
        model="gemini-x",
        body=b'{"contents": []}',
    )
    call = await prepared(one, Target("gemini", "gemini-2.5-pro"))
    assert call.request.url.endswith("/v1beta/models/gemini-2.5-pro:generateContent")
    assert call.request.body == b'{"contents": []}'
    assert call.request.headers.get("x-goog-api-key") == CONFIGURED["gemini"]


async def test_a_realtime_sessions_model_is_in_the_query() -> None:
    one = exchange(
        method="GET",
        path="/v1/realtime",
        query="a=%41&model=my%2Fvoice&b",
        operation="realtime",
        model="my/voice",
        body=b"",
    )
    call = await prepared(one, Target("openai", "gpt-realtime"))
    assert call.request.url == "https://api.openai.com/v1/realtime?a=%41&model=gpt-realtime&b"
    same = await prepared(one, Target("openai", "my/voice"))
    assert same.request.url.endswith("?a=%41&model=my%2Fvoice&b")


STREAMED = b'{"model": "gpt-4o", "stream": true}'


async def test_usage_is_asked_for_in_streams_only_and_only_if_the_client_did_not() -> None:
    call = await prepared(exchange(stream=True, body=STREAMED), Target("openai", "gpt-4o"))
    assert call.added_usage
    assert isinstance(call.request.body, bytes)
    assert json.loads(call.request.body)["stream_options"] == {"include_usage": True}
    unary = await prepared(exchange(), Target("openai", "gpt-4o"))
    assert not unary.added_usage
    asked = b'{"model": "gpt-4o", "stream": true, "stream_options": {"include_usage": true}}'
    call = await prepared(exchange(stream=True, body=asked), Target("openai", "gpt-4o"))
    assert call.request.body == asked
    assert not call.added_usage


async def test_usage_is_not_asked_of_a_provider_that_refused_it_or_is_known_not_to_know_it() -> None:
    prepare = preparer()
    target = Target("openai", "gpt-4o")
    prepare.usage_refused(target)
    call = await prepared(exchange(stream=True, body=STREAMED), target, prepare)
    assert call.request.body == STREAMED
    assert (await prepared(exchange(stream=True, body=STREAMED), Target("groq", "gpt-4o"), prepare)).added_usage
    without = {**PROVIDERS, "house": ProviderConfig(base_url="http://127.0.0.1:8000", auth="none", include_usage=False)}
    call = await prepared(exchange(stream=True, body=STREAMED), Target("house", "gpt-4o"), preparer(**without))
    assert not call.added_usage


async def test_an_upload_goes_as_it_comes() -> None:
    one = exchange(operation="files", path="/v1/files", body=None)

    async def pieces() -> Any:
        yield b"x"

    one._upload, one._upload_length = pieces(), 1
    call = await prepared(one, Target("openai"))
    assert call.request.body is one._upload
    assert call.request.length == 1
    assert "accept-encoding" not in call.request.headers


# Headers


@pytest.mark.parametrize(
    ("asked", "stream", "sent"),
    [(None, False, "identity"), ("gzip, br", False, "gzip"), ("gzip", True, "identity"), ("br", False, "identity")],
)
async def test_only_codings_that_the_gateway_reads_are_asked_for(asked: str | None, stream: bool, sent: str) -> None:
    headers = Headers({} if asked is None else {"accept-encoding": asked})
    call = await prepared(exchange(headers=headers, stream=stream), Target("openai", "gpt-4o"))
    assert call.request.headers.get_all("accept-encoding") == [sent]


async def test_nothing_of_ours_or_of_the_clients_connection_goes_on() -> None:
    sent = {
        "helicone-auth": "Bearer hk",
        "helicone-property-a": "1",
        "connection": "x-hop",
        "x-hop": "1",
        "host": "gateway",
        "content-length": "5",
        "transfer-encoding": "chunked",
        "authorization": "Bearer stale",
        "x-custom": "kept",
    }
    call = await prepared(exchange(headers=Headers(sent)), Target("openai", "gpt-4o"))
    names = [name for name, _ in call.request.headers]
    assert names == ["x-custom", "authorization", "accept-encoding"]
    assert call.request.headers.get("authorization") == f"Bearer {CONFIGURED['openai']}"


async def test_more_patience_for_who_asks_for_it() -> None:
    patient = exchange(helicone={"Helicone-Increase-Timeout": "true"})
    assert (await prepared(patient, Target("openai", "gpt-4o"))).request.first_byte_timeout == 1800
    assert (await prepared(exchange(), Target("openai", "gpt-4o"))).request.first_byte_timeout is None


# Addresses


async def test_a_provider_without_an_address() -> None:
    for name in ("azure", "nobody"):
        with pytest.raises(BadRequest, match=f"providers.{name}.base_url"):
            await prepared(exchange(), Target(name, "gpt-4o"))


async def test_another_dialect_is_translated_unless_the_client_addressed_the_provider() -> None:
    body = b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "seed": 1}'
    call = await prepared(exchange(body=body), Target("anthropic", "claude-sonnet-4-5"))
    assert call.translation is not None
    assert (call.translation.dialect, call.translation.outgoing.operation) == ("anthropic", "messages")
    assert call.request.url.endswith("/v1/messages")
    assert b"claude-sonnet-4-5" in (call.request.body or b"")  # type: ignore[operator]
    assert call.translation.loss.paths == ("seed",)
    anthropic = Catalogue.build(PROVIDERS).get("anthropic")
    assert anthropic is not None
    assert not speaks(anthropic, exchange().request)
    assert speaks(anthropic, exchange(provider="anthropic").request)


async def test_a_translation_without_loss_is_a_matter_of_configuration_and_of_the_request() -> None:
    body = b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "seed": 1}'
    strict = Preparer(Catalogue.build(PROVIDERS), (), strict_translation=True)
    with pytest.raises(BadRequest, match="'seed'") as refused:
        await prepared(exchange(body=body), Target("anthropic", "claude"), strict)
    assert refused.value.code == "translation_loss"
    lax = exchange(body=body, helicone={"Helicone-Translation-Strict": "false"})
    assert (await prepared(lax, Target("anthropic", "claude"), strict)).translation is not None


async def test_an_operation_that_the_provider_lacks_is_refused_before_any_call() -> None:
    one = exchange(path="/v1/embeddings", operation="embeddings", body=b'{"input": "hi", "model": "m"}')
    with pytest.raises(BadRequest, match="does not offer 'embeddings'") as refused:
        await prepared(one, Target("anthropic", "claude"))
    assert refused.value.code == "operation_not_offered"


@pytest.mark.parametrize(("provider", "operation"), [("openai", "rerank"), ("groq", "embeddings")])
async def test_an_operation_of_its_own_dialect_may_be_lacking_too(provider: str, operation: str) -> None:
    one = exchange(path=f"/v1/{operation}", operation=operation, body=b'{"query": "q", "input": "hi", "model": "m"}')
    with pytest.raises(BadRequest, match=f"does not offer '{operation}'"):
        await prepared(one, Target(provider, "m"))
    by_name = exchange(path=f"/v1/{operation}", operation=operation, provider=provider)
    with pytest.raises(BadRequest, match=f"does not offer '{operation}'"):
        await prepared(by_name, Target(provider, "m"))


async def test_fields_of_one_api_do_not_go_to_another() -> None:
    body = b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}'
    headers = {"openai-organization": "org-1", "content-type": "application/json; charset=utf-8", "x-custom": "kept"}
    call = await prepared(exchange(body=body, headers=Headers(headers)), Target("anthropic", "claude"))
    assert call.request.headers.get("openai-organization") is None
    assert call.request.headers.get("anthropic-version") == "2023-06-01"
    assert call.request.headers.get("content-type") == "application/json"
    assert call.request.headers.get("x-custom") == "kept"


async def test_the_gateways_own_list_needs_no_credential() -> None:
    one = exchange(method="GET", path="/v1/models", operation="models", body=b"", model=None)
    call = await prepared(one, Target(ITSELF.name), Preparer(Catalogue.build({}), ()))
    assert call.request.url == "http://helicone-gw.invalid/openai/v1/models"


async def test_a_provider_of_responses_alone_is_asked_through_them() -> None:
    config = ProviderConfig(base_url="https://llm.example.com/v1", dialect="openai", operations=("responses",))
    codex = Preparer(Catalogue.build({"codex": config}), ())
    body = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
    call = await prepared(exchange(body=body), Target("codex", "m"), codex)
    assert call.request.url == "https://llm.example.com/v1/responses"
    assert json.loads(call.request.body)["input"]  # type: ignore[arg-type]


@pytest.mark.parametrize(("key", "field"), [("AIza-own", "x-goog-api-key"), ("ya29.token", "authorization")])
async def test_googles_keys_go_where_its_own_api_wants_them(key: str, field: str) -> None:
    body = b'{"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}'
    one = exchange(body=body, provider="gemini", model="gemini-2.5-flash")
    one.credential = ProviderCredential("authorization", f"Bearer {key}", "gemini")
    call = await prepared(one, Target("gemini", "gemini-2.5-flash"), Preparer(Catalogue.build({}), ()))
    assert call.request.url.endswith("/v1beta/models/gemini-2.5-flash:generateContent")
    assert (call.request.headers.get(field) or "").removeprefix("Bearer ") == key
    assert sum(name in call.request.headers for name in ("authorization", "x-goog-api-key")) == 1
