"""What goes out: exactly what was asked for, framed once, and nothing that could be read as a second request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tests.core.upstream.conformance.clients import Client, Failed, everywhere
from tests.core.upstream.conformance.peer import OK, Connection, each, listening, turns

Make = Callable[..., Client]


def fields(request: bytes) -> list[tuple[bytes, bytes]]:
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]


def values(request: bytes, name: bytes) -> list[bytes]:
    return [value for key, value in fields(request) if key == name]


async def upload(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@everywhere()
async def test_a_request_as_it_is_on_the_wire(client: Client) -> None:
    async with listening(each(OK)) as peer:
        await client.whole(
            f"{peer.url}/v1/x?a=%2F&b=c+d", b'{"a":1}', headers=[(b"x-a", b"1"), (b"authorization", b"Bearer k")]
        )
    [request] = peer.requests
    assert request.startswith(b"POST /v1/x?a=%2F&b=c+d HTTP/1.1\r\n")
    assert request.endswith(b'\r\n\r\n{"a":1}')
    assert values(request, b"host") == [f"127.0.0.1:{peer.port}".encode()]
    assert values(request, b"content-length") == [b"7"]
    assert values(request, b"authorization") == [b"Bearer k"]
    assert values(request, b"x-a") == [b"1"]
    assert not values(request, b"transfer-encoding")
    assert not values(request, b"expect")
    if client.way == "gateway":
        assert {name for name, _ in fields(request)} <= {
            b"host",
            b"content-length",
            b"authorization",
            b"x-a",
            b"connection",
        }


@everywhere()
async def test_fields_are_sent_as_they_are_given(client: Client) -> None:
    given = [
        (b"x-twice", b"1"),
        (b"x-empty", b""),
        (b"x-twice", b"2"),
        (b"x-colon", b"a: b"),
        (b"x-inner", b"a  b\tc"),
        (b"x-utf-8", "é".encode()),
        (b"x-long", b"v" * 10_000),
    ]
    async with listening(each(OK)) as peer:
        await client.whole(peer.url, headers=given)
    assert [field for field in fields(peer.requests[0]) if field[0].startswith(b"x-")] == given


@everywhere(aiohttp="aiohttp encodes fields as UTF-8 and takes no bytes")
async def test_a_value_need_not_be_utf_8(client: Client) -> None:
    async with listening(each(OK)) as peer:
        assert (await client.whole(peer.url, headers=[(b"x-a", b"\xe4")])).body == b"ok"
    assert values(peer.requests[0], b"x-a") == [b"\xe4"]


@everywhere()
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"])
async def test_methods(client: Client, method: str) -> None:
    async with listening(each(OK if method != "HEAD" else OK.removesuffix(b"ok"))) as peer:
        answers = [await client.whole(f"{peer.url}/a", b"", method=method) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert all(request.startswith(f"{method} /a HTTP/1.1\r\n".encode()) for request in peer.requests)
    assert len(peer.connections) == 1
    assert all(values(request, b"content-length") in ([], [b"0"]) for request in peer.requests)


SPLITTING = {
    "CRLF in a value": (b"x-a", b"1\r\nx-evil: 1"),
    "CR in a value": (b"x-a", b"1\rx-evil: 1"),
    "LF in a value": (b"x-a", b"1\nx-evil: 1"),
    "NUL in a value": (b"x-a", b"1\x00"),
    "a second request": (b"x-a", b"1\r\n\r\nGET /evil HTTP/1.1\r\nhost: x"),
    "CRLF in a name": (b"x-a: 1\r\nx-evil", b"1"),
    "LF in a name": (b"x-a\nx-evil", b"1"),
    "NUL in a name": (b"x-a\x00", b"1"),
    "blank in a name": (b"x a", b"1"),
    "colon in a name": (b"x-a: 1, x", b"1"),
    "no name": (b"", b"1"),
}


@everywhere()
@pytest.mark.parametrize("kind", SPLITTING)
async def test_no_field_becomes_two(client: Client, kind: str) -> None:
    async with listening(each(OK)) as peer:
        assert (await client.whole(peer.url, headers=[SPLITTING[kind]])).failed == "protocol"
        assert (await client.whole(peer.url)).body == b"ok", "and the next one is served"
        assert len(peer.requests) == 1


@everywhere()
@pytest.mark.parametrize("method", ["GET /evil HTTP/1.1\r\nhost: x\r\n\r\nGET", "GE T", "GET\n", "G\0T", ""])
async def test_no_method_becomes_a_request(client: Client, method: str) -> None:
    async with listening(each(OK)) as peer:
        try:
            failed = (await client.whole(peer.url, b"", method=method)).failed
        except ValueError:
            failed = "protocol"
        assert failed == "protocol"
        assert not peer.requests


@everywhere()
@pytest.mark.parametrize("tail", ["\r\nx-evil: 1", " HTTP/1.1\r\nx-evil: 1\r\n", "\n", "\x00", " "])
async def test_no_path_becomes_a_field(client: Client, tail: str) -> None:
    async with listening(each(OK)) as peer:
        try:
            await client.whole(f"{peer.url}/a{tail}", b"", method="GET")
        except Exception as refusal:
            assert type(refusal).__name__ in {"BadRequest", "InvalidURL"}  # noqa: PT017
    assert all(not values(request, b"x-evil") and request.count(b"HTTP/1.1") == 1 for request in peer.requests)
    assert all(len(request.split(b"\r\n")[0].split(b" ")) == 3 for request in peer.requests)


@everywhere()
async def test_uploads(client: Client) -> None:
    async with listening(each(OK)) as peer:
        assert (await client.whole(peer.url, upload(b"abc", b"", b"def"), length=6)).body == b"ok"
        assert (await client.whole(peer.url, upload(b"abc", b"", b"def"))).body == b"ok"
        assert (await client.whole(peer.url, upload())).body == b"ok"
        assert (await client.whole(peer.url, upload(), length=0)).body == b"ok"
    known, unknown, nothing, zero = peer.requests
    assert known.endswith(b"\r\n\r\nabcdef")
    assert (values(known, b"content-length"), values(known, b"transfer-encoding")) == ([b"6"], [])
    assert (values(unknown, b"content-length"), values(unknown, b"transfer-encoding")) == ([], [b"chunked"])
    assert b"".join(unknown.partition(b"\r\n\r\n")[2].split(b"\r\n")) in {b"3abc3def0", b"6abcdef0"}
    assert nothing.endswith(b"\r\n\r\n0\r\n\r\n")
    assert values(zero, b"content-length") == [b"0"]
    assert len(peer.connections) == 1


@everywhere(
    aiohttp="hangs: aiohttp sends what fits and takes the rest for sent", httpx="h11's own exception passes httpcore"
)
@pytest.mark.parametrize("pieces", [(b"ab",), (b"abc", b"defg")])
async def test_an_upload_that_is_not_as_long_as_was_said(client: Client, pieces: tuple[bytes, ...]) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)

    async with listening(script) as peer:
        assert (await client.whole(peer.url, upload(*pieces), length=6)).failed == "protocol"
        assert (await client.whole(peer.url)).body == b"ok", "on a connection of its own"


@everywhere()
async def test_what_an_upload_raises_is_what_one_gets(client: Client) -> None:
    class OfTheSource(Exception):
        pass

    async def failing() -> AsyncIterator[bytes]:
        yield b"abc"
        raise OfTheSource

    async with listening(each(OK)) as peer:
        with pytest.raises(OfTheSource):
            await client.whole(peer.url, failing())
        assert (await client.whole(peer.url)).body == b"ok"
        assert len(peer.connections) == 2


@everywhere()
async def test_big_bodies_go_out_whole(client: Client) -> None:
    body = bytes(range(256)) * 4096 * 3
    pieces = [body[start : start + 100_000] for start in range(0, len(body), 100_000)]
    async with listening(each(OK)) as peer:
        assert (await client.whole(peer.url, body)).body == b"ok"
        assert (await client.whole(peer.url, upload(*pieces), length=len(body))).body == b"ok"
    assert all(request.endswith(b"\r\n\r\n" + body) for request in peer.requests)


@everywhere()
async def test_an_upload_is_taken_as_fast_as_the_server_reads(client: Client) -> None:
    taken = 0
    reading = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.head()
        await reading.wait()
        await connection.reader.readexactly(64 << 20)
        await connection.send(OK)

    async def big() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(64):
            yield b"x" * (1 << 20)
            taken += 1

    async with listening(script) as peer:
        call = asyncio.ensure_future(client.whole(peer.url, big(), length=64 << 20))
        before = -1
        while before != taken or not peer.requests:
            before = taken
            await turns(100)
        assert taken < 32
        reading.set()
        assert (await call).body == b"ok"
        assert taken == 64


@everywhere(httpx="hangs: httpcore reads nothing while it writes")
async def test_an_answer_that_comes_during_an_upload_is_delivered_at_once(client: Client) -> None:
    delivered = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await connection.gone()

    async def endless() -> AsyncIterator[bytes]:
        yield b"abc"
        await delivered.wait()
        yield b"def"

    async with listening(script) as peer:
        async with asyncio.timeout(3):
            answer = await client.whole(peer.url, endless())
        assert (answer.status, answer.body, answer.failed) == (413, b"no", None)
        delivered.set()
        answer = await client.whole(peer.url, b"{}")
        assert len(peer.connections) == 2, "half an upload is on the first one"


@everywhere()
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_server_that_refuses_an_upload_and_ends(client: Client, how: str) -> None:
    async def script(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
        if how == "reset":
            await turns(10)
            connection.reset()

    async def big() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 65536

    async with listening(script) as peer:
        for _ in range(2):
            answer = await client.whole(peer.url, big())
            # A reset may overtake the answer in the kernel; what must not be is a hang, or an answer that is none.
            assert (answer.status, answer.failed) in [(413, None), (413, "protocol"), (0, "protocol")]


@everywhere()
async def test_a_pinned_address_is_where_it_goes_and_the_name_stays(client: Client) -> None:
    async with listening(each(OK)) as peer:
        answer = await client.whole(f"http://llm.invalid:{peer.port}/x", address="127.0.0.1")
    assert answer.body == b"ok"
    assert values(peer.requests[0], b"host") == [f"llm.invalid:{peer.port}".encode()]


@everywhere()
async def test_a_name_with_several_addresses_is_reached_at_the_one_that_listens(client: Client) -> None:
    # "localhost" is ::1 and 127.0.0.1, where it is both; the server has the second one only.
    async with listening(each(OK)) as peer:
        assert (await client.whole(f"http://localhost:{peer.port}/")).body == b"ok"


@everywhere()
async def test_errors_name_no_address_and_no_url(client: Client) -> None:
    async with listening(each(b"garbage\r\n\r\n")) as peer:
        with pytest.raises(Failed) as raised:
            await client.open(f"{peer.url}/?key=sk-secret", headers=[(b"authorization", b"Bearer sk-secret")])
    problem = raised.value.__cause__
    assert problem is not None
    for word in ("sk-secret", "127.0.0.1", str(peer.port), "garbage"):
        assert client.way == "plugin" or word not in str(problem)
