"""What of the transport over aiohttp the conformance suite does not see: httpx's own exceptions, phase by phase."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from helicone_gw.upstream.aiohttp_transport import AiohttpTransport
from tests.core.upstream.conformance.peer import OK, Connection, each, listening, once

SOON = 0.05
Make = Callable[..., AiohttpTransport]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[AiohttpTransport] = []

    def make(**limits: Any) -> AiohttpTransport:
        per_host = limits.pop("per_host", 0)
        made.append(
            AiohttpTransport(verify=ssl.create_default_context(), limits=httpx.Limits(**limits), per_host=per_host)
        )
        return made[-1]

    yield make
    for transport in made:
        await transport.aclose()


def request(url: str, content: Any = b"{}", **timeouts: float) -> httpx.Request:
    return httpx.Request("POST", url, content=content, extensions={"timeout": timeouts})


async def silent(connection: Connection) -> None:
    await connection.request()
    await connection.gone()


async def deaf(connection: Connection) -> None:
    connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


async def test_waiting_for_a_place_is_a_pool_timeout(make: Make) -> None:
    transport = make(max_connections=1)
    async with listening(once(b"HTTP/1.1 200 OK\r\n\r\n", then="wait")) as peer:
        held = await transport.handle_async_request(request(peer.url))
        with pytest.raises(httpx.PoolTimeout):
            await transport.handle_async_request(request(peer.url, pool=SOON, connect=5, read=5))
        await held.aclose()


async def test_one_host_has_a_bound_of_its_own(make: Make) -> None:
    transport = make(max_connections=10, per_host=1)
    async with listening(once(b"HTTP/1.1 200 OK\r\n\r\n", then="wait")) as peer, listening(each(OK)) as other:
        held = await transport.handle_async_request(request(peer.url))
        with pytest.raises(httpx.PoolTimeout):
            await transport.handle_async_request(request(peer.url, pool=SOON))
        answer = await transport.handle_async_request(request(other.url, pool=SOON))
        assert await answer.aread() == b"ok"
        await held.aclose()


async def test_waiting_for_tls_is_a_connect_timeout(make: Make) -> None:
    async with listening(lambda connection: connection.gone()) as peer:
        with pytest.raises(httpx.ConnectTimeout):
            await make().handle_async_request(request(peer.url.replace("http:", "https:"), connect=SOON, read=5))


@pytest.mark.parametrize("content", ["bytes", "stream"])
async def test_waiting_for_a_server_that_does_not_read_is_a_write_timeout(make: Make, content: str) -> None:
    async def stream() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    body = b"x" * (32 << 20) if content == "bytes" else stream()
    async with listening(deaf) as peer:
        with pytest.raises(httpx.WriteTimeout):
            await make().handle_async_request(request(peer.url, body, write=SOON, read=5))


@pytest.mark.parametrize("content", [b"{}", b"x" * 100_000])
async def test_waiting_for_an_answer_is_a_read_timeout(make: Make, content: bytes) -> None:
    async with listening(silent) as peer:
        with pytest.raises(httpx.ReadTimeout):
            await make().handle_async_request(request(peer.url, content, write=5, read=SOON))


async def test_waiting_for_the_body_is_a_read_timeout(make: Make) -> None:
    async with listening(once(b"HTTP/1.1 200 OK\r\n\r\nab", then="wait")) as peer:
        answer = await make().handle_async_request(request(peer.url, read=SOON))
        with pytest.raises(httpx.ReadTimeout):
            await answer.aread()
        await answer.aclose()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (once(b"garbage\r\n\r\n"), httpx.RemoteProtocolError),
        (once(b""), httpx.RemoteProtocolError),
        (
            once(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
            httpx.RemoteProtocolError,
        ),
        (once(b"", then="reset"), httpx.ReadError),
    ],
)
async def test_what_breaks_has_httpx_s_name(make: Make, script: Any, error: type[Exception]) -> None:
    async with listening(script) as peer:
        with pytest.raises(error) as raised:
            await make().handle_async_request(request(peer.url))
    assert "127.0.0.1" not in str(raised.value)


async def test_other_schemes_are_not_known(make: Make) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        await make().handle_async_request(request("ftp://127.0.0.1/"))


async def test_once_closed_it_stays_closed(make: Make) -> None:
    transport = make()
    async with listening(each(OK)) as peer:
        assert await (await transport.handle_async_request(request(peer.url))).aread() == b"ok"
        await transport.aclose()
        await transport.aclose()
        with pytest.raises(httpx.ConnectError):
            await transport.handle_async_request(request(peer.url))
    await make().aclose()


async def test_the_version_and_the_reason_are_told(make: Make) -> None:
    async with listening(each(b"HTTP/1.0 200 Fine\r\nContent-Length: 0\r\n\r\n")) as peer:
        answer = await make().handle_async_request(request(peer.url))
        assert (answer.http_version, answer.reason_phrase) == ("HTTP/1.0", "Fine")
        await answer.aclose()
