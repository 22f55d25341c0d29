"""Over a socket a scripted provider speaks HTTP/1.1, as well or as badly as its script says."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from helicone_gw.errors import UpstreamConnectError
from helicone_gw.testing import RecordedRequest, ScriptedProvider, ScriptedResponse, of_events, of_json
from helicone_gw.testing.faults import empty, junk

EVENTS = (b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n")
LINE = b"POST /v1/x HTTP/1.1\r\nHost: test\r\n"


@asynccontextmanager
async def serving(
    *script: ScriptedResponse | Callable[..., ScriptedResponse],
) -> AsyncIterator[tuple[ScriptedProvider, httpx.AsyncClient]]:
    provider = ScriptedProvider(*script)
    async with (
        provider.serve() as base_url,
        httpx.AsyncClient(base_url=base_url, timeout=30, trust_env=False) as client,
    ):
        yield provider, client


@asynccontextmanager
async def raw(base_url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    address = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def read_into(received: bytearray, body: AsyncIterator[bytes]) -> None:
    async for part in body:
        received += part


async def write_without_end(writer: asyncio.StreamWriter) -> None:
    writer.transport.set_write_buffer_limits(high=0)
    while True:
        writer.write(b"x" * 1_000_000)
        await writer.drain()


async def test_a_real_client_gets_status_headers_and_body() -> None:
    async with serving(of_json({"a": 1}, 418, {"X-Request-Id": "r1"})) as (provider, client):
        response = await client.post("/v1/chat/completions?q=1", json={"model": "m"}, headers={"X-One": "1"})
    assert (response.status_code, response.json(), response.headers["x-request-id"]) == (418, {"a": 1}, "r1")
    (seen,) = provider.requests
    assert (seen.method, seen.target, seen.json()) == ("POST", "/v1/chat/completions?q=1", {"model": "m"})
    assert seen.headers.get("x-one") == "1"
    assert seen.answered.is_set()
    assert not seen.closed_by_client.is_set()


async def test_the_connection_is_kept_for_the_next_request() -> None:
    async with serving(of_json({}), of_events(*EVENTS), empty(204), of_json({})) as (provider, client):
        for _ in range(4):
            await client.post("/", content=b"x" * 100_000)
    assert [seen.connection for seen in provider.requests] == [1, 1, 1, 1]
    assert provider.connections == 1


@pytest.mark.parametrize("header", [{"Connection": "close"}])
async def test_a_client_may_ask_to_close_it(header: dict[str, str]) -> None:
    async with serving(of_json({}), of_json({})) as (provider, client):
        first = await client.get("/", headers=header)
        await client.get("/")
    assert first.headers["connection"] == "close"
    assert provider.connections == 2


async def test_a_stream_arrives_event_by_event() -> None:
    async with serving(of_events(*EVENTS)) as (_, client), client.stream("GET", "/") as response:
        assert response.headers["transfer-encoding"] == "chunked"
        assert b"".join([part async for part in response.aiter_raw()]) == b"".join(EVENTS)


async def test_a_chunked_request_is_put_together() -> None:
    async def upload() -> AsyncIterator[bytes]:
        for part in (b"one ", b"two ", b"x" * 200_000):
            yield part

    async with serving(of_json({})) as (provider, client):
        await client.post("/", content=upload())
    assert provider.requests[0].body == b"one two " + b"x" * 200_000


async def test_a_chunked_request_may_have_extensions_and_trailers() -> None:
    provider = ScriptedProvider(of_json({}), of_json({}))
    async with provider.serve() as url, raw(url) as (reader, writer):
        body = b"3;name=value\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: yes\r\n\r\n"
        writer.write((LINE + b"Transfer-Encoding: chunked\r\n\r\n" + body) * 2)
        await provider.received(2)
        assert [seen.body for seen in provider.requests] == [b"abcde", b"abcde"]
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 OK")


async def test_requests_sent_at_once_are_answered_in_order() -> None:
    provider = ScriptedProvider(of_json(1), of_json(2), of_json(3))
    async with provider.serve() as url, raw(url) as (reader, writer):
        writer.write((LINE + b"Content-Length: 2\r\n\r\nhi") * 2 + LINE + b"Connection: close\r\n\r\n")
        answer = await reader.read()
    assert [part[-1:] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [b"1", b"2", b"3"]


async def test_continue_is_said_when_it_is_expected() -> None:
    provider = ScriptedProvider(of_json({}))
    async with provider.serve() as url, raw(url) as (reader, writer):
        writer.write(LINE + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert provider.requests[0].body == b"hi"


async def test_compressed_answers() -> None:
    async with serving(of_events(*EVENTS).gzipped()) as (_, client), client.stream("GET", "/") as response:
        wire = b"".join([part async for part in response.aiter_raw()])
    assert gzip.decompress(wire) == b"".join(EVENTS)


async def test_dripping_arrives_whole() -> None:
    async with serving(of_json({"text": "äöü"}).dripped(1)) as (_, client):
        assert (await client.get("/")).json() == {"text": "äöü"}


@pytest.mark.parametrize("how", ["close", "half_close", "reset"])
async def test_dropped_before_the_head(how: str) -> None:
    async with serving(of_json({}).cut("before_head", how=how)) as (provider, client):  # type: ignore[arg-type]
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await client.post("/")
    assert provider.requests[0].received.is_set()


@pytest.mark.parametrize("how", ["close", "half_close", "reset"])
@pytest.mark.parametrize("response", [of_json({"a": "b" * 100}), of_events(*EVENTS)])
async def test_cut_in_the_body(response: ScriptedResponse, how: str) -> None:
    async with (
        serving(response.cut(bytes=12, how=how)) as (provider, client),  # type: ignore[arg-type]
        client.stream("GET", "/") as answer,
    ):
        received = bytearray()
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await read_into(received, answer.aiter_raw())
        assert received == response.body[: len(received)]
        assert len(received) <= 12
    assert provider.requests[0].bytes_sent == 12


async def test_a_reset_is_a_reset() -> None:
    provider = ScriptedProvider(of_events(*EVENTS).cut(events=1, how="reset"))
    async with provider.serve() as url, raw(url) as (reader, writer):
        writer.write(LINE + b"\r\n")
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_after_a_half_close_the_provider_still_listens() -> None:
    provider = ScriptedProvider(of_events(*EVENTS).cut(events=1, how="half_close"))
    async with provider.serve() as url, raw(url) as (reader, writer):
        writer.write(LINE + b"\r\n")
        answer = await reader.read()
        assert EVENTS[0] in answer
        writer.write(b"still here")
        await writer.drain()
        assert not provider.requests[0].closed_by_client.is_set()
        writer.close()
        await provider.requests[0].closed_by_client.wait()


async def test_after_the_head_and_then_nothing() -> None:
    async with (
        serving(of_events(*EVENTS).cut("after_head", how="hang")) as (provider, client),
        client.stream("GET", "/", timeout=httpx.Timeout(30, read=0.05)) as response,
    ):
        assert response.status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            await response.aread()
        await response.aclose()
        await provider.requests[0].closed_by_client.wait()


async def test_a_client_that_goes_away_is_noticed() -> None:
    async with serving(of_events(*EVENTS).cut(events=1, how="hang")) as (provider, client):
        async with client.stream("GET", "/") as response:
            async for part in response.aiter_raw():
                assert part == EVENTS[0]
                assert not provider.closed_by_client.is_set()
                break
        await provider.closed_by_client.wait()
        seen = provider.requests[0]
        assert seen.closed_at is not None
        assert not seen.answered.is_set()


async def test_a_client_that_goes_away_during_a_pause_or_delay_is_noticed() -> None:
    for response in (of_events(*EVENTS).paced(3600), of_json({}).delayed(3600)):
        provider = ScriptedProvider(response)
        async with provider.serve() as url:
            async with raw(url) as (_, writer):
                writer.write(LINE + b"\r\n")
                await provider.received()
            await provider.closed_by_client.wait()


async def test_a_client_that_goes_away_while_it_sends_is_noticed() -> None:
    provider = ScriptedProvider(of_json({}))
    async with provider.serve() as url:
        async with raw(url) as (_, writer):
            writer.write(LINE + b"Content-Length: 100\r\n\r\nonly this")
            await writer.drain()
            while not provider.requests:
                await asyncio.sleep(0)
        await provider.closed_by_client.wait()
        assert not provider.requests[0].received.is_set()


async def test_an_early_answer_comes_before_the_request_is_sent() -> None:
    provider = ScriptedProvider(of_json({"error": "too large"}, 413).early())
    async with provider.serve() as url, raw(url) as (reader, writer):
        writer.write(LINE + b"Content-Length: 1000000000\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in answer.lower()
        assert answer.endswith(b'{"error":"too large"}')
        writer.write(b"x" * 1000)
        await writer.drain()


async def test_a_provider_that_reads_nothing_holds_its_client_up() -> None:
    provider = ScriptedProvider(of_json({}).early().cut("before_head", how="hang"))
    async with provider.serve() as url, raw(url) as (_, writer):
        writer.write(LINE + b"Content-Length: 1000000000\r\n\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(write_without_end(writer), 0.2)
        writer.transport.abort()


async def test_wrong_lengths() -> None:
    async with serving(of_json({"a": 1}).claiming_length(100), of_json({"a": 1}).claiming_length(3)) as (_, client):
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed"):
            await client.get("/")
        assert (await client.get("/")).content == b'{"a'


async def test_junk() -> None:
    async with serving(junk()) as (_, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")


async def test_a_body_may_end_with_the_connection() -> None:
    async with serving(of_events(*EVENTS).framed("close")) as (_, client):
        response = await client.get("/")
    assert response.content == b"".join(EVENTS)
    assert "content-length" not in response.headers
    assert response.headers["connection"] == "close"


async def test_the_head_of_a_head_request() -> None:
    async with serving(of_json({"a": 1}), of_events(*EVENTS), of_json({})) as (provider, client):
        assert (await client.head("/")).headers["content-length"] == "7"
        await client.head("/")
        assert (await client.get("/")).json() == {}
    assert provider.connections == 1


async def test_a_status_that_nobody_registered() -> None:
    async with serving(of_json({}, 599)) as (_, client):
        assert (await client.get("/")).status_code == 599


async def test_an_answer_that_raises_a_gateway_error_resets_the_connection() -> None:
    def refuse(request: RecordedRequest) -> ScriptedResponse:
        raise UpstreamConnectError("no route")

    async with serving(refuse) as (_, client):
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await client.get("/")


async def test_an_answer_that_fails_fails_the_test() -> None:
    def wrong(request: RecordedRequest) -> ScriptedResponse:
        raise AssertionError("not what was expected")

    async def visit() -> None:
        async with serving(wrong) as (_, client):
            with pytest.raises(httpx.HTTPError):
                await client.get("/")

    with pytest.raises(ExceptionGroup) as problem:
        await visit()
    assert problem.group_contains(AssertionError, match="not what was expected")


async def test_a_request_that_is_not_http_fails_the_test() -> None:
    async def visit() -> None:
        async with ScriptedProvider().serve() as url, raw(url) as (reader, writer):
            writer.write(b"what is this\r\n\r\n")
            assert await reader.read() == b""

    with pytest.raises(ExceptionGroup) as problem:
        await visit()
    assert problem.group_contains(ValueError, match="not an HTTP/1 request")


async def test_many_connections_at_once() -> None:
    provider = ScriptedProvider(default=of_events(*EVENTS))
    async with provider.serve() as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        answers = await asyncio.gather(*(client.get("/") for _ in range(50)))
    assert {answer.content for answer in answers} == {b"".join(EVENTS)}
    assert len(provider.requests) == 50
    assert provider.connections > 1


async def test_afterwards_nothing_listens_and_nothing_is_left() -> None:
    provider = ScriptedProvider(of_json({}).cut("before_head", how="hang"))
    async with provider.serve() as url, raw(url) as (_, writer):
        writer.write(LINE + b"\r\n")
        await provider.received()
    address = urlsplit(url)
    with pytest.raises(ConnectionError):
        await asyncio.open_connection(address.hostname, address.port)
    assert asyncio.all_tasks() == {asyncio.current_task()}
