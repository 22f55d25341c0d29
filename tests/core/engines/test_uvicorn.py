"""The engine uvicorn: bounds and refusals of its connections, and what they must not disturb."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from helicone_gw import ConfigError
from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.engines import load_engine, uvicorn
from helicone_gw.engines.http1.limits import Limits
from tests.core.engines.served import answer, ask, connected, echo, lifespan, rest, served, statuses_in, whole

HEAD = b"Host: gateway.example\r\n"
LAST = b"GET /last HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n"


def get(path: bytes = b"/", *fields: bytes) -> bytes:
    return b"GET %s HTTP/1.1\r\n" % path + HEAD + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with served("uvicorn", echo) as number:
        yield number


def test_what_is_missing_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("helicone_gw.engines.uvicorn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ConfigError, match=r"server.engine: uvicorn needs .*pip install 'helicone-gw\[uvicorn\]'"):
        load_engine("uvicorn")


async def test_a_request_is_the_same_wherever_its_packets_end(port: int) -> None:
    sent = b"POST /a%20b HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\nConnection: close\r\n\r\nhello"
    for at in range(1, len(sent)):
        assert (await ask(port, sent[:at], sent[at:])).endswith(b"POST /a b hello")


@pytest.mark.parametrize("lines", [b"\n", b"\r\n", b"\r\n\r\n"])
async def test_empty_lines_may_come_before_a_request(lines: bytes, port: int) -> None:
    assert statuses_in(await ask(port, lines, LAST)) == [200]
    assert statuses_in(await ask(port, get() + lines, lines, LAST)) == [200, 200]


async def test_nobody_says_whose_connection_it_is() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        seen.extend((scope["client"][0], scope["scheme"]))
        await answer(send, b"")

    async with served("uvicorn", app) as port:
        await ask(port, get(b"/", b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-Proto: https", b"Connection: close"))
    assert seen == ["127.0.0.1", "http"]


async def test_an_upgrade_that_is_not_had_is_ignored_wherever_its_packets_end(port: int) -> None:
    fields = b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
    for length in (b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"):
        sent = b"POST / HTTP/1.1\r\n" + HEAD + fields + length
        for at in range(1, len(sent)):
            assert (await ask(port, sent[:at], sent[at:])).endswith(b"POST / hello")
    assert (await ask(port, get(b"/", fields[:-2]))).endswith(b"GET / ")


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: gate", get() + b"GET /"])
async def test_a_head_has_a_time_to_arrive_in(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn, "LIMITS", Limits(header_timeout=0.05))
    async with served("uvicorn", echo) as port:
        expected = [200, 408] if sent.startswith(get()) else [408] if sent else []
        assert statuses_in(await ask(port, sent)) == expected


async def test_a_trickle_does_not_prolong_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn, "LIMITS", Limits(header_timeout=0.1))
    async with served("uvicorn", echo) as port, connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + HEAD)
        ended = asyncio.ensure_future(rest(reader))
        while not ended.done():
            writer.write(b"X: y\r\n")
            await asyncio.sleep(0.01)
        assert statuses_in(ended.result()) == [408]


async def test_a_body_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn, "LIMITS", Limits(header_timeout=0.05))
    async with served("uvicorn", echo) as port, connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\nConnection: close\r\n\r\n")
        for letter in b"hello":
            await asyncio.sleep(0.03)
            writer.write(bytes([letter]))
        assert (await rest(reader)).endswith(b"POST / hello")


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (414, get(b"/" + b"a" * 17_000)),
        (414, b"GET /" + b"a" * 100_000),
        (414, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n"),
        (431, b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"a" * 100_000),
        (431, get(b"/", b"X: " + b"a" * 66_000)),
        (431, get(b"/", *[b"X: a"] * Limits().fields)),
    ],
)
@pytest.mark.parametrize("piece", [1_000, 200_000])
async def test_a_head_is_bounded_however_it_comes(status: int, sent: bytes, piece: int, port: int) -> None:
    pieces = [sent[at : at + piece] for at in range(0, len(sent), piece)]
    assert statuses_in(await ask(port, *pieces)) == [status]


async def test_a_large_body_is_no_large_head(port: int) -> None:
    body = b"x" * 200_000
    sent = b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 200000\r\nConnection: close\r\n\r\n" + body
    assert (await ask(port, sent)).endswith(b"POST / " + body)
    assert statuses_in(await ask(port, get(b"/", *[b"X: a"] * (Limits().fields - 1)) + LAST)) == [200, 200]


@pytest.mark.parametrize("length", [True, False])
async def test_an_absolute_target_brings_its_own_host(length: bool) -> None:
    seen: list[list[bytes]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        seen.append([scope["raw_path"], *(value for name, value in scope["headers"] if name == b"host")])
        await answer(send, b"", length=length)

    async with served("uvicorn", app) as port:
        await ask(port, b"GET http://other.example:81/a%2Fb?c HTTP/1.1\r\nHost: gateway.example\r\n\r\n" + LAST)
    assert seen == [[b"/a%2Fb", b"other.example:81"], [b"/last", b"gateway.example"]]


async def test_http_1_0_ends_bodies_with_the_connection(port: int) -> None:
    unknown = await ask(port, b"POST /stream HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
    head, _, body = unknown.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert body == b"POST /stream hello"
    known = await ask(port, b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
    assert known.endswith(b"content-length: 12\r\nconnection: close\r\n\r\nPOST / hello")


@pytest.mark.parametrize(
    "junk", [b"JUNK\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n"]
)
async def test_a_refusal_waits_for_the_answers_before_it(junk: bytes) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await asyncio.sleep(0.05)
        await echo(scope, receive, send)

    async with served("uvicorn", slow) as port:
        said = await ask(port, get(b"/1") + get(b"/2") + junk + b"\r\n" + LAST)
    assert statuses_in(said) == [200, 200, 400]
    assert said.index(b"GET /1") < said.index(b"GET /2") < said.index(b"invalid_request_error")


async def test_a_body_that_cannot_be_read_ends_its_own_request_and_no_other() -> None:
    told: list[bytes | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        body = await whole(receive)
        told.append(body)
        await asyncio.sleep(0.05)
        await answer(send, b"served")

    bad = b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX"
    async with served("uvicorn", app) as port:
        assert statuses_in(await ask(port, bad)) == [400]
        assert statuses_in(await ask(port, get() + bad)) == [200, 400]
        assert told == [b""], "it never ran"


async def test_whoever_runs_hears_of_the_client_leaving_even_with_requests_ahead() -> None:
    started, left = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await whole(receive)
        started.set()
        if (await receive())["type"] == "http.disconnect":
            left.set()

    async with served("uvicorn", app) as port:
        async with connected(port) as (_, writer):
            writer.write(get() + get() + get())
            await started.wait()
        async with asyncio.timeout(10):
            await left.wait()


async def test_a_fault_of_the_application_is_answered_and_logged() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        raise RuntimeError("broken")

    async with served("uvicorn", app) as port:
        with capture_logs() as logs:
            assert statuses_in(await ask(port, get())) == [500]
    assert [entry["event"] for entry in logs] == ["the application failed"]


async def test_a_client_that_takes_nothing_for_long_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn, "LIMITS", Limits(stall=0.1))
    told = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await whole(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        if (await receive())["type"] == "http.disconnect":
            told.set()

    async with served("uvicorn", app) as port, connected(port) as (_, writer):
        writer.write(get())
        async with asyncio.timeout(20):
            await told.wait()
