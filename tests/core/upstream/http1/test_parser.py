"""One reply, read: framing and fields, what is refused, bounds, and that where the bytes are cut changes nothing."""

from __future__ import annotations

import gc
from collections.abc import Iterable

import httpx
import pytest
from httptools import HttpResponseParser
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.upstream.http1.parser import MAX_FIELDS, MAX_HEAD, MAX_INTERIM, ReplyParser

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*pieces: bytes, to_head: bool = False, eof: bool = False) -> ReplyParser:
    parser = ReplyParser(to_head)
    for piece in pieces:
        parser.feed(piece)
    if eof:
        parser.feed_eof()
    return parser


def body(parser: ReplyParser) -> bytes:
    return b"".join(parser.pieces)


def bytewise(data: bytes) -> Iterable[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


# What a reply is


def test_a_reply_of_known_length() -> None:
    parser = read(OK + b"Content-Length: 5\r\nX-A:  b \t\r\nX-Empty:\r\n\r\nhello")
    assert (parser.status, body(parser)) == (200, b"hello")
    assert parser.headers == [(b"content-length", b"5"), (b"x-a", b"b"), (b"x-empty", b"")]
    assert parser.complete
    assert parser.keep_alive
    assert not parser.surplus


def test_the_head_is_known_before_the_body() -> None:
    parser = read(OK + b"Content-Length: 5\r\n\r\nhe")
    assert parser.head_done
    assert not parser.complete
    assert body(parser) == b"he"


def test_a_body_of_known_length_is_handed_on_uncopied() -> None:
    parser = read(OK + b"Content-Length: 10\r\n\r\n")
    piece = b"x" * 9
    parser.feed(piece)
    assert parser.pieces[0] is piece


def test_a_chunked_reply_without_its_trailers() -> None:
    parser = read(CHUNKED + b'5;a="b"\r\nhello\r\n06\r\n world\r\n0\r\nX-Late: 1\r\n\r\n')
    assert body(parser) == b"hello world"
    assert parser.complete
    assert not parser.surplus
    assert parser.headers == [(b"transfer-encoding", b"chunked")]


def test_a_reply_that_ends_with_its_connection() -> None:
    parser = read(OK + b"\r\nhello", b" world")
    assert not parser.complete
    parser.feed_eof()
    assert parser.complete
    assert body(parser) == b"hello world"
    assert not parser.keep_alive


@pytest.mark.parametrize(
    ("head", "to_head"),
    [
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", False),
        (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", False),
        (OK + b"Content-Length: 5\r\n\r\n", True),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", True),
        (OK + b"Content-Length: 0\r\n\r\n", False),
        (OK + b"Content-Length: 000\r\n\r\n", False),
    ],
)
def test_replies_without_a_body(head: bytes, to_head: bool) -> None:
    parser = read(head, to_head=to_head)
    assert parser.complete
    assert parser.keep_alive
    assert body(parser) == b""
    parser.feed(b"hello")
    assert parser.surplus
    assert body(parser) == b""


def test_interim_replies_are_passed_over() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    parser = read(interim + OK + b"Content-Length: 1\r\n\r\nx")
    assert (parser.status, parser.headers) == (200, [(b"content-length", b"1")])
    assert parser.complete


@pytest.mark.parametrize(
    ("start", "fields", "kept"),
    [
        (b"HTTP/1.1", b"", True),
        (b"HTTP/1.1", b"Connection: close\r\n", False),
        (b"HTTP/1.1", b"Connection: x, Close\r\n", False),
        (b"HTTP/1.0", b"", False),
        (b"HTTP/1.0", b"Connection: keep-alive\r\n", True),
    ],
)
def test_whether_the_connection_stays(start: bytes, fields: bytes, kept: bool) -> None:
    assert read(start + b" 200 OK\r\nContent-Length: 0\r\n" + fields + b"\r\n").keep_alive is kept


def test_how_long_the_connection_stays_is_passed_on() -> None:
    assert read(OK + b"Content-Length: 0\r\nKeep-Alive: timeout=5\r\n\r\n").keep_alive_field == b"timeout=5"


# What is none

MALFORMED = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "another protocol": b"RTSP/1.0 200 OK\r\n\r\n",
    "another version": b"HTTP/2.0 200 OK\r\n\r\n",
    "a line before it": b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 99 X\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 X\r\n\r\n",
    "a status below 100": b"HTTP/1.1 099 X\r\n\r\n",
    "protocols switched": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "protocols switched, silently": b"HTTP/1.1 101 Switching\r\n\r\n",
    "NUL in the reason": b"HTTP/1.1 200 O\0K\r\n\r\n",
    "NUL in a value": OK + b"A: b\0\r\n\r\n",
    "a control character": OK + b"A: b\x01\r\n\r\n",
    "a bare LF": OK + b"A: b\nC: d\r\n\r\n",
    "a bare LF in the first line": b"HTTP/1.1 200 OK\nA: b\r\n\r\n",
    "a bare LF at the end": OK + b"A: b\r\n\n",
    "a bare CR": OK + b"A: b\rC: d\r\n\r\n",
    "a folded line": OK + b"A: b\r\n c\r\n\r\n",
    "a blank before the colon": OK + b"A : b\r\n\r\n",
    "no name": OK + b": b\r\n\r\n",
    "no colon": OK + b"A\r\n\r\n",
    "length and coding": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "coding and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": OK + b"Content-Length: 3, 3\r\n\r\nabc",
    "a negative length": OK + b"Content-Length: -3\r\n\r\nabc",
    "a signed length": OK + b"Content-Length: +3\r\n\r\nabc",
    "a hexadecimal length": OK + b"Content-Length: 0x3\r\n\r\nabc",
    "an empty length": OK + b"Content-Length:\r\n\r\nabc",
    "an endless length": OK + b"Content-Length: 99999999999999999999\r\n\r\nabc",
    "another coding": OK + b"Transfer-Encoding: gzip\r\n\r\nabc",
    "another coding too": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice, in two lines": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "almost chunked": OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a prefix": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a blank": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "a chunk size without CR": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "a chunk shorter than its size": CHUNKED + b"3\r\nab\r\n0\r\n\r\n",
    "an extension with LF": CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "a trailer that is none": CHUNKED + b"0\r\nA b\r\n\r\n",
    "a length in the trailers": CHUNKED + b"0\r\nContent-Length: 3\r\n\r\n",
}


@pytest.mark.parametrize("reply", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_refused_however_it_comes(reply: bytes) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        read(reply)
    with pytest.raises(httpx.RemoteProtocolError):
        read(*bytewise(reply))


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n\r",
        OK + b"A: b\r\n",
        b"HTTP",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"",
    ],
)
def test_a_reply_that_is_cut_short(reply: bytes) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match=r"short|without"):
        read(*bytewise(reply), eof=True)


