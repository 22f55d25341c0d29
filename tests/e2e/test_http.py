"""HTTP as it comes off the wire, over every engine: framing, HEAD, sizes, pipelining, connections that stay."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from running import BODY, STREAMED, Shared, Start, connected, crowd, exchange, received, request, reset, statuses_in

from helicone_gw.testing import RecordedRequest, ScriptedProvider, ScriptedResponse, of_bytes
from helicone_gw.testing.dialects import openai_chat


async def test_bodies_arrive_however_they_are_framed(shared: Shared, behind: ScriptedProvider) -> None:
    behind.default = openai_chat.reply("Hello!")
    body = json.dumps(BODY).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    assert b"Hello!" in await exchange(shared.port, chunked, until=b"Hello!")
    dripped = [chunked[at : at + 7] for at in range(0, len(chunked), 7)]
    assert b"Hello!" in await exchange(shared.port, *dripped, until=b"Hello!", pause=0.005)
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    split = [head + length, *(body[at : at + 20] for at in range(0, len(body), 20))]
    assert b"Hello!" in await exchange(shared.port, *split, until=b"Hello!", pause=0.005)
    expecting = await exchange(shared.port, head + b"Expect: 100-continue\r\n" + length, body, until=b"Hello!")
    assert expecting.startswith(b"HTTP/1.1 100")
    assert expecting.count(b"HTTP/1.1 200") == 1
    assert [seen.json() for seen in behind.requests] == [BODY] * 4


async def test_large_bodies_pass_and_larger_ones_are_refused(
    shared: Shared, behind: ScriptedProvider, client: httpx.AsyncClient
) -> None:
    behind.default = openai_chat.reply("Hello!")
    large = {**BODY, "messages": [{"role": "user", "content": "x" * (3 << 20)}]}
    url = shared.url + "/v1/chat/completions"
    assert (await client.post(url, json=large)).status_code == 200
    assert behind.requests[0].json() == large
    larger = {**BODY, "messages": [{"role": "user", "content": "x" * (5 << 20)}]}
    for _ in range(3):
        refused = await client.post(url, json=larger)
        assert refused.status_code == 413
        assert refused.json()["error"]["code"] == "request_too_large"
    assert len(behind.requests) == 1
    assert (await client.post(url, json=BODY)).status_code == 200


async def test_uploads_stream_through_byte_for_byte(
    shared: Shared, behind: ScriptedProvider, client: httpx.AsyncClient
) -> None:
    data = bytes(range(256)) * 65_536
    behind.default = of_bytes(b'{"id": "file-1", "object": "file"}', content_type="application/json")
    before = shared.memory()
    answer = await client.post(
        shared.url + "/v1/files", files={"file": ("data.bin", data)}, data={"purpose": "assistants"}
    )
    assert answer.status_code == 200
    upload = behind.requests[0]
    assert data in upload.body
    assert upload.headers.get("content-length") == str(len(upload.body))
    assert (upload.headers.get("content-type") or "").startswith("multipart/form-data; boundary=")
    assert shared.memory() < before + (12 << 20), "16 MiB went through, and were not to be held"


async def test_an_upload_is_read_only_as_fast_as_the_provider_takes_it(engine: str, start: Start) -> None:
    """A provider that reads nothing makes the client wait; the gateway does not swallow the upload meanwhile."""
    over = asyncio.Event()
    handled = asyncio.Event()

    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        await over.wait()
        await reset(writer)
        handled.set()

    blocked = await asyncio.start_server(stuck, "127.0.0.1", 0, limit=1024)
    port = blocked.sockets[0].getsockname()[1]
    async with start({"server": {"engine": engine}}, f"http://127.0.0.1:{port}") as program:
        async with connected(program.port) as (_, writer):
            writer.transport.set_write_buffer_limits(high=65536)
            writer.write(
                b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
                b"Content-Length: 268435456\r\n\r\n"
            )
            written = 0
            try:
                async with asyncio.timeout(3):
                    while written < 256 << 20:
                        writer.write(b"x" * 65536)
                        await writer.drain()
                        written += 65536
            except TimeoutError:
                pass
        over.set()
        await handled.wait()
    blocked.close()
    await blocked.wait_closed()
    assert written < 64 << 20


async def test_a_download_is_sent_only_as_fast_as_the_client_takes_it(shared: Shared, behind: ScriptedProvider) -> None:
    """A client that reads nothing makes the provider wait; what waits is not held in memory."""
    size = 200 << 20
    data = bytes(range(256)) * (size // 256)
    behind.default = of_bytes(data, content_type="application/octet-stream")
    before = shared.memory()
    async with connected(shared.port) as (reader, writer):
        writer.write(request(None, b"Connection: close", target=b"/v1/files/file-1/content", method=b"GET"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert statuses_in(head) == [200]
        sent = -1
        async with asyncio.timeout(30):
            while behind.requests[0].bytes_sent != sent:  # until nothing moves any more
                sent = behind.requests[0].bytes_sent
                await asyncio.sleep(0.5)
        assert sent < 64 << 20
        assert shared.memory() < before + (64 << 20)
        read = 0
        async with asyncio.timeout(60):
            while piece := await reader.read(1 << 20):
                assert piece == data[read : read + len(piece)]
                read += len(piece)
        assert read == size
    assert shared.memory("VmHWM") < before + (64 << 20)


async def test_head_and_binary_downloads(shared: Shared, behind: ScriptedProvider, client: httpx.AsyncClient) -> None:
    data = bytes(range(256)) * 4096
    behind.default = of_bytes(data, content_type="application/octet-stream")
    url = shared.url + "/v1/files/file-1/content"
    answer = await client.get(url)
    assert answer.content == data
    assert answer.headers["content-length"] == str(len(data))
    head = await client.head(url)
    assert head.status_code == 200
    assert head.content == b""
    assert (await client.get(url)).content == data, "the connection stays in step"


async def test_answers_without_a_body_have_none(shared: Shared, behind: ScriptedProvider) -> None:
    behind.default = of_bytes(b"", content_type="application/json", status=204)
    async with connected(shared.port) as (reader, writer):
        for _ in range(2):
            writer.write(request(None, target=b"/v1/files/file-1", method=b"DELETE"))
            head = await received(reader, until=b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 204")
            assert head.endswith(b"\r\n\r\n")
            assert b"chunked" not in head.lower()


async def test_the_providers_date_and_server_are_the_only_ones(shared: Shared, behind: ScriptedProvider) -> None:
    theirs = {"date": "Sat, 01 Jan 2000 00:00:00 GMT", "server": "provider"}
    behind.default = openai_chat.reply("Hello!").with_headers(theirs)
    answer = await exchange(shared.port, request(BODY, b"Connection: close"))
    for name, value in theirs.items():
        lines = [line for line in answer.split(b"\r\n") if line.lower().startswith(name.encode() + b":")]
        assert lines == [f"{name}: {value}".encode()]


async def test_a_cut_download_does_not_look_complete(
    shared: Shared, behind: ScriptedProvider, client: httpx.AsyncClient
) -> None:
    data = of_bytes(b"x" * 100_000, content_type="application/octet-stream")
    for script in (data.cut(bytes=50_000), data.framed("chunked").cut(bytes=50_000)):
        behind.default = script
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(shared.url + "/v1/files/file-1/content")


async def test_a_cut_stream_ends_with_an_error_and_does_not_look_complete(
    shared: Shared, behind: ScriptedProvider
) -> None:
    behind.default = openai_chat.stream("one two three").cut(events=3)
    answer = await exchange(shared.port, request(STREAMED))
    assert answer.count(b"data: ") == 4
    assert b'"error"' in answer
    assert not answer.endswith(b"0\r\n\r\n")


async def test_gzip_answers_reach_the_client_as_they_came(
    shared: Shared, behind: ScriptedProvider, client: httpx.AsyncClient
) -> None:
    behind.default = openai_chat.reply("Hello!").gzipped()
    answer = await client.post(shared.url + "/v1/chat/completions", json=BODY)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["choices"]


async def test_a_connection_serves_one_request_after_the_other(shared: Shared, behind: ScriptedProvider) -> None:
    behind.default = lambda seen: openai_chat.reply(seen.json()["user"])
    async with connected(shared.port) as (reader, writer):
        for number in range(20):
            writer.write(request({**BODY, "user": f"<{number}>"}))
            answer = await received(reader, until=b"<%d>" % number)
            assert statuses_in(answer) == [200]
    assert len(behind.requests) == 20


async def test_requests_sent_ahead_are_answered_in_their_order(shared: Shared, behind: ScriptedProvider) -> None:
    """The first answer takes longest, and one of them is a stream."""

    def answered(seen: RecordedRequest) -> ScriptedResponse:
        body = seen.json()
        if body.get("stream"):
            return openai_chat.stream(f"<{body['user']}>", include_usage=False).paced(0.05)
        return openai_chat.reply(f"<{body['user']}>").delayed(0.3 if body["user"] == "0" else 0)

    behind.default = answered
    bodies = [{**(STREAMED if number == 2 else BODY), "user": str(number)} for number in range(5)]
    ahead = b"".join(request(body) for body in bodies[:-1]) + request(bodies[-1], b"Connection: close")
    beyond = request({**BODY, "user": "never"})
    answer = await exchange(shared.port, ahead + beyond)
    assert statuses_in(answer) == [200] * 5
    found = [answer.index(f"<{number}>".encode()) for number in range(5)]
    assert found == sorted(found)
    assert sorted(seen.json()["user"] for seen in behind.requests) == ["0", "1", "2", "3", "4"]


async def test_junk_sent_ahead_costs_no_answer(shared: Shared, behind: ScriptedProvider) -> None:
    behind.default = openai_chat.reply("Hello!").delayed(0.2)
    answer = await exchange(shared.port, request(BODY) + b"JUNK\r\n\r\n")
    assert statuses_in(answer) == [200, 400]
    assert b"Hello!" in answer


async def test_many_streams_at_once_are_intact_and_in_order(shared: Shared, behind: ScriptedProvider) -> None:
    words = [f"{number} " for number in range(10)]

    def script(user: str) -> ScriptedResponse:
        return openai_chat.stream([user + word for word in words], include_usage=False).paced(0.02)

    behind.default = lambda seen: script(seen.json()["user"])

    async def one(number: int, client: httpx.AsyncClient) -> bytes:
        user = f"u{number}-"
        answer = await client.post(shared.url + "/v1/chat/completions", json={**STREAMED, "user": user})
        return answer.content

    async with crowd(256, timeout=60) as clients:
        answers = await asyncio.gather(*(one(number, client) for number, client in enumerate(clients)))
    assert all(answer == script(f"u{number}-").body for number, answer in enumerate(answers))
