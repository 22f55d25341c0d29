"""Request bodies off ASGI: read whole or streamed, bounded in size and silence, decoded."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import pytest

from helicone_gw import BadRequest, Exchange, GatewayError, Headers, MalformedBody, PayloadTooLarge, Request
from helicone_gw.asgi.body import DISCARD_TIMEOUT, ClientGone, RequestBody, decoded
from helicone_gw.errors import ClientTimeout
from helicone_gw.helicone import EMPTY

GONE = {"type": "http.disconnect"}


class Client:
    """ASGI's receive: messages, or seconds of silence; after the last one nothing comes any more."""

    def __init__(self, *said: bytes | float | dict[str, Any], complete: bool = True) -> None:
        self.said = list(said)
        self.complete = complete
        self.asked = 0

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        while self.said:
            next_one = self.said.pop(0)
            if isinstance(next_one, float):
                await asyncio.sleep(next_one)
            elif isinstance(next_one, dict):
                return next_one
            else:
                more = bool(self.said) or not self.complete
                return {"type": "http.request", "body": next_one, "more_body": more}
        return await asyncio.get_running_loop().create_future()


def body(client: Client, *, version: str = "1.1", **headers: str) -> RequestBody:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestBody(Headers(fields), client, 10.0, version)


def exchange() -> Exchange:
    return Exchange("id", Request("POST", "/", "", Headers(), None, "openai", "files", EMPTY), 0.0)


@pytest.mark.parametrize("pieces", [[b""], [b"abc"], [b"a", b"b", b"c"], [b"", b"abc", b""]])
async def test_reading_it_whole(pieces: list[bytes]) -> None:
    one = body(Client(*pieces))
    assert await one.read(3) == b"".join(pieces)
    assert one.finished
    assert await one.read(3) == b"", "it is read once"


@pytest.mark.parametrize(
    ("headers", "version", "announced", "present"),
    [
        ({}, "1.1", None, False),
        ({"content_length": "5"}, "1.1", 5, True),
        ({"content_length": "0"}, "1.1", 0, True),
        ({"transfer_encoding": "chunked"}, "1.1", None, True),
        ({}, "2", None, True),
        ({"content_length": "-5"}, "1.1", None, False),
        ({"content_length": "5, 5"}, "1.1", None, False),
        ({"content_length": "²"}, "1.1", None, False),
    ],
)
def test_what_is_announced(headers: dict[str, str], version: str, announced: int | None, present: bool) -> None:
    one = body(Client(), version=version, **headers)
    assert (one.announced, one.present) == (announced, present)


async def test_one_that_is_announced_too_large_is_not_even_begun() -> None:
    client = Client(b"x")
    for refused in (body(client, content_length="4").read(3), collect(body(client, content_length="4"), 3)):
        with pytest.raises(PayloadTooLarge, match="larger than 3 bytes") as problem:
            await refused
        assert "server.max_" in problem.value.message
    assert client.asked == 0


async def test_one_that_turns_out_too_large_is_not_read_on() -> None:
    client = Client(b"ab", b"cd", b"ef")
    with pytest.raises(PayloadTooLarge, match=r"server\.max_body"):
        await body(client).read(3)
    assert client.asked == 2


async def collect(one: RequestBody, limit: int, seen: list[bytes] | None = None, of: Exchange | None = None) -> bytes:
    pieces = [] if seen is None else seen
    async for piece in one.stream(of or exchange(), limit):
        pieces.append(piece)
    return b"".join(pieces)


async def test_streaming_it_counts_what_was_handed_on() -> None:
    one = exchange()
    assert await collect(body(Client(b"ab", b"", b"c")), 3, of=one) == b"abc"
    assert one._uploaded == 3


async def test_a_stream_stops_at_its_bound() -> None:
    seen: list[bytes] = []
    with pytest.raises(PayloadTooLarge, match=r"server\.max_upload"):
        await collect(body(Client(b"ab", b"cd")), 3, seen)
    assert seen == [b"ab"]


async def test_a_stream_reads_only_as_fast_as_it_is_asked() -> None:
    client = Client(b"a", b"b", b"c")
    pieces = body(client).stream(exchange(), 10)
    assert await anext(pieces) == b"a"
    await asyncio.sleep(0)
    assert client.asked == 1


@pytest.mark.virtual_time
@pytest.mark.parametrize("how", ["read", "stream"])
async def test_silence_is_bounded_and_the_whole_is_not(how: str) -> None:
    async def take(client: Client) -> bytes:
        return await (body(client).read(99) if how == "read" else collect(body(client), 99))

    assert await take(Client(9.0, b"a", 9.0, b"b", 9.0, b"c")) == b"abc"
    with pytest.raises(ClientTimeout, match="within 10 seconds"):
        await take(Client(b"a", 11.0, b"b"))


@pytest.mark.parametrize("how", ["read", "stream"])
async def test_a_client_that_leaves(how: str) -> None:
    one = body(Client(b"a", GONE))
    with pytest.raises(ClientGone):
        await (one.read(99) if how == "read" else collect(one, 99))
    assert one.abandoned
    assert one.finished


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    "client",
    [
        Client(b"x" * 1000, b"y"),
        Client(b"x", GONE),
        Client(b"x", complete=False),
        Client(*[1.0, b"x"] * 100, complete=False),
        Client(GONE),
    ],
)
async def test_throwing_it_away_never_raises_and_ends_in_time(client: Client) -> None:
    await body(client).discard()
    assert asyncio.get_running_loop().time() <= DISCARD_TIMEOUT


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        (None, bytes),
        ("identity", bytes),
        ("", bytes),
        ("gzip", gzip.compress),
        (" GZip ", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
    ],
)
def test_content_codings(coding: str | None, encode: Any) -> None:
    headers = Headers({} if coding is None else {"content-encoding": coding})
    assert decoded(encode(b'{"a": 1}'), headers, 8) == b'{"a": 1}'


def test_members_are_put_together() -> None:
    whole = gzip.compress(b'{"a"') + gzip.compress(b": 1}")
    assert decoded(whole, Headers({"content-encoding": "gzip"}), 100) == b'{"a": 1}'


@pytest.mark.parametrize(
    ("coding", "content", "error", "status"),
    [
        ("br", b"x", BadRequest, 415),
        ("gzip, gzip", b"x", BadRequest, 415),
        ("gzip", b"not gzip", MalformedBody, 400),
        ("gzip", gzip.compress(b"x" * 999, mtime=0)[:-9], MalformedBody, 400),
        ("gzip", b"", MalformedBody, 400),
        ("gzip", gzip.compress(b"x", mtime=0) * 1000, MalformedBody, 400),
        ("gzip", gzip.compress(b"x" * 1001, mtime=0), PayloadTooLarge, 413),
        ("gzip", gzip.compress(bytes(50_000_000), mtime=0), PayloadTooLarge, 413),
    ],
    ids=["br", "twice", "junk", "cut", "empty", "members", "too large", "bomb"],
)
def test_what_cannot_be_decoded(coding: str, content: bytes, error: type[GatewayError], status: int) -> None:
    with pytest.raises(error) as refused:
        decoded(content, Headers({"content-encoding": coding}), 1000)
    assert refused.value.status == status
