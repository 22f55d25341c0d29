"""FastTransport as an httpx transport: what plugins' `httpx.AsyncClient` gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from helicone_gw.upstream.transport import FastTransport, Timeouts
from tests.core.upstream.http1.serving import OK, Served, answering, serving, transport, turns

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def client(made: FastTransport, **options: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=made, trust_env=False, **options)  # type: ignore[arg-type]


async def test_a_call_through_httpx() -> None:
    seen: list[bytes] = []

    async def script(served: Served) -> None:
        while True:
            seen.append(await served.request())
            await served.say(b"HTTP/1.1 201 Made\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 11\r\n\r\n" + b'{"ok":true}')

    async with serving(script) as server, transport() as made:
        url = f"http://127.0.0.1:{server.origin.port}/v1/x?a=b%20c"
        async with client(made) as http:
            for _ in range(2):
                answer = await http.post(url, json={"a": 1})
            assert (answer.status_code, answer.json()) == (201, {"ok": True})
            assert answer.http_version == "HTTP/1.1"
            assert answer.headers.get_list("x-a") == ["1", "2"]
            assert made.counters.opened == 1
    assert seen[0].startswith(b"POST /v1/x?a=b%20c HTTP/1.1\r\nHost: 127.0.0.1:")
    assert seen[0].lower().count(b"content-length: 7") == 1
    assert seen[0].endswith(b'\r\n\r\n{"a":1}')


async def upload() -> AsyncIterator[bytes]:
    yield b"abc"
    yield b"def"


@pytest.mark.parametrize(
    ("headers", "wire"),
    [
        ({}, b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"),
        ({"Content-Length": "6"}, b"content-length: 6\r\n\r\nabcdef"),
    ],
)
async def test_a_stream_is_framed_once(headers: dict[str, str], wire: bytes) -> None:
    said = b""

    async def script(served: Served) -> None:
        nonlocal said
        said = await served.reader.readuntil(wire[-5:])
        await served.say(OK)
        await served.gone()

    async with serving(script) as server, transport() as made, client(made) as http:
        answer = await http.post(f"http://127.0.0.1:{server.origin.port}/", content=upload(), headers=headers)
        assert answer.content == b"ok"
    assert said.endswith(wire)
    assert said.lower().count(b"\r\ncontent-length") + said.lower().count(b"\r\ntransfer-encoding") == 1


async def test_a_reply_is_streamed_and_may_be_left() -> None:
    async def script(served: Served) -> None:
        await served.request()
        await served.say(CHUNKED, b"1\r\na\r\n")
        await served.gone()

    async with serving(script) as server, transport() as made, client(made) as http:
        async with http.stream("GET", f"http://127.0.0.1:{server.origin.port}/") as answer:
            assert await anext(answer.aiter_raw()) == b"a"
        assert made.counters.open == 0


@pytest.mark.parametrize("phase", ["connect", "read", "write", "pool"])
async def test_the_timeouts_of_a_request_are_kept(phase: str) -> None:
    never = asyncio.Event()

    async def script(served: Served) -> None:
        if phase == "write":
            served.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await never.wait()

    timeout = httpx.Timeout(5, **{phase: 0.05})
    expected = {
        "connect": httpx.ConnectTimeout,
        "read": httpx.ReadTimeout,
        "write": httpx.WriteTimeout,
        "pool": httpx.PoolTimeout,
    }[phase]

    async def resolve(host: str, port: int) -> list[object]:
        await never.wait()
        return []

    async with serving(script) as server, transport(total=1, resolve=resolve) as made:
        url = f"http://{'llm.example' if phase == 'connect' else '127.0.0.1'}:{server.origin.port}/"
        async with client(made, timeout=timeout) as http:
            if phase == "pool":
                holding = asyncio.ensure_future(http.get(url, timeout=5))
                await turns(10)
            with pytest.raises(expected):
                await http.post(url, content=b"x" * 2**26 if phase == "write" else b"x")
            if phase == "pool":
                holding.cancel()
                await asyncio.gather(holding, return_exceptions=True)


async def test_reading_is_patient_from_the_end_of_the_request_on() -> None:
    async def script(served: Served) -> None:
        await served.reader.readexactly(1)
        while len(await served.reader.read(2**16)) == 2**16:
            pass
        await served.say(OK)
        await served.gone()

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(10):
            await asyncio.sleep(0.03)
            yield b"x"

    patience = httpx.Timeout(5, read=0.2)
    async with serving(script) as server, transport() as made, client(made, timeout=patience) as http:
        answer = await http.post(f"http://127.0.0.1:{server.origin.port}/", content=slow())
        assert answer.content == b"ok"


async def test_without_timeouts_the_transports_own_hold() -> None:
    async def script(served: Served) -> None:
        await served.gone()

    async with serving(script) as server, transport(first_byte=0.05) as made:
        with pytest.raises(httpx.ReadTimeout):
            await made.handle_async_request(httpx.Request("GET", f"http://127.0.0.1:{server.origin.port}/"))


async def test_no_timeout_is_none() -> None:
    async def script(served: Served) -> None:
        await served.request()
        await asyncio.sleep(0.1)
        await served.say(OK)
        await served.gone()

    hasty = transport(first_byte=0.02, idle=0.02)
    async with serving(script) as server, hasty as made, client(made, timeout=None) as http:
        assert (await http.get(f"http://127.0.0.1:{server.origin.port}/")).content == b"ok"


@pytest.mark.parametrize("url", ["ftp://llm.example/", "ws://llm.example/"])
async def test_other_schemes_are_refused(url: str) -> None:
    made = FastTransport(Timeouts(1, 1, 1))
    with pytest.raises(httpx.UnsupportedProtocol):
        await made.handle_async_request(httpx.Request("GET", url))


async def test_a_body_that_is_not_asynchronous_is_refused() -> None:
    def body() -> Iterator[bytes]:
        yield b""

    made = FastTransport(Timeouts(1, 1, 1))
    with pytest.raises(httpx.LocalProtocolError):
        await made.handle_async_request(httpx.Request("POST", "http://llm.example/", content=body()))


@pytest.mark.parametrize("field", [("x", "a\r\nb: c"), ("x", "a\n"), ("x y", "a"), ("x:", "a")])
async def test_headers_that_would_split_a_request_are_refused(field: tuple[str, str]) -> None:
    made = FastTransport(Timeouts(1, 1, 1))
    with pytest.raises(httpx.LocalProtocolError):
        await made.handle_async_request(httpx.Request("GET", "http://llm.example/", headers=[field]))


async def test_ipv6_addresses() -> None:
    try:
        async with serving(answering(OK), host="::1") as server, transport() as made, client(made) as http:
            assert (await http.get(f"http://[::1]:{server.origin.port}/")).content == b"ok"
    except OSError:
        pytest.skip("this machine has no IPv6")
