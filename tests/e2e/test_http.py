"""HTTP as it comes off the wire, over every engine: chunked and expected bodies, HEAD, sizes, junk."""

from __future__ import annotations

import asyncio
import contextlib
import json

import httpx
import pytest
from running import BODY, Start

from helicone_gw.testing import ScriptedProvider, of_bytes
from helicone_gw.testing.dialects import openai_chat

ENGINES = ["hypercorn", "uvicorn", "granian"]


async def exchange(port: int, *pieces: bytes, until: bytes = b"", pause: float = 0.1) -> bytes:
    """Send ``pieces`` with a pause between them; read until the connection ends, or ``until`` was seen."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        received = b""
        async with asyncio.timeout(20):
            while not until or until not in received:
                data = await reader.read(65536)
                if not data:
                    break
                received += data
        return received
    finally:
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_bodies_arrive_however_they_are_framed(engine: str, start: Start, provider: ScriptedProvider) -> None:
    provider.default = openai_chat.reply("Hello!")
    body = json.dumps(BODY).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    async with provider.serve() as base, start({"server": {"engine": engine}}, base) as program:
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        assert b"Hello!" in await exchange(program.port, chunked, until=b"Hello!")
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        split = [head + length, *(body[at : at + 20] for at in range(0, len(body), 20))]
        assert b"Hello!" in await exchange(program.port, *split, until=b"Hello!", pause=0.01)
        expecting = await exchange(program.port, head + b"Expect: 100-continue\r\n" + length, body, until=b"Hello!")
        assert expecting.startswith(b"HTTP/1.1 100")
        assert expecting.count(b"HTTP/1.1 200") == 1
        both = head + b"Transfer-Encoding: chunked\r\n" + length + b"0\r\n\r\n"
        assert b" 400 " in await exchange(program.port, both, until=b"\r\n")
    sent = [json.loads(request.body) for request in provider.requests]
    assert sent == [BODY, BODY, BODY]


async def test_large_bodies_pass_and_larger_ones_are_refused(
    engine: str, start: Start, provider: ScriptedProvider, client: httpx.AsyncClient
) -> None:
    provider.default = openai_chat.reply("Hello!")
    large = {**BODY, "messages": [{"role": "user", "content": "x" * (3 << 20)}]}
    config = {"server": {"engine": engine, "max_body": "4MiB"}}
    async with provider.serve() as base, start(config, base) as program:
        url = program.url + "/v1/chat/completions"
        assert (await client.post(url, json=large)).status_code == 200
        assert json.loads(provider.requests[0].body) == large
        larger = {**BODY, "messages": [{"role": "user", "content": "x" * (5 << 20)}]}
        refused = await client.post(url, json=larger)
        assert refused.status_code == 413
        assert refused.json()["error"]["code"] == "request_too_large"
        assert len(provider.requests) == 1
        assert (await client.post(url, json=BODY)).status_code == 200


async def test_uploads_stream_through_byte_for_byte(
    engine: str, start: Start, provider: ScriptedProvider, client: httpx.AsyncClient
) -> None:
    data = bytes(range(256)) * 8192
    provider.default = of_bytes(b'{"id": "file-1", "object": "file"}', content_type="application/json")
    async with provider.serve() as base, start({"server": {"engine": engine}}, base) as program:
        answer = await client.post(
            program.url + "/v1/files", files={"file": ("data.bin", data)}, data={"purpose": "assistants"}
        )
        assert answer.status_code == 200
    upload = provider.requests[0]
    assert data in upload.body
    assert upload.headers.get("content-length") == str(len(upload.body))
    assert (upload.headers.get("content-type") or "").startswith("multipart/form-data; boundary=")


async def test_an_upload_is_read_only_as_fast_as_the_provider_takes_it(
    engine: str, start: Start, provider: ScriptedProvider
) -> None:
    """A provider that reads nothing makes the client wait; the gateway does not swallow the upload meanwhile."""
    over = asyncio.Event()
    handled = asyncio.Event()

    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        await over.wait()
        await _close(writer)
        handled.set()

    blocked = await asyncio.start_server(stuck, "127.0.0.1", 0, limit=1024)
    port = blocked.sockets[0].getsockname()[1]
    async with start({"server": {"engine": engine}}, f"http://127.0.0.1:{port}") as program:
        _, writer = await asyncio.open_connection("127.0.0.1", program.port)
        writer.transport.set_write_buffer_limits(high=65536)
        writer.write(
            b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: 268435456\r\n\r\n"
        )
        written = 0
        try:
            async with asyncio.timeout(4):
                while written < 256 << 20:
                    writer.write(b"x" * 65536)
                    await writer.drain()
                    written += 65536
        except TimeoutError:
            pass
        await _close(writer)
        over.set()
        await handled.wait()
    blocked.close()
    await blocked.wait_closed()
    assert written < 64 << 20


async def test_head_and_binary_downloads(
    engine: str, start: Start, provider: ScriptedProvider, client: httpx.AsyncClient
) -> None:
    data = bytes(range(256)) * 4096
    provider.default = of_bytes(data, content_type="application/octet-stream")
    async with provider.serve() as base, start({"server": {"engine": engine}}, base) as program:
        url = program.url + "/v1/files/file-1/content"
        answer = await client.get(url)
        assert answer.content == data
        assert answer.headers["content-length"] == str(len(data))
        head = await client.head(url)
        assert head.status_code == 200
        assert head.content == b""


async def test_a_cut_download_does_not_look_complete(
    engine: str, start: Start, provider: ScriptedProvider, client: httpx.AsyncClient
) -> None:
    provider.default = of_bytes(b"x" * 100_000, content_type="application/octet-stream").cut(bytes=50_000)
    async with provider.serve() as base, start({"server": {"engine": engine}}, base) as program:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(program.url + "/v1/files/file-1/content")


async def test_gzip_answers_reach_the_client_as_they_came(
    engine: str, start: Start, provider: ScriptedProvider, client: httpx.AsyncClient
) -> None:
    provider.default = openai_chat.reply("Hello!").gzipped()
    async with provider.serve() as base, start({"server": {"engine": engine}, "plugins": ["cost"]}, base) as program:
        answer = await client.post(program.url + "/v1/chat/completions", json=BODY)
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.json()["choices"]
        assert float(answer.headers["helicone-cost"]) > 0


async def test_a_client_that_leaves_cancels_the_upstream_within_a_second(
    engine: str, start: Start, provider: ScriptedProvider
) -> None:
    body = json.dumps({**BODY, "stream": True}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    for script in (openai_chat.reply("Hello!").delayed(30), openai_chat.stream(("one", "two")).paced(30)):
        provider.enqueue(script)
        async with provider.serve() as base, start({"server": {"engine": engine}}, base) as program:
            _, writer = await asyncio.open_connection("127.0.0.1", program.port)
            writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            await provider.received(1)
            await asyncio.sleep(0.3)
            await _close(writer)
            async with asyncio.timeout(2):
                await provider.closed_by_client.wait()
        provider = ScriptedProvider()


async def test_junk_is_answered_or_dropped_and_disturbs_nobody(
    engine: str, start: Start, provider: ScriptedProvider, client: httpx.AsyncClient
) -> None:
    provider.default = openai_chat.reply("Hello!")
    async with provider.serve() as base, start({"server": {"engine": engine}}, base) as program:
        for junk in (
            b"\x00\x01\x02\r\n\r\n",
            b"GET\r\n\r\n",
            b"POST / HTTP/9.9\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        ):
            answer = await exchange(program.port, junk, until=b"\r\n\r\n")
            assert b" 200 " not in answer
        assert (await client.post(program.url + "/v1/chat/completions", json=BODY)).status_code == 200
