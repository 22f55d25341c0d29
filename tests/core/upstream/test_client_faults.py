"""Every way in which a call can fail: it has its name, and its message gives nothing away."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from helicone_gw import (
    BadRequest,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from helicone_gw.testing import ScriptedProvider, event, of_events, of_json
from helicone_gw.testing.faults import junk
from helicone_gw.upstream.client import NetworkUpstream, Timeouts
from tests.core.upstream.calling import SECRET, call, listening, says_nothing_it_should_not, whole

# Connecting


async def test_nobody_listens(upstream: NetworkUpstream) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UpstreamConnectError, match="Connection refused") as raised:
        await upstream(call(f"http://127.0.0.1:{port}"))
    says_nothing_it_should_not(raised.value)


async def test_a_name_that_nobody_has(upstream: NetworkUpstream) -> None:
    with pytest.raises(UpstreamConnectError) as raised:
        await upstream(call("http://nobody.invalid"))
    says_nothing_it_should_not(raised.value)
    assert "nobody.invalid" not in str(raised.value)


async def test_a_server_that_speaks_no_tls(upstream: NetworkUpstream) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with listening(plain) as base:
        with pytest.raises(UpstreamConnectError, match="TLS") as raised:
            await upstream(call(base.replace("http://", "https://")))
    says_nothing_it_should_not(raised.value)


FAULTS: list[tuple[Exception, type[UpstreamError]]] = [
    (httpx.ConnectTimeout("x"), UpstreamConnectError),
    (httpx.PoolTimeout("x"), UpstreamConnectError),
    (httpx.ConnectError("x"), UpstreamConnectError),
    (httpx.UnsupportedProtocol("x"), UpstreamConnectError),
    (httpx.WriteTimeout("x"), UpstreamTimeout),
    (httpx.ReadTimeout("x"), UpstreamTimeout),
    (httpx.ReadError("x"), UpstreamProtocolError),
    (httpx.WriteError("x"), UpstreamProtocolError),
    (httpx.RemoteProtocolError("x"), UpstreamProtocolError),
    (httpx.LocalProtocolError("x"), UpstreamProtocolError),
    (httpx.ProxyError("x"), UpstreamProtocolError),
    (httpx.DecodingError("x"), UpstreamProtocolError),
]


@pytest.mark.parametrize(("fault", "error"), FAULTS, ids=lambda value: getattr(value, "__name__", type(value).__name__))
@pytest.mark.parametrize("where", ["head", "body"])
async def test_every_fault_of_the_transport_has_its_name(
    fault: Exception, error: type[UpstreamError], where: str
) -> None:
    message = f"https://secret.example/v1?key={SECRET}"
    fault.args = (message,)

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"a"
            raise fault

    def answer(request: httpx.Request) -> httpx.Response:
        if where == "head":
            raise fault
        return httpx.Response(200, stream=Body())

    upstream = NetworkUpstream(Timeouts(1, 1, 1), httpx.MockTransport(answer))
    with pytest.raises(UpstreamError) as raised:
        await whole(upstream, call("https://secret.example"))
    assert type(raised.value) is error
    says_nothing_it_should_not(raised.value)


@pytest.mark.parametrize("tail", ["x" * 70_000, "\x01"])
async def test_a_url_that_is_none_is_the_clients_affair(upstream: NetworkUpstream, tail: str) -> None:
    with pytest.raises(BadRequest) as raised:
        await upstream(call(f"http://127.0.0.1:1/{tail}"))
    assert SECRET not in str(raised.value)


# Waiting


class Slow(httpx.AsyncBaseTransport):
    """A transport in virtual time: so long to the head, then a piece every so often."""

    def __init__(self, head: float, *pauses: float) -> None:
        self._head = head
        self._pauses = pauses

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.extensions = request.extensions
        await asyncio.sleep(self._head)
        pauses = self._pauses

        class Body(httpx.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                for pause in pauses:
                    await asyncio.sleep(pause)
                    yield b"x"

        return httpx.Response(200, stream=Body())


@pytest.mark.virtual_time
async def test_the_first_byte_is_waited_for_so_long() -> None:
    with pytest.raises(UpstreamTimeout, match="openai did not answer within 30 seconds"):
        await NetworkUpstream(Timeouts(5, 30, 5), Slow(31))(call("http://x"))
    assert await whole(NetworkUpstream(Timeouts(5, 30, 5), Slow(29, 1)), call("http://x")) == b"x"


@pytest.mark.virtual_time
async def test_a_call_may_ask_for_more_patience() -> None:
    upstream = NetworkUpstream(Timeouts(5, 30, 5), Slow(1000))
    assert (await upstream(call("http://x", first_byte_timeout=1800.0))).status == 200


@pytest.mark.virtual_time
async def test_silence_in_the_middle_is_bounded_and_the_whole_is_not() -> None:
    with pytest.raises(UpstreamTimeout, match="sent nothing for 5 seconds in the middle"):
        await whole(NetworkUpstream(Timeouts(5, 30, 5), Slow(0, 1, 6)), call("http://x"))
    assert len(await whole(NetworkUpstream(Timeouts(5, 30, 5), Slow(0, *[4] * 100)), call("http://x"))) == 100


async def test_phases_have_their_own_bounds() -> None:
    transport = Slow(0)
    await NetworkUpstream(Timeouts(1, 2, 3), transport)(call("http://x"))
    assert transport.extensions["timeout"] == {"connect": 1, "read": None, "write": 3, "pool": 2}


# Breaking


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("where", ["before_head", "after_head"])
async def test_a_connection_that_ends_early(upstream: NetworkUpstream, how: Any, where: Any) -> None:
    provider = ScriptedProvider(of_json({"a": 1}).cut(where, how=how))
    async with provider.serve() as base:
        with pytest.raises(UpstreamProtocolError, match="openai broke") as raised:
            await whole(upstream, call(base))
    says_nothing_it_should_not(raised.value)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_that_ends_early_after_what_came(upstream: NetworkUpstream, how: Any, framing: Any) -> None:
    script = of_events(event({"a": 1}), event({"b": 2})).framed(framing).cut(events=1, how=how)
    received = b""
    async with ScriptedProvider(script).serve() as base:
        response = await upstream(call(base))
        with pytest.raises(UpstreamProtocolError) as raised:
            async for piece in response.body:
                received += piece
        await response.close()
    says_nothing_it_should_not(raised.value)
    assert received == event({"a": 1}) or how == "reset"


async def test_what_is_not_http(upstream: NetworkUpstream) -> None:
    async with ScriptedProvider(junk()).serve() as base:
        with pytest.raises(UpstreamProtocolError) as raised:
            await upstream(call(base))
    says_nothing_it_should_not(raised.value)