# Bounds


def test_a_head_may_be_so_large_and_no_larger() -> None:
    start = OK + b"Content-Length: 0\r\nX: "
    head = start + b"x" * (MAX_HEAD - len(start) - 4) + b"\r\n\r\n"
    assert len(head) == MAX_HEAD
    for pieces in ([head], bytewise(head)):
        assert read(*pieces).complete
    larger = head[:-4] + b"x\r\n\r\n"
    for pieces in ([larger], bytewise(larger)):
        with pytest.raises(httpx.RemoteProtocolError, match="too large"):
            read(*pieces)


def test_a_line_without_end_is_not_kept() -> None:
    parser = ReplyParser()
    parser.feed(OK + b"X: ")
    with pytest.raises(httpx.RemoteProtocolError, match="too large"):
        for _ in range(MAX_HEAD // 1000 + 1):
            parser.feed(b"x" * 1000)


def test_so_many_fields_and_no_more() -> None:
    fields = b"".join(b"X%d: y\r\n" % n for n in range(MAX_FIELDS))
    assert len(read(OK + fields + b"\r\n").headers) == MAX_FIELDS
    with pytest.raises(httpx.RemoteProtocolError, match="too many fields"):
        read(OK + fields + b"A: b\r\n\r\n")


def test_so_many_interim_replies_and_no_more() -> None:
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    assert read(interim * MAX_INTERIM + OK + b"\r\n").status == 200
    with pytest.raises(httpx.RemoteProtocolError, match="interim"):
        read(interim * (MAX_INTERIM + 1))


@pytest.mark.parametrize("endless", [b"X: " + b"y" * 100 + b"\r\n", b"x" * 100])
def test_trailers_end_or_are_refused(endless: bytes) -> None:
    parser = read(CHUNKED + b"0\r\n")
    with pytest.raises(httpx.RemoteProtocolError, match=r"too many fields|too large"):
        for _ in range(MAX_HEAD // 100 + 2):
            parser.feed(endless)


def test_chunk_extensions_end_or_are_refused() -> None:
    parser = read(CHUNKED)
    with pytest.raises(httpx.RemoteProtocolError, match="too large"):
        for _ in range(MAX_HEAD // 100):
            parser.feed(b"1;" + b"e" * 200 + b"\r\nx\r\n")


def test_small_chunks_are_no_overhead() -> None:
    parser = read(CHUNKED)
    for _ in range(MAX_HEAD // 2):
        parser.feed(b"1\r\nx\r\n")
    assert len(body(parser)) == MAX_HEAD // 2


def test_a_parser_that_is_done_is_freed_at_once() -> None:
    gc.collect()
    before = sum(isinstance(each, HttpResponseParser) for each in gc.get_objects())
    gc.disable()
    try:
        for reply in (OK + b"Content-Length: 1\r\n\r\nx", CHUNKED + b"1\r\nx\r\n0\r\n\r\n"):
            assert read(reply).complete
        cut = read(CHUNKED + b"1\r\nx\r\n")
        cut.close()
        del cut
        assert sum(isinstance(each, HttpResponseParser) for each in gc.get_objects()) == before
    finally:
        gc.enable()


# What follows

ENDED = [
    OK + b"Content-Length: 2\r\n\r\nab",
    OK + b"Content-Length: 2\r\n\r\n\r\n",
    CHUNKED + b"2\r\nab\r\n0\r\n\r\n",
    CHUNKED + b"2\r\n\r\n\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
]


@pytest.mark.parametrize("reply", ENDED)
@pytest.mark.parametrize(
    "junk",
    [
        b"x",
        b"H",
        b"\r\n",
        b"\n",
        b"\r",
        b"\n\r\n\r\n",
        b"\r\n\r\n",
        b"x\r\n\r\n",
        b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    ],
)
def test_what_follows_a_reply_is_noticed_and_is_no_part_of_it(reply: bytes, junk: bytes) -> None:
    alone = read(reply)
    assert alone.complete
    assert not alone.surplus
    for pieces in ([reply + junk], [reply, junk], bytewise(reply + junk)):
        parser = read(*pieces)
        assert parser.complete
        assert parser.surplus
        assert (parser.status, parser.headers, body(parser)) == (alone.status, alone.headers, body(alone))


# Splits

bodies = st.binary(max_size=60)


@st.composite
def replies(draw: st.DrawFn) -> tuple[bytes, bytes, bool]:
    """A reply, its body, and whether it takes the end of the connection to end it."""
    content = draw(bodies)
    interim = b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n" * draw(st.integers(0, 2))
    fields = b"".join(b"X-%d: %b\r\n" % (n, b"v" * draw(st.integers(0, 9))) for n in range(draw(st.integers(0, 4))))
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    if framing == "length":
        return interim + OK + fields + b"Content-Length: %d\r\n\r\n" % len(content) + content, content, False
    if framing == "close":
        return interim + OK + fields + b"\r\n" + content, content, True
    cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=5)))
    parts = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True) if a < b]
    chunks = b"".join(b"%X%b\r\n%b\r\n" % (len(each), draw(st.sampled_from([b"", b";e"])), each) for each in parts)
    trailers = draw(st.sampled_from([b"", b"T: 1\r\n"]))
    return interim + CHUNKED[:-2] + fields + b"\r\n" + chunks + b"0\r\n" + trailers + b"\r\n", content, False


@given(replies(), st.data())
def test_a_reply_is_the_same_however_it_is_cut(reply: tuple[bytes, bytes, bool], data: st.DataObject) -> None:
    wire, content, ends_with_connection = reply
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True) if a < b]
    parser = read(*pieces, eof=ends_with_connection)
    assert parser.status == 200
    assert body(parser) == content
    assert parser.complete
    assert not parser.surplus
    assert parser.headers == read(wire).headers


@given(replies())
def test_a_reply_is_over_with_its_last_byte_and_not_before(reply: tuple[bytes, bytes, bool]) -> None:
    wire, _, ends_with_connection = reply
    if ends_with_connection:
        return
    parser = ReplyParser()
    for piece in bytewise(wire):
        assert not parser.complete
        parser.feed(piece)
    assert parser.complete
