"""The parser of fast under fire: whatever comes, however it is cut, it ends well or in its one declared error."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helicone_gw.upstream.http1.parser import MAX_FIELDS, MAX_HEAD, ReplyParser


@dataclass(frozen=True)
class Outcome:
    """What a parser made of a connection's bytes. A reply that was refused has no more to be compared."""

    refused: bool
    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    complete: bool = False
    keep_alive: bool = False
    surplus: bool = False


def parsed(pieces: Iterable[bytes], *, to_head: bool = False, end: bool = True) -> Outcome:
    """Feed ``pieces``, and the end of the connection unless the reply is over by then."""
    parser = ReplyParser(to_head)
    body = bytearray()
    fed = 0
    try:
        for piece in pieces:
            if parser.complete and parser.surplus:
                break
            parser.feed(piece)
            fed += len(piece)
            body += b"".join(parser.pieces)
            parser.pieces.clear()
            assert len(body) <= fed, "a body out of nothing"
            assert len(parser.headers) <= MAX_FIELDS
        if end and not parser.complete:
            parser.feed_eof()
    except httpx.RemoteProtocolError:
        return Outcome(refused=True)
    finally:
        parser.close()
    return Outcome(
        False, parser.status, tuple(parser.headers), bytes(body), parser.complete, parser.keep_alive, parser.surplus
    )


def bytewise(data: bytes) -> Iterator[bytes]:
    return (data[index : index + 1] for index in range(len(data)))


def cut(data: bytes, at: Iterable[int]) -> list[bytes]:
    points = sorted({0, len(data), *(point % (len(data) + 1) for point in at)})
    return [data[start:end] for start, end in pairwise(points)]


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"
SEEDS = [
    OK + b'Content-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}',
    CHUNKED + b'\r\n5\r\nhello\r\n6;a="b"\r\n world\r\n0\r\n\r\n',
    CHUNKED + b"Trailer: X\r\n\r\nA\r\n0123456789\r\n0\r\nX: 1\r\nY: 2\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.0 404 Not Found\r\nServer: x\r\n\r\nuntil the end",
    b"HTTP/1.1 200\r\nConnection: close\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\ndata: {}\n\ndata: [DONE]\n\n",
    b'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: "x"\r\n\r\n',
    OK + b"X: \xe4\xf6\xfc\t tab \r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 Slow Down\r\nRetry-After: 1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
]
WORDS = [
    *(bytes([value]) for value in (0, 9, 10, 13, 32, 48, 58, 59, 127, 128, 255)),
    *(b"\r\n", b"\r\n\r\n", b"\n\n", b"\r", b"\r\r\n", b" \r\n\t", b"0\r\n\r\n", b": ", b":", b";", b"a" * 300),
    *(b"-1", b"+5", b"0x5", b"ffffffffffffffff", b"FFFFFFFFFFFFFFFFF", b"18446744073709551616", b"5, 5", b"5 5"),
    *(b"Content-Length: 5\r\n", b"Content-Length: 5, 5\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n"),
    *(b"Transfer-Encoding: " + coding + b"\r\n" for coding in (b"chunked", b"gzip, chunked", b"identity", b"")),
    *(b"HTTP/1.1 ", b"HTTP/2 200\r\n", b"HTTP/0.9", OK, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
]


def mutated(choice: random.Random) -> bytes:
    """A reply with up to eight things wrong with it."""
    data = bytearray(choice.choice(SEEDS))
    for _ in range(choice.randint(1, 8)):
        at = choice.randint(0, len(data))
        to = min(len(data), at + choice.randint(0, 20))
        match choice.randint(0, 6):
            case 0 if at < len(data):
                data[at] = choice.randrange(256)
            case 1:
                data[at:at] = choice.choice(WORDS)
            case 2:
                del data[at:to]
            case 3:
                data[at:at] = data[at:to]
            case 4:
                data[at:to] = choice.choice(WORDS)
            case 5:
                other = choice.choice(SEEDS)
                data[at:] = other[choice.randint(0, len(other)) :]
            case _:
                del data[at:]
    return bytes(data)


def check(data: bytes, choice: random.Random) -> Outcome:
    """Every way of cutting ``data`` comes to the same."""
    to_head = choice.random() < 0.1
    whole = parsed([data], to_head=to_head)
    assert parsed(bytewise(data), to_head=to_head) == whole, data
    for _ in range(2):
        pieces = cut(data, [choice.randrange(len(data) + 1) for _ in range(choice.randint(1, 4))])
        assert parsed(pieces, to_head=to_head) == whole, pieces
    return whole


def fuzz(seed: int, rounds: int) -> None:
    choice = random.Random(seed)
    refused = sum(check(mutated(choice), choice).refused for _ in range(rounds))
    assert 0.2 * rounds < refused < 0.95 * rounds, "the mutations are too wild, or too tame, to try anything"


def test_mutated_replies() -> None:
    fuzz(seed=1, rounds=3000)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(2, 22))
