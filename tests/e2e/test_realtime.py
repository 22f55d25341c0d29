"""WebSockets through the gateway, over every engine: both ways, closing, refusals, departures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from running import Shared, exchange, request, statuses_in
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

Dial = Callable[..., connect]


@pytest.fixture
def dial(shared: Shared) -> Dial:
    """Opens a WebSocket to the gateway."""

    def dialled(path: str = "/v1/realtime?model=gpt-realtime", **fields: str) -> connect:
        uri = f"ws://127.0.0.1:{shared.port}{path}"
        headers = {"Authorization": "Bearer sk-of-the-client", **fields}
        return connect(uri, additional_headers=headers, proxy=None, compression=None)

    return dialled


@asynccontextmanager
async def echoing(port: int, **options: Any) -> AsyncIterator[list[ServerConnection]]:
    """A provider that sends back what comes; the value is its connections."""
    connections: list[ServerConnection] = []

    async def handler(connection: ServerConnection) -> None:
        connections.append(connection)
        async for message in connection:
            await connection.send(message)

    async with serve(handler, "127.0.0.1", port, compression=None, **options):
        yield connections


async def said(connection: ClientConnection, message: str | bytes) -> None:
    """Check that ``message`` comes back as it is."""
    await connection.send(message)
    assert await connection.recv() == message


async def test_messages_pass_both_ways_as_they_are(dial: Dial, port: int) -> None:
    async with echoing(port), dial() as connection:
        await said(connection, json.dumps({"type": "session.update"}))
        await said(connection, bytes(range(256)))
        await said(connection, "ü" * 500_000)
        for number in range(100):
            await said(connection, str(number))


async def test_the_providers_close_reaches_the_client(dial: Dial, port: int) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.close(4008, "session expired")

    async with serve(handler, "127.0.0.1", port, compression=None), dial() as connection:
        with pytest.raises(ConnectionClosed) as caught:
            await connection.recv()
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4008, "session expired")


@pytest.mark.parametrize("how", ["closes", "vanishes"])
async def test_a_client_that_leaves_ends_the_providers_side(how: str, dial: Dial, port: int, shared: Shared) -> None:
    user = f"ws-{how}"
    async with echoing(port) as connections:
        connection = await dial(**{"Helicone-User-Id": user})
        await said(connection, "hello")
        if how == "closes":
            await connection.close()
        else:
            connection.transport.abort()
        async with asyncio.timeout(5):
            await connections[0].wait_closed()
        await connection.wait_closed()
    assert len(await shared.rows(user)) == 1


async def test_a_refusal_is_an_http_answer(dial: Dial, port: int) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await dial()  # nothing listens at the provider's
    assert caught.value.response.status_code == 502
    assert json.loads(caught.value.response.body or b"")["error"]
    with pytest.raises(InvalidStatus) as caught:
        await dial("/nowhere")
    assert caught.value.response.status_code == 404


async def test_a_handshake_that_is_none_is_refused(shared: Shared) -> None:
    fields = b"Connection: Upgrade", b"Upgrade: websocket"
    bad = request(None, *fields, target=b"/v1/realtime?model=m", method=b"GET")
    (status,) = statuses_in(await exchange(shared.port, bad, until=b"\r\n\r\n"))
    assert 400 <= status < 500
