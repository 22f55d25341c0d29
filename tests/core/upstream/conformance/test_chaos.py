"""fast among servers and callers without manners: no answer is ever another's, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import ssl
from collections.abc import AsyncIterator, Callable

import pytest
import trustme

from tests.core.upstream.conformance.clients import Client, Failed
from tests.core.upstream.conformance.peer import Connection, Script, listening, turns
from tests.core.upstream.conformance.test_fuzz import WORDS

TOKEN = re.compile(rb"<[0-9a-f]{16}>")
ROUNDS, WALKS = 1500, 25


def token_of(number: int) -> bytes:
    """What request ``number`` sends and its answer repeats; damage does not make one into another."""
    return b"<%016x>" % (number * 0x9E3779B97F4A7C15 % 2**64)


FRAMINGS: tuple[Callable[[bytes], bytes], ...] = (
    lambda body: b"HTTP/1.1 200 OK\r\nX-For: %b\r\nContent-Length: %d\r\n\r\n%b" % (body, len(body), body),
    lambda body: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
    lambda body: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n%b\r\n%x;a=b\r\n%b\r\n0\r\nX: %b\r\n\r\n"
        % (body[:1], len(body) - 1, body[1:], body)
    ),
    lambda body: b"HTTP/1.1 103 Hints\r\nX-For: %b\r\n\r\nHTTP/1.1 204 No Content\r\nX-For: %b\r\n\r\n" % (body, body),
    lambda body: b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body),
    lambda body: b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: %b\r\n\r\n" % body,
)


NOBODY = token_of(0)


def damaged(choice: random.Random, reply: bytes) -> bytes:
    """``reply`` with one to three things wrong with it, or with something behind it."""
    data = bytearray(reply)
    for _ in range(choice.randint(1, 3)):
        at = choice.randint(0, len(data))
        match choice.randint(0, 4):
            case 0:
                data[at:at] = choice.choice(WORDS)
            case 1:
                del data[at : at + choice.randint(1, 4)]
            case 2:
                data += choice.choice([*WORDS, reply, reply[: len(reply) // 2]])
            case 3 if at < len(data):
                data[at] = choice.choice(b"0123456789abcdef\r\n:; \0\xff")
            case _:
                data[at:at] = data[at : at + choice.randint(1, 12)]
    return bytes(data)


def damaging(choice: random.Random) -> Script:
    """Answer with the request's own token, mostly in a way that is wrong; serve on for as long as one is asked."""

    async def script(connection: Connection) -> None:
        request = asyncio.ensure_future(connection.request())
        try:
            while True:
                token = TOKEN.findall(await request)[0]
                reply = choice.choice(FRAMINGS)(token)
                if choice.random() < 0.7:
                    reply = damaged(choice, reply)
                at = choice.randint(1, len(reply)) if reply else 0
                await connection.send(reply[:at])
                request = asyncio.ensure_future(connection.request())
                await turns(6)
                if not request.done():
                    # Else the reply was over, and what comes behind a request is its answer: nobody could tell.
                    await connection.send(reply[at:])
                for _ in range(12):
                    if not request.done():
                        await turns(1)
                if not request.done():
                    return
        finally:
            request.cancel()
            with contextlib.suppress(asyncio.CancelledError, EOFError, ConnectionError):
                await request

    return script


async def no_answer_is_another_s(seed: int, rounds: int) -> None:
    choice = random.Random(seed)
    client = Client("fast", "gateway")
    issued: set[bytes] = set()
    good = 0
    async with listening(damaging(choice)) as peer:
        for number in range(1, rounds + 1):
            issued.add(token_of(number))
            answer = await client.whole(peer.url, token_of(number))
            good += answer.failed is None
            seen = b"".join([answer.body, *(value for _, value in answer.headers)])
            assert issued.intersection(TOKEN.findall(seen)) <= {token_of(number)}
        assert 0.2 * rounds < good < 0.95 * rounds
        assert len(peer.connections) < rounds, "some connections served more than one"
    counters = client.upstream.counters
    assert counters is not None
    assert (counters.active, counters.waiting) == (0, 0)
    await client.aclose()


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_answer_is_another_s(seed: int) -> None:
    await no_answer_is_another_s(seed, ROUNDS // 2)


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(10, 20))
async def test_no_answer_is_another_s_at_length(seed: int) -> None:
    await no_answer_is_another_s(seed, 20 * ROUNDS)


