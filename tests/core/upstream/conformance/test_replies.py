"""Replies that are replies: each is understood alike by every transport, wherever the network cuts it."""

from __future__ import annotations

import pytest

from tests.core.upstream.conformance.clients import Answer, Client, everywhere
from tests.core.upstream.conformance.peer import OK, Connection, each, listening, once, turns

LENGTH = (
    b'HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-Empty:\r\nX-Pad: \t v \t\r\nContent-Length: 12\r\n\r\n{"a":"\r\n\r\n"}'
)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0A;x=1\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"
)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nuntil the end"

WHOLE = {
    "length": (LENGTH, b'{"a":"\r\n\r\n"}'),
    "chunked": (CHUNKED, b"abc0123456789"),
    "interim": (INTERIM, b"ok"),
}


def well(answer: Answer) -> bool:
    return answer.failed is None


@everywhere()
@pytest.mark.parametrize("framing", WHOLE)
async def test_a_reply_is_the_same_wherever_it_is_cut(client: Client, framing: str) -> None:
    reply, body = WHOLE[framing]
    offsets = range(1, len(reply))

    async def script(connection: Connection) -> None:
        for offset in offsets:
            await connection.request()
            await connection.send(reply[:offset], reply[offset:])

    async with listening(script) as peer:
        answers = [await client.whole(peer.url) for _ in offsets]
    assert all(well(answer) and answer.body == body and answer.status == 200 for answer in answers)
    assert len({tuple(answer.headers) for answer in answers}) == 1
    assert len(peer.connections) == 1


@everywhere()
async def test_a_reply_that_ends_with_its_connection_may_be_cut_anywhere_too(client: Client) -> None:
    offsets = iter(range(1, len(UNTIL_CLOSE)))

    async def script(connection: Connection) -> None:
        await connection.request()
        offset = next(offsets)
        await connection.send(UNTIL_CLOSE[:offset], UNTIL_CLOSE[offset:])

    async with listening(script) as peer:
        answers = [await client.whole(peer.url) for _ in range(1, len(UNTIL_CLOSE))]
    assert all(well(answer) and answer.body == b"until the end" for answer in answers)


@everywhere()
@pytest.mark.parametrize("framing", WHOLE)
async def test_a_reply_may_come_byte_by_byte(client: Client, framing: str) -> None:
    reply, body = WHOLE[framing]

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.drip(reply)
        await connection.gone()

    async with listening(script) as peer:
        answer = await client.whole(peer.url)
    assert well(answer)
    assert answer.body == body


@everywhere()
async def test_fields_arrive_as_they_were_sent(client: Client) -> None:
    reply = (
        b"HTTP/1.1 200 OK\r\nx-one: 1\r\nSet-Cookie: a=1; Path=/\r\nX-Long: " + b"v" * 7000 + b"\r\nSET-COOKIE: b=2\r\n"
        b"X-Inner: a,  b\t c\r\nX-Bytes: \xe4\xc3\xa4\r\nX-Colon: a:b: c\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"
    )
    async with listening(each(reply)) as peer:
        answer = await client.whole(peer.url)
    assert well(answer)
    assert [(name.lower(), value) for name, value in answer.headers] == [
        (b"x-one", b"1"),
        (b"set-cookie", b"a=1; Path=/"),
        (b"x-long", b"v" * 7000),
        (b"set-cookie", b"b=2"),
        (b"x-inner", b"a,  b\t c"),
        (b"x-bytes", b"\xe4\xc3\xa4"),
        (b"x-colon", b"a:b: c"),
        (b"x-empty", b""),
        (b"content-length", b"0"),
    ]


@everywhere()
@pytest.mark.parametrize("status", [200, 201, 299, 302, 400, 401, 404, 418, 429, 500, 503, 529, 599])
async def test_every_status_is_an_answer(client: Client, status: int) -> None:
    async with listening(each(OK.replace(b"200 OK", b"%d What ever: it is" % status), OK)) as peer:
        first, second = await client.whole(peer.url), await client.whole(peer.url)
    assert (first.status, first.body) == (status, b"ok")
    assert second.status == 200
    assert len(peer.connections) == 1


