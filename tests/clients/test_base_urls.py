"""Every base URL that an SDK may be given, with and without a gateway key, and what each key may do."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from helicone_gw.testing import ScriptedProvider, of_json
from helicone_gw.testing.dialects import anthropic as messages
from helicone_gw.testing.dialects import embeddings, openai_chat
from tests.clients.gateways import (
    ALICE,
    ANTHROPIC_KEY,
    CI,
    OPENAI_KEY,
    Connect,
    Flavour,
    Running,
    ours,
    sent_to_provider,
)

CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}
MESSAGE: dict[str, Any] = {**CHAT, "model": "claude-test", "max_tokens": 64}

OPENAI_BASES = ["/v1", "", "/openai/v1", "/openai", "/oai/v1", "/v1/gateway/oai/v1", "/v1/"]
ANTHROPIC_BASES = ["", "/anthropic", "/v1/gateway/anthropic"]


@pytest.mark.parametrize("base", OPENAI_BASES)
async def test_openai_at_every_base_url(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider, base: str
) -> None:
    client = connect("openai", open_gateway.url + base).sdk
    provider.enqueue(openai_chat.answer("Hello!"), openai_chat.answer("Hello!"), embeddings.answer())
    completion = await client.chat.completions.create(**CHAT)
    stream = await client.chat.completions.create(**CHAT, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    await client.embeddings.create(model="text-embedding-3-small", input="x")
    assert completion.choices[0].message.content == text == "Hello!"
    assert [request.target for request in provider.requests] == [
        "/openai/v1/chat/completions",
        "/openai/v1/chat/completions",
        "/openai/v1/embeddings",
    ]
    assert {request.headers.get("authorization") for request in provider.requests} == {"Bearer sk-of-the-client"}


@pytest.mark.parametrize("base", ["/v1", "/openai/v1", "/openai"])
async def test_paths_beside_the_operations(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider, base: str
) -> None:
    provider.enqueue(of_json({"object": "list", "data": [], "has_more": False}))
    client = connect("openai", open_gateway.url + base).sdk
    await client.files.list()
    assert provider.requests[0].target == "/openai/v1/files"


@pytest.mark.parametrize("base", ANTHROPIC_BASES)
async def test_anthropic_at_every_base_url(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider, base: str
) -> None:
    client = connect("anthropic", open_gateway.url + base).sdk
    provider.enqueue(messages.answer("Hello!"), messages.answer("Hello!"))
    message = await client.messages.create(**MESSAGE)
    async with client.messages.stream(**MESSAGE) as stream:
        assert await stream.get_final_text() == message.content[0].text == "Hello!"
    assert [request.target for request in provider.requests] == ["/anthropic/v1/messages"] * 2


async def test_a_models_name_may_choose_the_provider(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    """A credential of the client's belongs to the provider of the path's dialect, and goes to no other."""
    client = connect("openai", f"{open_gateway.url}/away/v1").sdk
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(**CHAT)
    assert ours(caught.value.response.headers)["helicone-provider"] == "away"
    assert not provider.requests


# With keys


@pytest.mark.parametrize("base", OPENAI_BASES)
async def test_only_a_gateway_key_uses_the_configured_key(
    connect: Connect, keyed_gateway: Running, provider: ScriptedProvider, base: str
) -> None:
    provider.enqueue(openai_chat.reply())
    client = connect("openai", keyed_gateway.url + base, api_key=ALICE).sdk
    await client.chat.completions.create(**CHAT)
    assert provider.requests[0].headers.get("authorization") == f"Bearer {OPENAI_KEY}"
    assert ALICE.encode() not in sent_to_provider(provider.requests[0])


@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
async def test_a_gateway_key_beside_a_providers(
    connect: Connect, keyed_gateway: Running, provider: ScriptedProvider, base: str, flavour: Flavour
) -> None:
    provider.enqueue(openai_chat.reply())
    auth = {"Helicone-Auth": f"Bearer {ALICE}"}
    client = connect("openai", keyed_gateway.url + base, flavour, api_key="sk-mine", default_headers=auth)
    await client.call(client.sdk.chat.completions.create, **CHAT)
    assert provider.requests[0].headers.get("authorization") == "Bearer sk-mine"
    sent = sent_to_provider(provider.requests[0]).lower()
    assert ALICE.encode() not in sent
    assert b"helicone" not in sent


async def test_both_keys_in_one_authorization(
    connect: Connect, keyed_gateway: Running, provider: ScriptedProvider
) -> None:
    provider.enqueue(openai_chat.reply())
    client = connect("openai", f"{keyed_gateway.url}/v1", api_key=f"sk-mine, Bearer {ALICE}").sdk
    await client.chat.completions.create(**CHAT)
    assert provider.requests[0].headers.get("authorization") == "Bearer sk-mine"
    assert ALICE.encode() not in sent_to_provider(provider.requests[0])


@pytest.mark.parametrize("base", ANTHROPIC_BASES)
@pytest.mark.parametrize("option", ["api_key", "auth_token"])
async def test_anthropic_with_only_a_gateway_key(
    connect: Connect, keyed_gateway: Running, provider: ScriptedProvider, base: str, option: str
) -> None:
    provider.enqueue(messages.reply())
    client = connect("anthropic", keyed_gateway.url + base, **{option: ALICE}).sdk
    await client.messages.create(**MESSAGE)
    assert provider.requests[0].headers.get("x-api-key") == ANTHROPIC_KEY
    assert provider.requests[0].headers.get("authorization") is None
    assert ALICE.encode() not in sent_to_provider(provider.requests[0])


async def test_anthropic_with_both_keys(connect: Connect, keyed_gateway: Running, provider: ScriptedProvider) -> None:
    provider.enqueue(messages.reply())
    auth = {"Helicone-Auth": f"Bearer {ALICE}"}
    client = connect("anthropic", keyed_gateway.url, api_key="sk-ant-mine", default_headers=auth).sdk
    await client.messages.create(**MESSAGE)
    sent = sent_to_provider(provider.requests[0])
    assert b"sk-ant-mine" in sent
    assert ANTHROPIC_KEY.encode() not in sent
    assert ALICE.encode() not in sent
    assert b"helicone" not in sent.lower()


@pytest.mark.parametrize("key", ["sk-unknown", f"{ALICE}x", None])
@pytest.mark.parametrize("base", ["/v1", "/openai/v1", ""])
async def test_openai_without_a_valid_key(
    connect: Connect, keyed_gateway: Running, provider: ScriptedProvider, base: str, key: str | None, flavour: Flavour
) -> None:
    client = connect("openai", keyed_gateway.url + base, flavour, api_key=key or "unused")
    headers = {"Authorization": openai.omit} if key is None else {}
    for stream in (False, True):
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.call(client.sdk.chat.completions.create, **CHAT, stream=stream, extra_headers=headers)
        assert caught.value.code == "invalid_api_key"
        assert caught.value.type == "authentication_error"
        assert "key" in caught.value.message
        assert ALICE not in caught.value.response.text
    assert not provider.requests


async def test_anthropic_without_a_valid_key(
    connect: Connect, keyed_gateway: Running, provider: ScriptedProvider, flavour: Flavour
) -> None:
    client = connect("anthropic", keyed_gateway.url, flavour, api_key="sk-ant-unknown")
    with pytest.raises(anthropic.AuthenticationError) as caught:
        await client.call(client.sdk.messages.create, **MESSAGE)
    body = caught.value.body
    assert isinstance(body, dict)
    assert (body["type"], body["error"]["type"]) == ("error", "authentication_error")
    assert body["request_id"] == ours(caught.value.response.headers)["helicone-id"]
    assert not provider.requests


async def test_what_a_key_may_use(connect: Connect, keyed_gateway: Running, provider: ScriptedProvider) -> None:
    client = connect("openai", f"{keyed_gateway.url}/v1", api_key=CI).sdk
    provider.enqueue(openai_chat.reply())
    await client.chat.completions.create(**CHAT)
    with pytest.raises(openai.PermissionDeniedError) as caught:
        await client.chat.completions.create(**{**CHAT, "model": "gpt-4o"})
    assert caught.value.code == "model_not_permitted"
    with pytest.raises(openai.PermissionDeniedError) as caught:
        await client.embeddings.create(model="gpt-4o-mini", input="x")
    assert caught.value.code == "path_not_permitted"
    assert len(provider.requests) == 1


async def test_what_a_key_may_use_of_anthropic(
    connect: Connect, keyed_gateway: Running, provider: ScriptedProvider
) -> None:
    client = connect("anthropic", keyed_gateway.url, api_key=CI).sdk
    provider.enqueue(messages.reply())
    await client.messages.create(**MESSAGE)
    with pytest.raises(anthropic.PermissionDeniedError) as caught:
        await client.messages.create(**{**MESSAGE, "model": "other-model"})
    body = caught.value.body
    assert isinstance(body, dict)
    assert (body["error"]["type"], body["error"]["code"]) == ("permission_error", "model_not_permitted")
    assert len(provider.requests) == 1
