"""The engine granian: what it lacks against the others and is made up for, and that it stops."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from helicone_gw import ConfigError
from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.engines import granian as engine
from helicone_gw.engines import load_engine
from tests.core.engines.served import answer, ask, connected, echo, rest, served, statuses_in, whole

HEAD = b"Host: gateway.example\r\nConnection: close\r\n"


def post(body: bytes, *fields: bytes) -> bytes:
    lines = b"".join(field + b"\r\n" for field in (b"Content-Length: %d" % len(body), *fields))
    return b"POST / HTTP/1.1\r\n" + HEAD + lines + b"\r\n" + body


def test_what_is_missing_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("helicone_gw.engines.granian", "granian"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "granian", None)
    with pytest.raises(ConfigError, match=r"server.engine: granian needs .*pip install 'helicone-gw\[granian\]'"):
        load_engine("granian")


async def test_requests_are_served() -> None:
    async with served("granian", echo) as port:
        assert (await ask(port, post(b"hello"))).endswith(b"POST / hello")
        assert (await ask(port, b"GET /stream HTTP/1.0\r\n\r\n")).endswith(b"\r\n\r\nGET /stream ")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: gate", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
async def test_a_connection_is_not_held_without_end(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither before a request, nor in the middle of a head, nor between two requests."""
    monkeypatch.setattr(engine, "KEEP_ALIVE", 0.2)
    async with served("granian", echo) as port:
        assert statuses_in(await ask(port, sent)) == ([200] if sent.endswith(b"\r\n\r\n") else [])


async def test_a_client_that_still_sends_gets_the_answer() -> None:
    """The application answers first and then reads on, as the gateway does with what it refuses."""
    read: list[bytes | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"too ", "more_body": True})
        await send({"type": "http.response.body", "body": b"large", "more_body": True})
        read.append(await whole(receive))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async with served("granian", app) as port, connected(port) as (reader, writer):
        writer.write(post(b"x" * 1_000_000)[:500_000])
        await asyncio.sleep(0.1)
        writer.write(b"x" * (len(post(b"x" * 1_000_000)) - 500_000))
        said = await rest(reader)
    assert statuses_in(said) == [413]
    assert said.endswith(b"\r\n\r\ntoo large")
    assert read == [b"x" * 1_000_000]


async def test_a_receive_that_is_cancelled_loses_nothing() -> None:
    """The gateway stops reading an upload whose answer came early, and reads on when the answer ends."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        first = (await receive())["body"]
        reading = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 - until granian has the end of the body, and the loop has not heard of it
        reading.cancel()
        await asyncio.wait({reading})
        assert reading.cancelled()
        async with asyncio.timeout(5):
            await answer(send, first + (await whole(receive) or b""))

    chunked = post(b"hello").replace(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    async with served("granian", app) as port:
        said = await ask(port, chunked.replace(b"\r\n\r\nhello", b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
    assert said.endswith(b"\r\n\r\nhello")


async def test_the_end_of_a_body_comes_with_its_last_byte() -> None:
    seen: list[tuple[bytes, bool]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        seen.append((message["body"], message["more_body"]))
        await answer(send, b"")

    async with served("granian", app) as port:
        await ask(port, post(b"hello"))
    assert seen == [(b"hello", False)]


async def test_an_answer_that_is_left_unfinished_does_not_look_finished() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async with served("granian", app) as port:
        said = await ask(port, b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n")
    assert b"half" in said
    assert not said.endswith(b"0\r\n\r\n")


async def test_a_body_that_cannot_be_read_is_refused() -> None:
    async with served("granian", echo) as port:
        bad = b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX"
        assert statuses_in(await ask(port, bad)) == [400]


async def test_a_fault_of_the_application_is_answered_and_logged() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    async with served("granian", app) as port:
        with capture_logs() as logs:
            assert statuses_in(await ask(port, post(b""))) == [500]
    assert [entry["event"] for entry in logs] == ["the application failed"]


@pytest.mark.parametrize("reading", [True, False])
async def test_a_websocket_is_closed_as_the_application_says(reading: bool) -> None:
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        pending = asyncio.ensure_future(receive()) if reading else None
        await asyncio.sleep(0.05)
        await send({"type": "websocket.close", "code": 4008, "reason": "over"})
        if pending is not None:
            heard.append((await pending)["type"])

    async with served("granian", app) as port, connect(f"ws://127.0.0.1:{port}/", proxy=None) as client:
        with pytest.raises(ConnectionClosed) as caught:
            await client.recv()
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4008, "over")
    assert heard == (["websocket.disconnect"] if reading else [])


async def test_what_outlasts_the_drain_is_cancelled_and_broken() -> None:
    cancelled = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with AsyncExitStack() as stays:
        async with served("granian", app, drain_timeout=0.1) as port:
            reader, writer = await stays.enter_async_context(connected(port))
            writer.write(b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n")
            await reader.readuntil(b"\r\n\r\n")  # and nothing more: the server is left with what it cannot send
        assert not (await rest(reader)).endswith(b"0\r\n\r\n")
    assert cancelled.is_set()


async def test_an_answer_that_nobody_takes_is_broken_once_the_drain_is_over() -> None:
    """The application is done with it, so that there is nobody to cancel."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"x" * (64 << 20))

    async with AsyncExitStack() as stays:
        with capture_logs() as logs:
            async with served("granian", app, drain_timeout=0.1) as port:
                reader, writer = await stays.enter_async_context(connected(port))
                writer.write(b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n")
                await reader.readuntil(b"\r\n\r\n")
        assert len(await rest(reader)) < 64 << 20
        assert not logs


async def test_answers_under_way_may_be_finished() -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        await go_on.wait()
        await answer(send, b"served")

    async with served("granian", app, drain_timeout=20) as port:
        asking = asyncio.ensure_future(ask(port, b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n"))
        await started.wait()
        asyncio.get_running_loop().call_later(0.2, go_on.set)
    assert (await asking).endswith(b"served")
