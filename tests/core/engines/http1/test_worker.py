"""The worker: HTTP/1.1 on the lane, HTTP/2, WebSockets and TLS beside it, and how all of it stops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded

from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.config import ServerConfig
from helicone_gw.engines import hypercorn as engine
from tests.core.engines.certificates import PASSWORD, make_certificate, tls, trust


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


class App:
    """Answers with scheme, version, method and body; streams on /stream until it may end; echoes WebSocket messages."""

    def __init__(self) -> None:
        self.lifespan: list[str] = []
        self.streaming = asyncio.Event()
        self.end = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{event}"
                self.lifespan.append(event)
                await send({"type": f"lifespan.{event}.complete"})
        elif scope["type"] == "websocket":
            await self._echo(receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _echo(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"].upper()})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"yes")]})
        if scope["path"] == "/broken":
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            return
        if scope["path"] == "/stream":
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            self.streaming.set()
            await self.end.wait()
        said = f"{scope['scheme']} {scope['http_version']} {scope['method']} ".encode() + body
        await send({"type": "http.response.body", "body": said})


class Running:
    """A server that runs."""

    def __init__(self, app: App, port: int) -> None:
        self.app = app
        self.port = port
        self.stop = asyncio.Event()
        self.serving: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def running(drain: float = 5.0, **server: Any) -> AsyncIterator[Running]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    made = Running(App(), listener.getsockname()[1])
    settings = ServerConfig(drain_timeout=drain, **server)
    made.serving = asyncio.ensure_future(engine.serve(made.app, settings, listener, made.stop))
    try:
        async with asyncio.timeout(20):
            while not made.app.lifespan:
                await asyncio.sleep(0.001)
        yield made
    finally:
        made.stop.set()
        made.app.end.set()
        await made.serving
    assert made.app.lifespan == ["startup", "shutdown"]


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_plain_http_1_1() -> None:
    async with running() as server, httpx.AsyncClient(trust_env=False) as client:
        for _ in range(3):
            answer = await client.post(f"http://127.0.0.1:{server.port}/", content=b"hi")
            assert answer.text == "http 1.1 POST hi"
            assert answer.headers["x-app"] == "yes"
            assert "alt-svc" not in answer.headers


async def test_websockets() -> None:
    async with running() as server, websockets.connect(f"ws://127.0.0.1:{server.port}/", proxy=None) as socket_:
        for word in ("one", "two"):
            await socket_.send(word)
            assert await socket_.recv() == word.upper()


async def test_a_websocket_that_waits_behind_a_request() -> None:
    async with running() as server:
        reader, writer = await server.connect()
        head = b"GET / HTTP/1.1\r\nHost: a\r\n"
        upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        writer.write(head + b"\r\n" + head + upgrade + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(len(b"http 1.1 GET ")) == b"http 1.1 GET "
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer
        await close(writer)


@pytest.mark.parametrize("cut", [1000, 1, 3, 20])
async def test_http_2_without_asking(cut: int) -> None:
    async with running() as server:
        reader, writer = await server.connect()
        connection = H2Connection(H2Configuration())
        connection.initiate_connection()
        fields = [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "a")]
        connection.send_headers(1, fields, end_stream=True)
        data = connection.data_to_send()
        for start in range(0, len(data), cut):
            writer.write(data[start : start + cut])
            await asyncio.sleep(0)
        body, ended = b"", False
        while not ended:
            for event in connection.receive_data(await reader.read(65536)):
                if isinstance(event, DataReceived):
                    body += event.data
                ended = ended or isinstance(event, StreamEnded)
            writer.write(connection.data_to_send())
        assert body == b"http 2 GET "
        await close(writer)


async def test_an_unfinished_answer_over_http_2_is_reset(certificate: Path) -> None:
    async with (
        running(tls=tls(certificate)) as server,
        httpx.AsyncClient(verify=trust(certificate), http2=True, trust_env=False) as client,
        client.stream("GET", f"https://127.0.0.1:{server.port}/broken") as answer,
    ):
        pieces = answer.aiter_bytes()
        assert await anext(pieces) == b"begun"
        with pytest.raises(httpx.RemoteProtocolError, match="StreamReset"):
            await anext(pieces)
        again = await client.get(f"https://127.0.0.1:{server.port}/")
        assert again.text == "https 2 GET "


@pytest.mark.parametrize(("http2", "version"), [(False, "1.1"), (True, "2")])
async def test_tls(certificate: Path, http2: bool, version: str) -> None:
    async with (
        running(tls=tls(certificate)) as server,
        httpx.AsyncClient(verify=trust(certificate), http2=http2, trust_env=False) as client,
    ):
        for _ in range(3):
            answer = await client.post(f"https://127.0.0.1:{server.port}/", content=b"hi" * 50_000)
            assert answer.text == f"https {version} POST " + "hi" * 50_000
            assert answer.http_version == f"HTTP/{version}"


async def test_websockets_over_tls(certificate: Path) -> None:
    async with running(tls=tls(certificate, "locked.pem", key_password=PASSWORD)) as server:
        url = f"wss://127.0.0.1:{server.port}/"
        async with websockets.connect(url, ssl=trust(certificate), proxy=None) as socket_:
            await socket_.send("one")
            assert await socket_.recv() == "ONE"


async def test_who_knows_no_tls_gets_no_answer(certificate: Path) -> None:
    async with running(tls=tls(certificate)) as server:
        reader, writer = await server.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"HTTP" not in await reader.read()
        await close(writer)


async def test_a_stop_closes_what_is_idle_and_lets_an_answer_end() -> None:
    async with running() as server:
        idle_reader, idle_writer = await server.connect()
        idle_writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await idle_reader.readuntil(b"GET ")
        begun_reader, begun_writer = await server.connect()
        begun_writer.write(b"GET /stream HTTP/1.1\r\nHost: a\r\nContent-Le")
        reader, writer = await server.connect()
        writer.write(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"begun\r\n")
        server.stop.set()
        assert await idle_reader.read() == b""
        assert await begun_reader.read() == b""
        assert not server.serving.done()
        with pytest.raises(ConnectionRefusedError):
            await server.connect()
        server.app.end.set()
        assert (await reader.read()).endswith(b"http 1.1 GET \r\n0\r\n\r\n")
        for each in (idle_writer, begun_writer, writer):
            await close(each)


async def test_what_begins_to_answer_after_a_stop_says_that_it_closes() -> None:
    async with running() as server:
        reader, writer = await server.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh")
        await asyncio.sleep(0.05)
        server.stop.set()
        await asyncio.sleep(0.05)
        writer.write(b"i")
        answer = await reader.read()
        assert b"\r\nconnection: close\r\n" in answer
        assert answer.endswith(b"http 1.1 POST hi")
        await close(writer)


async def test_a_stop_waits_no_longer_than_it_may() -> None:
    async with running(drain=0.1) as server:
        reader, writer = await server.connect()
        writer.write(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"begun\r\n")
        server.stop.set()
        await server.serving
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        await close(writer)


async def test_a_stop_reaches_websockets_too() -> None:
    async with (
        running(drain=0.5) as server,
        websockets.connect(f"ws://127.0.0.1:{server.port}/", proxy=None) as socket_,
    ):
        await socket_.send("one")
        assert await socket_.recv() == "ONE"
        server.stop.set()
        await server.serving
        with pytest.raises(websockets.ConnectionClosed):
            await socket_.recv()