@pytest.mark.timeout(600)
def test_mutated_replies_at_length(seed: int) -> None:
    fuzz(seed, rounds=25_000)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
@example(b"HTTP/1.1 200 OK\r\n\r\n", [])
def test_anything_at_all(data: bytes, at: list[int]) -> None:
    assert parsed(cut(data, at)) == parsed([data])


TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).map(str.encode)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).map(str.encode)
FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"upgrade", b"trailer"})


@dataclass(frozen=True)
class Made:
    """A reply that is one, and what is to come of it."""

    wire: bytes
    expected: Outcome
    ends_itself: bool


@st.composite
def replies(draw: st.DrawFn) -> Made:
    """Replies in every framing."""
    status = draw(st.integers(200, 599).filter(lambda number: number not in (204, 304)))
    fields = draw(st.lists(st.tuples(TOKEN.filter(lambda name: name not in FRAMING), VALUE), max_size=6))
    pieces = draw(st.lists(st.binary(min_size=1, max_size=60), max_size=5))
    body = b"".join(pieces)
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    if framing == "length":
        fields.append((b"content-length", str(len(body)).encode()))
        content = body
    elif framing == "chunked":
        fields.append((b"transfer-encoding", b"chunked"))
        extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="b c"']))
        trailers = draw(st.sampled_from([b"", b"x: y\r\n", b"x: y\r\nz:\r\n"]))
        content = (
            b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces)
            + b"0\r\n"
            + trailers
            + b"\r\n"
        )
    else:
        content = body
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * draw(st.integers(0, 2))
    head = b"HTTP/1.1 %d Reason\r\n" % status + b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    expected = Outcome(False, status, tuple(fields), body, True, framing != "close", False)
    return Made(interim + head + b"\r\n" + content, expected, framing != "close")


@given(replies(), st.lists(st.integers(0, 2000), max_size=6))
def test_what_is_a_reply_is_read_as_it_is(reply: Made, at: list[int]) -> None:
    assert parsed(cut(reply.wire, at)) == reply.expected
    assert parsed(bytewise(reply.wire)) == reply.expected


@given(replies().filter(lambda reply: reply.ends_itself), st.data())
def test_a_reply_cut_short_is_never_taken_for_whole(reply: Made, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(reply.wire) - 1))
    assert parsed([reply.wire[:end]]) == Outcome(refused=True)
    assert parsed(bytewise(reply.wire[:end])) == Outcome(refused=True)


JUNK = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.sampled_from(
        [b"\r\n", b"\n", b"\r\n\r\n", b"X\r\n\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\0", SEEDS[0], SEEDS[1]]
    ),
)


@given(replies().filter(lambda reply: reply.ends_itself), JUNK, st.lists(st.integers(0, 2000), max_size=4))
def test_what_follows_a_reply_is_noticed_and_changes_nothing(reply: Made, junk: bytes, at: list[int]) -> None:
    wire = reply.wire + junk
    for pieces in ([wire], [reply.wire, junk], list(bytewise(wire)), cut(wire, at)):
        outcome = parsed(pieces)
        assert outcome.surplus, pieces
        assert (outcome.status, outcome.body, outcome.complete) == (reply.expected.status, reply.expected.body, True)


ENDLESS = {
    "status line": (b"HTTP/1.1 200 ", b"x" * 1000),
    "name": (b"HTTP/1.1 200 OK\r\n", b"x" * 1000),
    "value": (b"HTTP/1.1 200 OK\r\nx: ", b"y" * 1000),
    "fields": (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 100),
    "big fields": (b"HTTP/1.1 200 OK\r\n", b"x: " + b"y" * 1000 + b"\r\n"),
    "interim": (b"", b"HTTP/1.1 103 Hints\r\n\r\n"),
    "blank lines": (b"", b"\r\n"),
    "extension": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"x" * 1000),
    "chunk size": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"0" * 1000),
    "trailers": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n" * 100),
    "trailer": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ", b"x" * 1000),
}


@pytest.mark.parametrize("where", ENDLESS)
def test_what_never_ends_is_refused_in_time(where: str) -> None:
    begin, more = ENDLESS[where]
    parser = ReplyParser()
    with pytest.raises(httpx.RemoteProtocolError):
        parser.feed(begin) if begin else None
        for _ in range(2 * MAX_HEAD // len(more) + 2 * MAX_FIELDS):
            parser.feed(more)
    assert not parser.complete
    parser.close()


def test_extensions_that_carry_little_data_are_bounded_in_their_sum() -> None:
    # Each chunk of one byte brings an extension of a thousand, for ever.
    parser = ReplyParser()
    parser.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    with pytest.raises(httpx.RemoteProtocolError):
        for _ in range(10_000):
            parser.feed(b"1;" + b"x" * 1000 + b"\r\n")
            parser.feed(b"x\r\n")
            parser.pieces.clear()
    parser.close()
