"""Helicone's request fields through the SDKs: as headers, and as metadata of the body; read, and stripped."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import anthropic as messages
from helicone_gw.testing.dialects import openai_chat
from tests.clients.gateways import ALICE, OPENAI_KEY, Client, Connect, Running, ours, sent_to_provider

CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}


async def test_headers_are_read_and_stripped(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    provider.enqueue(openai_chat.reply("Hello!"))
    client = connect("openai", f"{open_gateway.url}/v1").sdk
    request_id = str(uuid.uuid4())
    raw = await client.chat.completions.with_raw_response.create(
        **CHAT,
        extra_headers={
            "Helicone-Request-Id": request_id,
            "Helicone-User-Id": "headers",
            "Helicone-Session-Id": "session-1",
            "Helicone-Property-Team": "blue",
        },
    )
    assert ours(raw.headers)["helicone-id"] == request_id
    assert b"helicone" not in sent_to_provider(provider.requests[0]).lower()
    await open_gateway.rows("headers")
    (row,) = await open_gateway.logs("--user", "headers", "--property", "team=blue")
    assert (row["request_id"], row["session_id"], row["properties"]["team"]) == (request_id, "session-1", "blue")
    assert (row["outcome"], row["status"], row["provider"]) == ("ok", 200, "openai")
    assert (row["prompt_tokens"], row["completion_tokens"]) == (12, 7)


async def test_metadata_is_lifted_and_stripped(chat: Client, provider: ScriptedProvider, open_gateway: Running) -> None:
    provider.enqueue(openai_chat.reply("Hello!"))
    user = f"metadata-{chat.flavour}"
    metadata = {"Helicone-User-Id": user, "mine": "kept", "helicone-property-team": "red"}
    await chat.call(chat.sdk.chat.completions.create, **CHAT, extra_body={"metadata": metadata})
    assert provider.requests[0].json() == {**CHAT, "metadata": {"mine": "kept"}}
    (row,) = await open_gateway.rows(user)
    assert row["properties"] == {"team": "red"}


async def test_metadata_that_is_ours_alone_goes_whole(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.reply("Hello!"))
    await chat.call(
        chat.sdk.chat.completions.create, **CHAT, extra_body={"metadata": {"Helicone-Session-Id": "s"}}, stream=False
    )
    assert provider.requests[0].json() == {**CHAT, "stream": False}


async def test_a_header_wins_over_metadata(connect: Connect, open_gateway: Running, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.reply("Hello!"))
    client = connect("openai", f"{open_gateway.url}/v1").sdk
    header, body = str(uuid.uuid4()), str(uuid.uuid4())
    raw = await client.chat.completions.with_raw_response.create(
        **CHAT,
        extra_headers={"Helicone-Request-Id": header},
        extra_body={"metadata": {"Helicone-Request-Id": body}},
    )
    assert ours(raw.headers)["helicone-id"] == header


async def test_anthropics_metadata(claude: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(messages.reply())
    request_id = str(uuid.uuid4())
    metadata = {"user_id": "u1", "Helicone-Request-Id": request_id}
    create = claude.sdk.messages.with_raw_response.create
    raw = await claude.call(create, **CHAT, max_tokens=5, extra_body={"metadata": metadata})
    assert ours(raw.headers)["helicone-id"] == request_id
    assert provider.requests[0].json()["metadata"] == {"user_id": "u1"}


async def test_the_gateway_key_in_metadata(
    connect: Connect, keyed_gateway: Running, provider: ScriptedProvider
) -> None:
    provider.enqueue(openai_chat.reply())
    client = connect("openai", f"{keyed_gateway.url}/v1", api_key="sk-mine").sdk
    await client.chat.completions.create(**CHAT, extra_body={"metadata": {"Helicone-Auth": f"Bearer {ALICE}"}})
    sent = sent_to_provider(provider.requests[0])
    assert ALICE.encode() not in sent
    assert b"metadata" not in sent
    assert provider.requests[0].headers.get("authorization") == "Bearer sk-mine"
    assert OPENAI_KEY.encode() not in sent


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Helicone-Request-Id", "not a uuid"),
        ("Helicone-Retry-Num", "many"),
        ("Helicone-Cache-Bucket-Max-Size", "-1"),
        ("Helicone-Nobody-Knows", "x"),
    ],
)
async def test_a_field_that_cannot_be_read_is_reported_and_harmless(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider, name: str, value: str
) -> None:
    provider.enqueue(openai_chat.reply("Hello!"))
    client = connect("openai", f"{open_gateway.url}/v1").sdk
    create = client.chat.completions.with_raw_response.create
    raw = await create(**CHAT, extra_headers={name: value})
    assert raw.parse().choices[0].message.content == "Hello!"
    if name != "Helicone-Nobody-Knows":
        assert name.lower() in raw.headers["helicone-warning"].lower()
    assert b"helicone" not in sent_to_provider(provider.requests[0]).lower()
