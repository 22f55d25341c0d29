"""The WebSocket tunnel, against a real server on loopback: both ways, closes, refusals, back-pressure, cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from helicone_gw.errors import UpstreamConnectError, UpstreamProtocolError, UpstreamStatus, UpstreamTimeout
from helicone_gw.headers import Headers
from helicone_gw.upstream.tunnel import TunnelEnd, tunnel
from helicone_gw.upstream.websocket import connect

Handler = Callable[[ServerConnection], Awaitable[None]]


@contextlib.asynccontextmanager
async def provider(handler: Handler, **options: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1/realtime?model=demo"


class Client:
    """The client's side of a tunnel, as ASGI events."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.events: list[MutableMapping[str, Any]] = []
        self.seen = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.gone = False

    async def receive(self) -> dict[str, Any]:
        return await self.incoming.get()

    async def send(self, event: MutableMapping[str, Any]) -> None:
        await self.open.wait()
        if self.gone:
            raise OSError("the client is gone")
        self.events.append(event)
        self.seen.set()

    def says(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        self.incoming.put_nowait({"type": "websocket.receive", kind: message})

    def leaves(self, code: int | None = 1000, reason: str = "") -> None:
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def got(self, count: int) -> None:
        while len(self.events) < count:
            self.seen.clear()
            await self.seen.wait()

    @property
    def messages(self) -> list[str | bytes]:
        return [event.get("text") or event["bytes"] for event in self.events if event["type"] == "websocket.send"]

    @property
    def closes(self) -> list[tuple[int, str]]:
        return [(event["code"], event["reason"]) for event in self.events if event["type"] == "websocket.close"]


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


class Closed:
    """A handler that waits for the close and remembers it."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.close: tuple[int | None, str | None] = (None, None)

    async def __call__(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)
        await connection.wait_closed()
        self.close = (connection.close_code, connection.close_reason)
        self.done.set()


async def test_text_and_bytes_go_both_ways_unchanged_and_in_order() -> None:
    client, seen = Client(), []
    said: list[str | bytes] = ['{"type":"session.update"}', b"\x00\xff\x01", "grüß 🐦", "x" * 200_000]
    async with provider(echo) as url:
        connection = await connect(url, Headers())
        relay = asyncio.create_task(tunnel(client.receive, client.send, connection, lambda *each: seen.append(each)))
        for message in said:
            client.says(message)
        await client.got(len(said))
        client.leaves(1000, "done")
        end = await relay
    assert client.messages == said
    assert [message for side, message in seen if side == "client"] == said
    assert [message for side, message in seen if side == "upstream"] == said
    size = sum(len(each.encode()) if isinstance(each, str) else len(each) for each in said)
    assert end == TunnelEnd("client", 1000, "done", size)
    assert client.closes == []


async def test_empty_messages_keep_their_kind() -> None:
    client = Client()
    async with provider(echo) as url:
        connection = await connect(url, Headers())
        relay = asyncio.create_task(tunnel(client.receive, client.send, connection))
        client.says("")
        client.says(b"")
        await client.got(2)
        client.leaves()
        await relay
    assert [("text" in event, "bytes" in event) for event in client.events] == [(True, False), (False, True)]


@pytest.mark.parametrize(
    ("code", "reason", "shown"),
    [
        (1000, "", (1000, "")),
        (1001, "restarting", (1001, "restarting")),
        (1008, "session expired", (1008, "session expired")),
        (4001, "vorbei: ü", (4001, "vorbei: ü")),
    ],
)
async def test_the_providers_close_is_passed_on(code: int, reason: str, shown: tuple[int, str]) -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.send("last words")
        await connection.close(code, reason)

    client = Client()
    async with provider(close) as url:
        end = await tunnel(client.receive, client.send, await connect(url, Headers()))
    assert client.messages == ["last words"]
    assert client.closes == [shown]
    assert end == TunnelEnd("upstream", code, reason, len("last words"))


@pytest.mark.parametrize(
    ("code", "reason", "passed"),
    [
        (1000, "bye", (1000, "bye")),
        (1001, "", (1001, "")),
        (3001, "app", (3001, "app")),
        (1005, "", (1000, "")),
        (None, "", (1000, "")),
        (1006, "", (1001, "")),
        (1015, "", (1001, "")),
        (1000, "ü" * 100, (1000, "ü" * 61)),
    ],
)
async def test_the_clients_close_is_passed_on(code: int | None, reason: str, passed: tuple[int, str]) -> None:
    client, upstream = Client(), Closed()
    async with provider(upstream) as url:
        client.leaves(code, reason)
        end = await tunnel(client.receive, client.send, await connect(url, Headers()))
        await upstream.done.wait()
    assert end.closed_by == "client"
    assert upstream.close == passed
    assert client.events == []


async def test_a_provider_that_vanishes_does_not_look_like_a_clean_end() -> None:
    async def vanish(connection: ServerConnection) -> None:
        await connection.send("half")
        connection.transport.abort()

    client = Client()
    async with provider(vanish) as url:
        end = await tunnel(client.receive, client.send, await connect(url, Headers()))
    assert client.closes == [(1011, "the provider's connection broke")]
    assert end.closed_by == "upstream"
    assert isinstance(end.error, UpstreamProtocolError)


async def test_a_message_over_the_bound_ends_the_tunnel_with_1009() -> None:
    async def shout(connection: ServerConnection) -> None:
        await connection.send("x" * 2000)
        await connection.wait_closed()

    client = Client()
    async with provider(shout) as url:
        end = await tunnel(client.receive, client.send, await connect(url, Headers(), max_size=1000))
    assert [code for code, _ in client.closes] == [1009]
    assert isinstance(end.error, UpstreamProtocolError)


async def test_a_client_that_vanishes_in_the_middle_of_a_send_closes_the_provider() -> None:
    client, upstream = Client(), Closed()
    async with provider(upstream) as url:
        connection = await connect(url, Headers())
        client.gone = True
        client.says("echo me")
        end = await tunnel(client.receive, client.send, connection)
        await upstream.done.wait()
    assert (end.closed_by, end.code) == ("client", 1006)
    assert upstream.close == (1001, "")


async def test_cancelling_closes_both_sides() -> None:
    client, upstream = Client(), Closed()
    async with provider(upstream) as url:
        connection = await connect(url, Headers())
        relay = asyncio.create_task(tunnel(client.receive, client.send, connection))
        client.says("hello")
        await client.got(1)
        before = asyncio.all_tasks()
        relay.cancel()
        with pytest.raises(asyncio.CancelledError):
            await relay
        await upstream.done.wait()
        assert not {task for task in before if "_Relay" in repr(task.get_coro())} & asyncio.all_tasks()
    assert client.closes == [(1001, "")]
    assert upstream.close == (1001, "")


async def test_a_slow_client_slows_the_provider_down() -> None:
    sent = 0

    async def flood(connection: ServerConnection) -> None:
        nonlocal sent
        with contextlib.suppress(ConnectionClosed):
            for _ in range(2000):
                await connection.send("x" * 65536)
                sent += 1

    client = Client()
    client.open.clear()
    async with provider(flood) as url:
        connection = await connect(url, Headers())
        relay = asyncio.create_task(tunnel(client.receive, client.send, connection))
        stalled = -1
        while stalled != sent:
            stalled = sent
            await asyncio.sleep(0.2)
        # Far from 125 MiB: what is under way is in socket buffers and in a queue of a few messages.
        assert sent < 1000
        client.open.set()
        await client.got(2000)
        relay.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await relay


async def test_pings_of_the_provider_are_answered() -> None:
    ponged = asyncio.Event()

    async def ping(connection: ServerConnection) -> None:
        await (await connection.ping())
        ponged.set()
        await connection.wait_closed()

    client = Client()
    async with provider(ping) as url:
        relay = asyncio.create_task(tunnel(client.receive, client.send, await connect(url, Headers())))
        await ponged.wait()
        client.leaves()
        await relay


async def test_the_handshake_carries_our_fields_and_none_of_the_clients_own_handshake() -> None:
    seen: list[tuple[str, str]] = []

    async def look(connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        assert request.path == "/v1/realtime?model=demo"
        seen.extend((name.lower(), value) for name, value in request.headers.raw_items())

    headers = Headers(
        {
            "authorization": "Bearer sk",
            "openai-beta": "realtime=v1",
            "user-agent": "sdk",
            "host": "gateway.example",
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-key": "forged",
            "sec-websocket-extensions": "permessage-deflate",
            "origin": "https://page.example",
        }
    )
    async with provider(look) as url:
        connection = await connect(url, headers, ["realtime", "openai-beta.realtime-v1"])
        await connection.close()
    names = [name for name, _ in seen]
    assert len(names) == len(set(names))
    fields = dict(seen)
    assert (fields["authorization"], fields["openai-beta"], fields["user-agent"]) == ("Bearer sk", "realtime=v1", "sdk")
    assert fields["host"].startswith("127.0.0.1:")
    assert fields["sec-websocket-key"] != "forged"
    assert fields["sec-websocket-protocol"] == "realtime, openai-beta.realtime-v1"
    assert "sec-websocket-extensions" not in fields
    assert "origin" not in fields


async def test_nothing_of_it_is_logged_even_where_everything_else_is(caplog: pytest.LogCaptureFixture) -> None:
    async with provider(echo) as url:
        with caplog.at_level(logging.DEBUG, "helicone_gw"), caplog.at_level(logging.DEBUG):
            connection = await connect(url, Headers({"authorization": "Bearer sk-secret"}))
            await connection.send("a secret message")
            await connection.recv()
            await connection.close()
    ours = [record.getMessage() for record in caplog.records if record.name != "websockets.server"]
    assert not any("secret" in message for message in ours)


async def test_the_chosen_subprotocol_is_known() -> None:
    async with provider(echo, subprotocols=["realtime"]) as url:
        connection = await connect(url, Headers(), ["other", "realtime"])
        assert connection.subprotocol == "realtime"
        await connection.close()


async def test_the_connection_goes_to_the_checked_address_whatever_the_name_says() -> None:
    async with provider(echo) as url:
        connection = await connect(url.replace("127.0.0.1", "provider.invalid"), Headers(), address="127.0.0.1")
        await connection.send("hello")
        assert await connection.recv() == "hello"
        await connection.close()


async def test_a_refusal_keeps_its_status_headers_and_body() -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(401, '{"error":{"message":"bad key"}}')
        response.headers["x-request-id"] = "req_1"
        return response

    async with provider(echo, process_request=refuse) as url:
        with pytest.raises(UpstreamStatus) as caught:
            await connect(url, Headers({"authorization": "Bearer sk-secret"}))
    assert caught.value.status == caught.value.response.status == 401
    assert caught.value.response.body == b'{"error":{"message":"bad key"}}'
    assert caught.value.response.headers.get("x-request-id") == "req_1"
    assert "connection" not in caught.value.response.headers
    assert "sk-secret" not in str(caught.value)


async def test_redirects_are_not_followed() -> None:
    asked: list[str] = []

    def redirect(connection: ServerConnection, request: Request) -> Response:
        asked.append(request.path)
        response = connection.respond(307, "elsewhere")
        response.headers["location"] = "/v1/elsewhere"
        return response

    async with provider(echo, process_request=redirect) as url:
        with pytest.raises(UpstreamStatus) as caught:
            await connect(url, Headers())
    assert caught.value.status == 307
    assert asked == ["/v1/realtime?model=demo"]


@contextlib.asynccontextmanager
async def raw_server(answer: bytes | None) -> AsyncIterator[str]:
    handled = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        handled.set()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await handled.wait()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
    ],
)
async def test_an_answer_that_is_no_handshake(answer: bytes) -> None:
    async with raw_server(answer) as url:
        with pytest.raises(UpstreamProtocolError):
            await connect(url, Headers())


async def test_a_provider_that_does_not_answer() -> None:
    async with raw_server(None) as url:
        with pytest.raises(UpstreamTimeout):
            await connect(url, Headers(), open_timeout=0.05)


async def test_a_provider_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(UpstreamConnectError):
        await connect(f"http://127.0.0.1:{port}/", Headers())
