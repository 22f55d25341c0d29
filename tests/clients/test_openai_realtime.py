"""openai's SDK, realtime: a WebSocket through the gateway, both ways."""

from __future__ import annotations

import asyncio
import base64
import http
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.clients.gateways import ALICE, VOICE_KEY, Connect, Ports, Running

Handler = Callable[[ServerConnection], Awaitable[None]]
Serve = Callable[..., AbstractAsyncContextManager[None]]
USAGE = {"total_tokens": 30, "input_tokens": 20, "output_tokens": 10}


@pytest.fixture
def voice(ports: Ports) -> Serve:
    """Plays a provider's WebSocket server for the length of a block."""

    @asynccontextmanager
    async def served(handler: Handler, **options: Any) -> AsyncIterator[None]:
        async with serve(handler, "127.0.0.1", ports.realtime, compression=None, **options):
            yield

    return served


async def converse(connection: ServerConnection) -> None:
    """Greet, and answer every message with the same, marked."""
    await connection.send(json.dumps({"type": "session.created", "event_id": "e0", "session": {"type": "realtime"}}))
    async for message in connection:
        event = json.loads(message)
        if event["type"] == "response.create":
            response = {"object": "realtime.response", "id": "r1", "status": "completed", "usage": USAGE}
            await connection.send(json.dumps({"type": "response.done", "event_id": "e9", "response": response}))
        else:
            delta = {"type": "response.output_audio.delta", "event_id": "e1", "delta": event["audio"]}
            fixed = {"response_id": "r1", "item_id": "i1", "output_index": 0, "content_index": 0}
            await connection.send(json.dumps({**delta, **fixed}))


async def test_a_conversation(connect: Connect, open_gateway: Running, voice: Serve) -> None:
    seen: list[Request] = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request)
        await converse(connection)

    client = connect("openai", f"{open_gateway.url}/voice/v1").sdk
    audio = base64.b64encode(bytes(range(256)) * 400).decode()
    fields = {"Helicone-User-Id": "speaker"}
    async with voice(handler):
        manager = client.realtime.connect(model="gpt-realtime", extra_headers=fields)
        async with manager as realtime:
            assert (await realtime.recv()).type == "session.created"
            for _ in range(3):
                await realtime.input_audio_buffer.append(audio=audio)
                event = await realtime.recv()
                assert (event.type, event.delta) == ("response.output_audio.delta", audio)
            await realtime.response.create()
            done = await realtime.recv()
            assert done.type == "response.done"
            assert done.response.usage.total_tokens == 30
    (handshake,) = seen
    assert handshake.path == "/v1/realtime?model=gpt-realtime"
    assert handshake.headers["Authorization"] == "Bearer sk-of-the-client"
    assert not [name for name in handshake.headers if name.lower().startswith("helicone")]
    (row,) = await open_gateway.rows("speaker")
    assert (row["provider"], row["outcome"]) == ("voice", "ok")
    assert (row["prompt_tokens"], row["completion_tokens"]) == (20, 10)


async def test_the_configured_key_for_a_gateway_key(connect: Connect, keyed_gateway: Running, voice: Serve) -> None:
    seen: list[Request] = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request)

    client = connect("openai", f"{keyed_gateway.url}/voice/v1", api_key=ALICE).sdk
    async with voice(handler), client.realtime.connect(model="gpt-realtime") as realtime:
        with pytest.raises(ConnectionClosed):
            await realtime.recv()
    assert seen[0].headers["Authorization"] == f"Bearer {VOICE_KEY}"
    assert ALICE not in str(seen[0].headers)


async def test_a_wrong_key_is_an_http_answer(connect: Connect, keyed_gateway: Running) -> None:
    client = connect("openai", f"{keyed_gateway.url}/voice/v1", api_key="sk-unknown").sdk
    with pytest.raises(InvalidStatus) as caught:
        await client.realtime.connect(model="gpt-realtime").enter()
    assert caught.value.response.status_code == 401
    assert json.loads(caught.value.response.body or b"")["error"]["code"] == "invalid_api_key"


async def test_a_refused_handshake_is_the_providers_answer(
    connect: Connect, open_gateway: Running, voice: Serve
) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(http.HTTPStatus.TOO_MANY_REQUESTS, '{"error": {"message": "slow down"}}')
        response.headers["Retry-After"] = "9"
        return response

    client = connect("openai", f"{open_gateway.url}/voice/v1").sdk
    async with voice(converse, process_request=refuse):
        with pytest.raises(InvalidStatus) as caught:
            await client.realtime.connect(model="gpt-realtime").enter()
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "9"
    assert b"slow down" in (caught.value.response.body or b"")


async def test_the_providers_close_reaches_the_client(connect: Connect, open_gateway: Running, voice: Serve) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.close(4008, "session expired")

    client = connect("openai", f"{open_gateway.url}/voice/v1").sdk
    async with voice(handler), client.realtime.connect(model="gpt-realtime") as realtime:
        with pytest.raises(ConnectionClosed) as caught:
            await realtime.recv()
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4008, "session expired")


async def test_the_clients_close_reaches_the_provider(connect: Connect, open_gateway: Running, voice: Serve) -> None:
    closed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()
        closed.set_result(connection.close_code)

    client = connect("openai", f"{open_gateway.url}/voice/v1").sdk
    async with voice(handler):
        async with client.realtime.connect(model="gpt-realtime") as realtime:
            await realtime.close(code=1000, reason="done")
        async with asyncio.timeout(1):
            # Hypercorn says 1006 of every client that closes, so the code itself cannot travel.
            assert await closed in (1000, 1001)
