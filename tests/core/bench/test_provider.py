"""The mock provider on a real socket: what scripts ask for, in whatever pieces a request comes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from helicone_gw.bench.load import Load, request_bytes
from helicone_gw.bench.plan import Plan
from helicone_gw.bench.provider import Provider, serve
from helicone_gw.bench.workload import STREAM_HEAD, Script, reply, stream_chunks


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    stop = asyncio.Event()
    serving = asyncio.ensure_future(serve(listener, stop))
    yield listener.getsockname()[1]
    stop.set()
    await serving


async def answer(port: int, *pieces: bytes, size: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return await asyncio.wait_for(reader.readexactly(size), 10)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_reply(port: int) -> None:
    assert await answer(port, request_bytes(Plan(port=port, requests=1)), size=len(reply())) == reply()


async def test_a_stream_at_once_and_one_that_is_paced(port: int) -> None:
    wanted = STREAM_HEAD + b"".join(stream_chunks(5))
    for pause in (0, 1):
        request = request_bytes(Plan(port=port, requests=1, script=Script(events=5, pause=pause)))
        assert await answer(port, request, size=len(wanted)) == wanted


async def test_usage_is_told_when_it_is_asked_for(port: int) -> None:
    body = b'{"stream":true,"stream_options":{"include_usage":true},"text":"bench:5,0,0;"}'
    request = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    wanted = STREAM_HEAD + b"".join(stream_chunks(5, usage=True))
    assert await answer(port, request, size=len(wanted)) == wanted


async def test_requests_in_pieces_in_chunks_and_one_behind_the_other(port: int) -> None:
    request = request_bytes(Plan(port=port, requests=1, body_size=300))
    half = len(request) // 2
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{ }\r\n0\r\n\r\n"
    got = await answer(port, request[:half], request[half:] + chunked + request, size=3 * len(reply()))
    assert got == 3 * reply()


async def test_the_two_helpers_agree(port: int) -> None:
    for script in (Script(), Script(events=30), Script(reply=200 << 10), Script(events=10, pause=1)):
        outcome = await Load(Plan(port=port, requests=40, connections=8, script=script)).run()
        assert (outcome.bad, outcome.faults) == (0, {})
        assert outcome.events == 40 * (script.events + 1 if script.events else 0)


async def test_a_connection_that_ends_in_the_middle_of_a_stream_stops_its_timer(port: int) -> None:
    request = request_bytes(Plan(port=port, requests=1, script=Script(events=1000, pause=1)))
    got = await answer(port, request, size=len(STREAM_HEAD))
    assert got == STREAM_HEAD
    assert isinstance(Provider(), asyncio.Protocol)