def careless(choice: random.Random) -> Script:
    """Answer well, slowly, partly, not at all; end the connection in every way and at any moment."""

    async def script(connection: Connection) -> None:
        while True:
            early = choice.random() < 0.1
            token = NOBODY if early else TOKEN.findall(await connection.request())[0]
            if early:
                await connection.head()
            await turns(choice.randint(0, 6))
            reply = choice.choice(FRAMINGS)(token)
            end = choice.randint(0, len(reply)) if choice.random() < 0.2 else len(reply)
            for start in range(0, end, step := choice.choice([7, 50, 1000])):
                connection.write(reply[start : min(end, start + step)])
                await turns(choice.randint(0, 2))
            if early or end < len(reply) or choice.random() < 0.2:
                if choice.random() < 0.5:
                    connection.reset()
                return

    return script


async def upload(choice: random.Random, token: bytes) -> AsyncIterator[bytes]:
    yield token
    for _ in range(choice.randint(0, 3)):
        await turns(choice.randint(0, 3))
        yield b"x" * choice.choice([1, 1000, 60_000])


async def caller(choice: random.Random, client: Client, url: str, number: int) -> None:
    """Ask, and read all of the answer, or some, or nothing, or keep it for a while."""
    token = token_of(number)
    body = token if choice.random() < 0.7 else upload(choice, token)
    with contextlib.suppress(Failed):
        reply = await client.open(url, body)
        try:
            if choice.random() < 0.8:
                seen = b""
                async for piece in reply:
                    seen += piece
                    if choice.random() < 0.1:
                        break
                    await turns(choice.randint(0, 2))
                assert set(TOKEN.findall(seen)) <= {token, NOBODY}
        finally:
            await turns(choice.randint(0, 2))
            await reply.close()


async def nothing_is_left_behind(seed: int, walks: int, *, secured: bool = False) -> None:
    choice = random.Random(seed)
    tls, trusting = _tls() if secured else (None, None)
    bounds = {"max_connections": 3, "max_connections_per_host": 2, "max_idle_connections": 2}
    client = Client("fast", "gateway", tls=trusting, **bounds)
    counters = client.upstream.counters
    assert counters is not None
    number = 0
    async with listening(careless(choice), tls=tls) as first, listening(careless(choice), tls=tls) as second:
        for _ in range(walks):
            tasks = []
            for _ in range(12):
                number += 1
                url = choice.choice([first.url, second.url])
                tasks.append(asyncio.ensure_future(caller(choice, client, url, number)))
                await turns(choice.randint(0, 4))
                if choice.random() < 0.4:
                    choice.choice(tasks).cancel()
                assert counters.open <= 3
                assert counters.idle <= 2
            async with asyncio.timeout(10):
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    if isinstance(result, Exception):
                        raise result
            assert counters.waiting == 0
            assert counters.active == 0
            # Three at a time still find their three connections.
            answers = await asyncio.gather(*(client.whole(first.url, NOBODY) for _ in range(3)))
            assert all(answer.failed in (None, "protocol", "connect") for answer in answers)
    await client.aclose()
    assert counters.open == counters.idle == 0
    assert counters.opened == counters.closed


def _tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side and its client's."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_left_behind(seed: int) -> None:
    await nothing_is_left_behind(seed, WALKS)


@pytest.mark.parametrize("seed", range(2))
async def test_nothing_is_left_behind_under_tls(seed: int) -> None:
    await nothing_is_left_behind(seed, WALKS // 2, secured=True)


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(10, 30))
async def test_nothing_is_left_behind_at_length(seed: int) -> None:
    await nothing_is_left_behind(seed, 20 * WALKS)
    await nothing_is_left_behind(seed, 5 * WALKS, secured=True)