@everywhere()
@pytest.mark.parametrize("line", [b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 200 \xe4\xf6\xfc"])
async def test_a_reason_is_nothing_that_one_needs(client: Client, line: bytes) -> None:
    async with listening(each(OK.replace(b"HTTP/1.1 200 OK", line))) as peer:
        assert (await client.whole(peer.url)).body == b"ok"


BODILESS = {
    "204": ("GET", b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"),
    "304": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
    "304 chunked": ("GET", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "HEAD": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
    "HEAD chunked": ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "length 0": ("POST", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "no chunk": ("POST", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
}


@everywhere()
@pytest.mark.parametrize("kind", BODILESS)
async def test_a_reply_without_a_body_ends_with_its_head(client: Client, kind: str) -> None:
    method, reply = BODILESS[kind]
    async with listening(each(reply)) as peer:
        answers = [await client.whole(peer.url, b"", method=method) for _ in range(3)]
    assert all(well(answer) and answer.body == b"" for answer in answers)
    assert len(peer.connections) == 1


@everywhere()
async def test_the_body_is_handed_on_as_it_comes(client: Client) -> None:
    async with listening(
        once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", then="wait")
    ) as peer:
        reply = await client.open(peer.url)
        pieces = aiter(reply)
        assert await anext(pieces) == b"abc"
        await reply.close()


@everywhere()
async def test_nothing_is_decoded(client: Client) -> None:
    packed = b"\x1f\x8b\x08\x00not really gzip"
    reply = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed)
    async with listening(each(reply)) as peer:
        answer = await client.whole(peer.url)
    assert answer.body == packed
    assert answer.values(b"content-encoding") == [b"gzip"]


@everywhere()
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed_and_no_cookie_kept(client: Client, status: int) -> None:
    reply = b"HTTP/1.1 %d Moved\r\nLocation: /elsewhere\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n" % status
    async with listening(each(reply, OK)) as peer:
        assert (await client.whole(peer.url)).status == status
        assert client.way == "plugin" or (await client.whole(peer.url)).status == 200
    assert all(request.startswith(b"POST / ") for request in peer.requests)
    assert all(b"a=1" not in request for request in peer.requests)


@everywhere()
@pytest.mark.parametrize("count", [1, 5, 20])
async def test_interim_replies_are_passed_over(client: Client, count: int) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * count
    async with listening(each(interim + OK)) as peer:
        answers = [await client.whole(peer.url) for _ in range(2)]
    assert all((answer.status, answer.body, answer.values(b"link")) == (200, b"ok", []) for answer in answers)
    assert len(peer.connections) == 1


KEPT = {
    "HTTP/1.1": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
    "HTTP/1.1 close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", False),
    "HTTP/1.1 Close, x": (b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok", False),
    "HTTP/1.1 chunked close": (CHUNKED.replace(b"Transfer", b"Connection: close\r\nTransfer", 1), False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
}  # fmt: skip


@everywhere()
@pytest.mark.parametrize("kind", KEPT)
async def test_a_connection_is_kept_as_the_reply_says(client: Client, kind: str) -> None:
    reply, kept = KEPT[kind]
    async with listening(each(reply)) as peer:
        answers = [await client.whole(peer.url) for _ in range(3)]
    assert all(well(answer) and answer.body in {b"ok", WHOLE["chunked"][1]} for answer in answers)
    assert len(peer.connections) == (1 if kept else 3)


@everywhere(httpx="h11 closes every connection of HTTP/1.0")
async def test_keep_alive_in_http_1_0(client: Client) -> None:
    async with listening(each(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")) as peer:
        assert [(await client.whole(peer.url)).body for _ in range(3)] == [b"ok"] * 3
    assert len(peer.connections) == 1


@everywhere()
async def test_a_server_may_say_that_it_sends_no_more_and_listen_on(client: Client) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        connection.half_close()
        await connection.gone()

    async with listening(script) as peer:
        assert [(await client.whole(peer.url)).body for _ in range(3)] == [b"ok"] * 3


@everywhere()
async def test_big_bodies(client: Client) -> None:
    body = bytes(range(256)) * 4096 * 4
    length = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    async with listening(each(length, chunked, OK)) as peer:
        assert (await client.whole(peer.url)).body == body
        assert (await client.whole(peer.url)).body == body
        assert (await client.whole(peer.url)).body == b"ok"
    assert len(peer.connections) == 1


@everywhere()
async def test_who_reads_slowly_is_not_sent_more_than_fits(client: Client) -> None:
    sent = 0

    async def script(connection: Connection) -> None:
        nonlocal sent
        await connection.request()
        connection.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.write(b"x" * 65536)
            await connection.writer.drain()
            sent += 65536

    async with listening(script) as peer:
        reply = await client.open(peer.url)
        assert await anext(aiter(reply))
        before = -1
        while before != sent:
            before = sent
            await turns(200)
        await reply.close()
    assert sent < 16 << 20, "kernel's buffers and ours, not all there is"
