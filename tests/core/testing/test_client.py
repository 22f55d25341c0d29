"""The client in memory: whatever an ASGI application does, as a client of a real connection would see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from helicone_gw import Headers
from helicone_gw.testing import LiveReply, NoAnswer, Reply, ServerSentEvent
from helicone_gw.testing.client import WINDOW, http_scope

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

START = {"type": "http.response.start", "status": 200, "headers": [(b"X-A", b"1"), (b"x-a", b"2")]}


def body(data: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def call(app: Any, content: bytes | AsyncIterator[bytes] = b"") -> LiveReply:
    return LiveReply(app, http_scope("POST", "/some/path%20here?a=b", {"X-Mine": "yes"}), content)


async def test_the_scope_is_that_of_a_request_on_this_machine() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        seen.update(scope)
        await send(START)
        await send(body(b"", more=False))

    async with call(app) as live:
        assert await live.read() == b""
    assert (seen["method"], seen["path"], seen["query_string"]) == ("POST", "/some/path here", b"a=b")
    assert seen["raw_path"] == b"/some/path%20here"
    assert seen["headers"] == [(b"host", b"127.0.0.1:8787"), (b"x-mine", b"yes")]
    assert seen["client"][0] == "127.0.0.1"


async def test_the_body_of_the_request_arrives_whole_or_in_pieces() -> None:
    async def echo(scope: Any, receive: Receive, send: Send) -> None:
        pieces = []
        while True:
            message = await receive()
            pieces.append(message["body"])
            if not message["more_body"]:
                break
        await send(START)
        await send(body(b"|".join(pieces), more=False))

    async def upload() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with call(echo, b"whole") as live:
        assert await live.read() == b"whole"
    async with call(echo, upload()) as live:
        assert await live.read() == b"one|two|"


async def test_pieces_come_when_they_are_sent() -> None:
    more = asyncio.Event()

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"first"))
        await more.wait()
        await send(body(b"second", more=False))

    async with call(app) as live:
        await live.head()
        assert live.status == 200
        assert live.headers == Headers([(b"x-a", b"1"), (b"x-a", b"2")])
        assert await anext(live) == b"first"
        more.set()
        assert await anext(live) == b"second"
        with pytest.raises(StopAsyncIteration):
            await anext(live)
    assert not live.aborted


async def test_an_answer_without_its_end_was_aborted() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"half"))

    async with call(app) as live:
        assert await live.read() == b"half"
    assert live.aborted


async def test_a_client_that_leaves_is_a_disconnect_and_hears_nothing_more() -> None:
    heard = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send(START)
        await send(body(b"first"))
        heard.append((await receive())["type"])
        await send(body(b"to nobody"))

    async with call(app) as live:
        assert await anext(live) == b"first"
        await live.leave()
        assert heard == ["http.disconnect"]
        assert await live.read() == b""


async def test_the_end_of_the_block_is_a_departure() -> None:
    heard = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        heard.append((await receive())["type"])

    async with call(app):
        await asyncio.sleep(0)
    assert heard == ["http.disconnect"]


async def test_after_the_answer_the_connection_is_over_for_the_application_too() -> None:
    heard = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send(START)
        await send(body(b"all", more=False))
        heard.append((await receive())["type"])

    async with call(app) as live:
        assert await live.read() == b"all"
    assert heard == ["http.disconnect"]


async def test_a_client_that_does_not_read_holds_the_application_up() -> None:
    sent = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(START)
        for number in range(10):
            await send(body(bytes(WINDOW)))
            sent.append(number)
        await send(body(b"", more=False))

    async with call(app) as live:
        await live.head()
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(sent) == 1
        assert len(await live.read()) == 10 * WINDOW
        assert len(sent) == 10


async def test_a_client_that_leaves_without_reading_holds_nobody_up() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(START)
        for _ in range(10):
            await send(body(bytes(WINDOW)))

    async with call(app) as live:
        await live.head()


async def test_what_the_application_raises_is_raised_to_the_test() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        raise LookupError("a bug")

    with pytest.raises(LookupError, match="a bug"):
        async with call(app) as live:
            await live.head()


async def test_an_application_that_says_nothing_gave_no_answer() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        return

    async with call(app) as live:
        with pytest.raises(NoAnswer):
            _ = live.status
        with pytest.raises(NoAnswer):
            await live.head()


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([START, START], "twice"),
        ([body(b"x")], "before any head"),
        ([START, body(b"", more=False), body(b"x")], "after the end"),
        ([{"type": "http.trailers"}], "unknown ASGI message"),
    ],
)
async def test_what_no_server_would_take_is_refused(messages: list[Any], complaint: str) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    with pytest.raises(AssertionError, match=complaint):
        async with call(app) as live:
            await live.read()


def test_a_reply_reads_json_and_events() -> None:
    assert Reply(200, Headers(), b'{"a": 1}').json() == {"a": 1}
    stream = b': hello\n\ndata: {"n": 1}\n\nevent: stop\ndata: {"n": 2}\n\ndata: [DONE]\n\ndata: unended'
    events = Reply(200, Headers(), stream).events()
    assert events == [
        ServerSentEvent(b'{"n": 1}'),
        ServerSentEvent(b'{"n": 2}', "stop"),
        ServerSentEvent(b"[DONE]"),
        ServerSentEvent(b"unended"),
    ]
    assert events[1].json() == {"n": 2}
    assert Reply(200, Headers(), b"").events() == []
