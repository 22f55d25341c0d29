"""What an application that knows this server may do without messages: take a whole body, send a whole answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.engines.http1.errors import BadAnswer
from tests.core.engines.http1.serving import App, echo, reply, serving, until, whole_body

POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"


def shortcut(scope: Scope, name: str) -> Any:
    return scope["extensions"][f"helicone_gw.{name}"]


async def test_a_body_that_has_come_is_taken_once_and_for_all() -> None:
    taken: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        taken.extend((shortcut(scope, "whole_body")(), shortcut(scope, "whole_body")()))
        await reply(send, b"ok")
        taken.append(await receive())

    async with serving(app) as served, served.client() as client:
        for _ in range(2):
            await client.send(POST + b"hello")
            assert (await client.answer()).body == b"ok"
        await until(lambda: len(taken) == 6)
    assert taken == [b"hello", None, {"type": "http.disconnect"}] * 2


async def test_a_body_that_is_still_coming_is_received_as_ever() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        early = shortcut(scope, "whole_body")()
        body = await whole_body(receive)
        late = shortcut(scope, "whole_body")()
        await reply(send, repr((early, body, late)).encode())

    async with serving(app) as served, served.client() as client:
        for _ in range(2):
            await client.send(POST + b"he", b"llo")
            assert (await client.answer()).body == b"(None, b'hello', None)"


def answering(status: int, fields: list[tuple[bytes, bytes]], body: bytes, *, whole: bool) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if whole:
            shortcut(scope, "answer_whole")(status, fields, body)
        else:
            await send({"type": "http.response.start", "status": status, "headers": fields})
            await send({"type": "http.response.body", "body": body})

    return app


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize(
    ("status", "fields", "body"),
    [
        (200, [(b"x-one", b"1"), (b"content-length", b"2")], b"hi"),
        (200, [], b"hi"),
        (200, [], b""),
        (204, [(b"x-one", b"1")], b""),
        (500, [(b"connection", b"close")], b"oh"),
    ],
)
async def test_an_answer_in_one_call_is_the_same_as_in_two_messages(
    method: bytes, version: bytes, status: int, fields: list[tuple[bytes, bytes]], body: bytes
) -> None:
    said = []
    for whole in (True, False):
        async with serving(answering(status, fields, body, whole=whole)) as served, served.client() as client:
            await client.send(b"%b / HTTP/%b\r\nHost: a\r\nConnection: close\r\n\r\n" % (method, version))
            said.append(await client.rest())
    assert said[0] == said[1] != b""


async def test_the_connection_goes_on_after_it() -> None:
    async with serving(answering(200, [], b"hi", whole=True)) as served, served.client() as client:
        await client.send(POST + b"hello" + POST + b"hello")
        assert [(await client.answer()).body for _ in range(2)] == [b"hi", b"hi"]
        assert served.lane.counters.requests == 2
        assert not served.lane.cycles


async def test_what_cannot_be_said_is_refused() -> None:
    problems: list[BadAnswer] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            shortcut(scope, "answer_whole")(200, [(b"content-length", b"3")], b"hi")
        except BadAnswer as problem:
            problems.append(problem)

    async with serving(app) as served, served.client() as client:
        await client.send(POST + b"hello")
        assert (await client.answer()).status == 500
        assert len(problems) == 1


async def test_nothing_is_said_twice() -> None:
    problems: list[BadAnswer] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            shortcut(scope, "answer_whole")(200, [], b"hi")
        except BadAnswer as problem:
            problems.append(problem)
        await send({"type": "http.response.body", "body": b"first"})

    async with serving(app) as served, served.client() as client:
        await client.send(POST + b"hello")
        assert (await client.answer()).body == b"first"
        assert len(problems) == 1


async def test_nobody_is_there_to_take_it() -> None:
    called = asyncio.Event()
    gone = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/x":
            await echo(scope, receive, send)
            return
        called.set()
        assert (await whole_body(receive)) == b"hello"
        assert (await receive())["type"] == "http.disconnect"
        shortcut(scope, "answer_whole")(200, [], b"hi")
        gone.set()

    async with serving(app) as served:
        async with served.client() as client:
            await client.send(POST + b"hello")
            await called.wait()
        await gone.wait()
        await until(lambda: not served.lane.cycles)
        async with served.client() as client:
            await client.send(b"GET /y HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.answer()).status == 200
