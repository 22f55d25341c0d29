"""Connections: requests in their order, bodies as they come, answers as they are made, clients that leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.engines.http1.limits import Limits
from helicone_gw.scope_extensions import ANSWER_WHOLE
from tests.core.engines.http1.serving import (
    HELLO,
    App,
    Recording,
    echo,
    reply,
    serving,
    statuses,
    until,
    whole_body,
)

CLOSE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


async def test_what_the_application_is_called_with() -> None:
    app = Recording()
    async with serving(app) as served, served.client() as client:
        await client.send(b"POST /a%20b?c=d HTTP/1.1\r\nHost: a\r\nX-One: Two\r\nContent-Length: 2\r\n\r\nhi")
        assert (await client.answer()).body == b"POST /a%20b hi"
        scope = app.scopes[0]
        assert scope.pop("client") == client.writer.get_extra_info("sockname")
        assert scope.pop("server") == ("127.0.0.1", served.port)
    for given in ("on_departure", "whole_body", "answer_whole"):
        assert scope["extensions"].pop(f"helicone_gw.{given}")
    assert scope.pop("asgi")["version"] == "3.0"
    assert scope == {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"c=d",
        "root_path": "",
        "headers": [(b"host", b"a"), (b"x-one", b"Two"), (b"content-length", b"2")],
        "state": {},
        "extensions": {
            "helicone_gw.head": b"POST /a%20b?c=d HTTP/1.1\r\nHost: a\r\nX-One: Two\r\nContent-Length: 2\r\n\r\n",
            "helicone_gw.memory": {},
            "helicone_gw.length": 2,
        },
    }
    assert app.messages == [{"type": "http.request", "body": b"hi", "more_body": False}]


async def test_requests_in_a_row_on_one_connection() -> None:
    async with serving(echo) as served, served.client() as client:
        for number in range(5):
            await client.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
            assert (await client.answer()).body == b"GET /%d " % number
        assert served.lane.counters.connections == 1
        assert served.lane.counters.requests == 5


async def test_pipelined_requests_are_answered_in_their_order_one_at_a_time() -> None:
    running = most = 0

    async def slower_first(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(max(0, 20 - int(scope["raw_path"][1:]))):
            await asyncio.sleep(0)
        running -= 1
        await echo(scope, receive, send)

    async with serving(slower_first) as served, served.client() as client:
        await client.send(
            b"".join(b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" % n for n in range(50))
        )
        assert [(await client.answer()).body for _ in range(50)] == [b"POST /%d x" % n for n in range(50)]
    assert most == 1


async def test_nothing_more_is_read_while_a_request_waits() -> None:
    release = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()
        await reply(send, b"ok")

    async with serving(slow) as served, served.client() as client:
        client.writer.write(HELLO * 400_000)  # more than the buffers of the sockets hold
        await until(lambda: served.lane.counters.requests == 1)
        for _ in range(100):
            await asyncio.sleep(0.001)
        (connection,) = served.lane.connections
        assert 0 < len(connection._ahead) <= 512 * 1024
        assert client.writer.transport.get_write_buffer_size() > 0
        release.set()
        for _ in range(1000):
            assert (await client.answer()).status == 200
        client.writer.transport.abort()


async def test_a_line_end_after_a_body_is_nothing() -> None:
    async with serving(echo) as served, served.client() as client:
        await client.send(HELLO + b"\r\n")
        assert (await client.answer()).status == 200
        await client.send(HELLO)
        assert (await client.answer()).status == 200


async def test_a_line_end_after_a_body_hides_no_departure() -> None:
    left, started = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        started.set()
        assert (await receive())["type"] == "http.disconnect"
        left.set()

    async with serving(app) as served:
        async with served.client() as client:
            await client.send(HELLO + b"\r\n")
            await started.wait()
            await client.send(b"\r\n", b"\n")
        await left.wait()


async def test_a_body_is_handed_on_as_it_comes() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": True})  # the head
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    async with serving(app) as served, served.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert b"chunked" in await client.reader.readuntil(b"\r\n\r\n")
        for word in (b"one", b"two"):
            await client.send(b"3\r\n%b\r\n" % word)
            assert await client.reader.readexactly(8) == b"3\r\n%b\r\n" % word
        await client.send(b"0\r\n\r\n")
        assert await client.reader.readexactly(5) == b"0\r\n\r\n"


async def test_a_body_that_nobody_takes_is_not_read() -> None:
    taken = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await taken.wait()
        await reply(send, b"%d" % len(await whole_body(receive)))

    size = 16 * 1024 * 1024
    async with serving(app, Limits(body=1000)) as served, served.client() as client:
        sending = asyncio.ensure_future(
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        )
        await until(lambda: any(connection.reader.held for connection in served.lane.connections))
        for _ in range(100):
            await asyncio.sleep(0.001)
        (connection,) = served.lane.connections
        assert connection.reader.held <= 1000 + 256 * 1024
        assert not sending.done()
        taken.set()
        assert (await client.answer()).body == b"%d" % size
        await sending


async def test_continue_is_said_when_the_body_is_wanted() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/no":
            await reply(send, b"no", status=403)
        else:
            await echo(scope, receive, send)

    head = b"POST %b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    async with serving(app) as served:
        async with served.client() as client:
            await client.send(head % b"/")
            assert (await client.answer()).status == 100
            await client.send(b"hi")
            assert (await client.answer()).body == b"POST / hi"
            await client.send(head % b"/" + b"hi")
            assert (await client.answer()).body == b"POST / hi"
        async with served.client() as client:
            await client.send(head % b"/no")
            answer = await client.answer()
            assert (answer.status, answer.fields[b"connection"]) == (403, b"close")
            assert await client.closed()
        async with served.client() as client:
            await client.send(head % b"/no" + b"hi", head % b"/no" + b"hi")
            assert [(await client.answer()).status, (await client.answer()).status] == [403, 403]


@pytest.mark.parametrize("pieces", [0, 1, 2])
async def test_an_answer_before_the_end_of_the_request_ends_the_connection_and_says_so(pieces: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if pieces:
            await reply(send, *[b"too large", b""][:pieces], status=413)
        else:
            scope["extensions"][ANSWER_WHOLE](413, (), b"too large")

    async with serving(app) as served, served.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n" + bytes(100_000))
        await client.send(bytes(100_000))
        answer = await client.answer()
        assert (answer.body, answer.fields[b"connection"]) == (b"too large", b"close")
        assert await client.closed()


@pytest.mark.parametrize(
    ("method", "status", "fields", "whole"),
    [
        (b"HEAD", 200, {b"content-length": b"5"}, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        (b"HEAD", 200, {}, b"HTTP/1.1 200 OK\r\n\r\n"),
        (b"GET", 204, {}, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", 304, {b"content-length": b"5"}, b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
        (b"GET", 200, {}, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
    ],
)
async def test_where_an_answer_ends(method: bytes, status: int, fields: dict[bytes, bytes], whole: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/last":
            await reply(send)
        else:
            await reply(send, b"hello", status=status, fields=fields)

    async with serving(app) as served:
        request = method + b" / HTTP/1.1\r\nHost: a\r\n\r\n"
        last = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        answer = await served.exchange(request + last)
        assert answer == whole + b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


async def test_http_1_0() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"one", b"two")

    async with serving(app) as served:
        assert await served.exchange(b"GET / HTTP/1.0\r\n\r\n") == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nonetwo"


async def test_pieces_of_one_turn_travel_together_and_none_waits_for_another() -> None:
    more = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (b"a", b"b", b"c"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await more.wait()
        await send({"type": "http.response.body", "body": b"d"})

    async with serving(app) as served, served.client() as client:
        await client.send(HELLO)
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        assert await client.reader.read(1000) == head + b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n"
        more.set()
        assert await client.reader.read(1000) == b"1\r\nd\r\n0\r\n\r\n"


async def test_a_slow_client_holds_the_application_back() -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(400):
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
            sent += 1
        await send({"type": "http.response.body", "body": b""})

    async with serving(app) as served, served.client(limit=64 * 1024) as client:
        await client.send(CLOSE)
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert 0 < sent < 200
        received = 0
        while data := await client.reader.read(2**20):
            received += len(data)
        assert received > 40_000_000
        assert sent == 400


async def test_a_slow_client_that_leaves_is_told_of_before_it_has_taken_all() -> None:
    left = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

        async def fill() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})

        filling = asyncio.ensure_future(fill())
        assert (await receive())["type"] == "http.disconnect"
        left.set()
        filling.cancel()
        await asyncio.wait({filling})

    async with serving(app) as served, served.client(limit=1000) as client:
        await client.send(HELLO)
        await until(lambda: any(connection.output.paused for connection in served.lane.connections))
        client.writer.write_eof()
        await left.wait()
        client.writer.transport.abort()


async def fails_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("nothing works")


async def fails_after_the_start(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("nothing works")


async def says_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def splits(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, b"x", fields={b"a": b"b\r\nset-cookie: c"})


async def says_too_little(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, b"x", fields={b"content-length": b"2"})


@pytest.mark.parametrize("app", [fails_at_once, fails_after_the_start, says_nothing, splits, says_too_little])
async def test_an_application_without_an_answer(app: App) -> None:
    with capture_logs() as logs:
        async with serving(app) as served, served.client() as client:
            await client.send(HELLO)
            answer = await client.answer()
            assert await client.closed()
    assert answer.status == 500
    assert answer.fields[b"connection"] == b"close"
    error = json.loads(answer.body)["error"]
    assert error == {
        "message": "The server failed to answer.",
        "type": "api_error",
        "param": None,
        "code": "internal_error",
    }
    assert len(logs) == (app is not says_nothing)


def breaking(fields: dict[bytes, bytes], then: Callable[[], None]) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(fields.items())})
        await send({"type": "http.response.body", "body": b"data: error\n\n", "more_body": True})
        then()

    return app


def nothing() -> None:
    return


def fault() -> None:
    raise RuntimeError("upstream broke")


def cancel() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@pytest.mark.parametrize("then", [nothing, fault, cancel])
@pytest.mark.parametrize("fields", [{}, {b"content-length": b"100"}])
async def test_an_answer_that_is_not_finished_never_looks_whole(
    fields: dict[bytes, bytes], then: Callable[[], None]
) -> None:
    with capture_logs():
        async with serving(breaking(fields, then)) as served, served.client() as client:
            await client.send(HELLO)
            head = await client.reader.readuntil(b"\r\n\r\n")
            body = await client.rest()
            assert served.lane.counters.broken == 1
    if fields:
        assert body == b"data: error\n\n"
    else:
        assert b"chunked" in head
        assert body == b"d\r\ndata: error\n\n\r\n"


async def test_an_answer_that_ends_with_its_connection_is_reset_when_it_is_not_finished() -> None:
    async with serving(breaking({}, nothing)) as served, served.client() as client:
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await client.rest()


async def test_a_longer_answer_than_was_said_is_cut_off() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"abc", b"more", fields={b"content-length": b"5"})

    with capture_logs() as logs:
        async with serving(app) as served:
            assert (await served.exchange(HELLO)).endswith(b"\r\n\r\nabc")
    assert len(logs) == 1


@pytest.mark.parametrize("leave", ["close", "abort", "half"])
async def test_a_client_that_leaves_is_told_of_at_once(leave: str) -> None:
    seen: list[str] = []
    started, ended = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await whole_body(receive) == b""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        started.set()
        seen.append((await receive())["type"])
        seen.append((await receive())["type"])
        await send({"type": "http.response.body", "body": b"nobody hears this"})
        ended.set()

    with capture_logs() as logs:
        async with serving(app) as served, served.client() as client:
            await client.send(HELLO)
            await started.wait()
            await client.reader.readuntil(b"first")
            if leave == "abort":
                client.writer.transport.abort()
            elif leave == "half":
                client.writer.write_eof()  # which counts as leaving, as with the other servers
            else:
                client.writer.close()
            await ended.wait()
            await until(lambda: not served.lane.connections)
    assert seen == ["http.disconnect", "http.disconnect"]
    assert logs == []


@pytest.mark.parametrize("late", [False, True])
async def test_a_departure_calls_who_asked_for_it(late: bool) -> None:
    departed = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if late:
            await receive()
        scope["extensions"]["helicone_gw.on_departure"](departed.set)
        await departed.wait()

    async with serving(app) as served:
        async with served.client() as client:
            await client.send(HELLO)
            await until(lambda: served.lane.counters.requests == 1)
        await departed.wait()


async def test_the_end_of_an_answer_is_no_departure() -> None:
    departures: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"]["helicone_gw.on_departure"](lambda: departures.append(True))
        await reply(send, b"ok")

    async with serving(app) as served:
        async with served.client() as client:
            await client.send(HELLO)
            await client.answer()
        await until(lambda: not served.lane.connections)
    assert departures == []


async def test_a_client_that_leaves_in_the_middle_of_its_request() -> None:
    left = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await whole_body(receive)
        except ConnectionError:
            left.set()
            raise

    with capture_logs() as logs:
        async with serving(app) as served:
            async with served.client() as client:
                await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
                await until(lambda: served.lane.counters.requests == 1)
            await left.wait()
    assert logs == []


async def test_who_waits_for_the_client_to_leave_hears_of_the_end() -> None:
    heard = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await whole_body(receive)

        async def watch() -> None:
            assert (await receive())["type"] == "http.disconnect"
            heard.set()

        watching = asyncio.ensure_future(watch())
        await asyncio.sleep(0)
        await reply(send, b"ok")
        await watching

    async with serving(app) as served, served.client() as client:
        await client.send(HELLO)
        assert (await client.answer()).body == b"ok"
        await heard.wait()


async def test_a_wait_that_is_given_up_disturbs_no_other() -> None:
    waiting = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        first, second = asyncio.ensure_future(receive()), asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        first.cancel()
        waiting.set()
        assert (await second)["body"] == b"x"
        await reply(send, b"ok")

    async with serving(app) as served, served.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        await waiting.wait()
        await client.send(b"x")
        assert (await client.answer()).body == b"ok"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000, 431),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a client hello\r\n\r\n", 400),
    ],
)
async def test_a_request_that_is_refused(request_: bytes, status: int) -> None:
    app = Recording()
    async with serving(app) as served:
        answer = await served.exchange(request_ + HELLO)
        assert statuses(answer) == [status]
        assert b"connection: close\r\n" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] in ("invalid_request_error", "api_error")
        assert served.lane.counters.malformed == 1
    assert app.scopes == []


async def test_a_refusal_reaches_a_client_that_is_still_sending() -> None:
    async with serving(echo) as served:
        answer = await served.exchange(*[b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"a" * 3_000_000, b"b" * 3_000_000])
        assert statuses(answer) == [431]


async def test_an_answer_goes_before_the_refusal_of_what_follows() -> None:
    async with serving(echo) as served:
        assert statuses(await served.exchange(HELLO + b"junk\r\n\r\n" + HELLO)) == [200, 400]


async def test_a_body_that_turns_out_wrong_is_refused_for_the_application() -> None:
    left: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await whole_body(receive)
        except ConnectionError:
            left.append(True)
            await reply(send, b"a second answer")

    async with serving(app) as served:
        answer = await served.exchange(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", b"zz\r\n" + HELLO
        )
        assert statuses(answer) == [400]
    assert left == [True]


async def test_a_body_that_turns_out_wrong_breaks_an_answer_that_has_begun() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await whole_body(receive)

    async with serving(app) as served:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await served.exchange(head, b"zz\r\n" + HELLO)
        assert answer == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.response.body", "body": b"x"}],
        [{"type": "http.response.start", "status": 200}, {"type": "http.response.start", "status": 200}],
        [{"type": "http.response.trailers", "headers": []}],
    ],
)
async def test_messages_out_of_place(messages: list[dict[str, object]]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    with capture_logs() as logs:
        async with serving(app) as served:
            assert statuses(await served.exchange(HELLO)) == [500]
    assert len(logs) == 1


async def test_a_second_answer_is_refused_and_the_connection_unhurt() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"one")
        await reply(send, b"two")

    with capture_logs() as logs:
        async with serving(app) as served:
            answer = await served.exchange(HELLO + CLOSE)
            assert statuses(answer) == [200, 200]
            assert b"two" not in answer
    assert len(logs) == 2
