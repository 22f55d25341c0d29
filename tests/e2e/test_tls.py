"""TLS with the gateway's own certificate over every engine, and HTTP/2 over those that speak it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from running import BODY, STREAMED, Shared, connected, received
from running import request as raw
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from tests.core.engines.certificates import trust

SPEAK_HTTP_2 = {"hypercorn", "granian"}


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def version(request: pytest.FixtureRequest, engine: str) -> str:
    """Every version of HTTP that the engine speaks."""
    chosen: str = request.param
    if chosen == "HTTP/2" and engine not in SPEAK_HTTP_2:
        pytest.skip(f"{engine} speaks no HTTP/2")
    return chosen


@pytest.fixture
async def client(version: str, secure: Shared, certificate: Path) -> AsyncIterator[httpx.AsyncClient]:
    http2 = version == "HTTP/2"
    base = secure.url + "/v1"
    async with httpx.AsyncClient(verify=trust(certificate), http2=http2, trust_env=False, base_url=base) as client:
        assert (await client.get(secure.url + "/healthz")).http_version == version
        yield client


async def test_answers_whole_and_streamed(client: httpx.AsyncClient, behind: ScriptedProvider) -> None:
    behind.enqueue(openai_chat.reply("Hello!"))
    answer = await client.post("/chat/completions", json=BODY)
    assert answer.json()["choices"][0]["message"]["content"] == "Hello!"
    script = openai_chat.stream([f"{number} " for number in range(50)], include_usage=False)
    behind.enqueue(script)
    assert (await client.post("/chat/completions", json=STREAMED)).content == script.body
    assert behind.requests[0].json() == BODY


async def test_large_bodies_both_ways(client: httpx.AsyncClient, behind: ScriptedProvider) -> None:
    text = "x" * (2 << 20)
    behind.default = openai_chat.reply(text)
    large = {**BODY, "messages": [{"role": "user", "content": text}]}
    answer = await client.post("/chat/completions", json=large)
    assert answer.json()["choices"][0]["message"]["content"] == text
    assert behind.requests[0].json() == large
    refused = await client.post("/chat/completions", json={**large, "user": text * 2})
    assert refused.status_code == 413
    assert refused.json()["error"]["code"] == "request_too_large"


async def test_many_streams_at_once(client: httpx.AsyncClient, behind: ScriptedProvider) -> None:
    behind.default = lambda seen: openai_chat.stream(seen.json()["user"] * 20, include_usage=False).paced(0.01)

    async def one(number: int) -> bool:
        user = f"{number} "
        answer = await client.post("/chat/completions", json={**STREAMED, "user": user})
        return answer.content == openai_chat.stream(user * 20, include_usage=False).body

    assert all(await asyncio.gather(*(one(number) for number in range(64))))


async def test_a_client_that_leaves(
    client: httpx.AsyncClient, version: str, behind: ScriptedProvider, secure: Shared
) -> None:
    behind.default = openai_chat.stream([f"{number} " for number in range(1000)], include_usage=False).paced(0.1)
    fields = {"Helicone-User-Id": f"leaves-{version}"}
    async with client.stream("POST", "/chat/completions", json=STREAMED, headers=fields) as answer:
        await anext(answer.aiter_raw())
        await client.aclose()
    async with asyncio.timeout(5):
        await behind.closed_by_client.wait()
    assert [row["outcome"] for row in await secure.rows(f"leaves-{version}")] == ["client_disconnected"]


async def test_a_broken_stream_does_not_look_complete(
    client: httpx.AsyncClient, version: str, behind: ScriptedProvider
) -> None:
    behind.default = openai_chat.stream("one two three").cut(events=3)
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post("/chat/completions", json=STREAMED, timeout=2)


async def test_websockets(secure: Shared, port: int, certificate: Path) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    uri = f"wss://127.0.0.1:{secure.port}/v1/realtime?model=gpt-realtime"
    async with (
        serve(echo, "127.0.0.1", port, compression=None),
        connect(uri, ssl=trust(certificate), proxy=None, compression=None) as connection,
    ):
        await connection.send("hello")
        assert await connection.recv() == "hello"


async def test_who_speaks_no_tls_gets_no_answer(secure: Shared) -> None:
    async with connected(secure.port) as (reader, writer):
        writer.write(raw(None, target=b"/healthz", method=b"GET"))
        assert b"200" not in await received(reader)
