"""Reading requests: what is taken, what is refused, and that neither depends on how the bytes arrive."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helicone_gw.engines.http1.errors import BadMessage
from helicone_gw.engines.http1.limits import Limits
from helicone_gw.engines.http1.request import RequestReader

HOST = b"Host: a\r\n"
CODING = b"Transfer-Encoding: chunked\r\n"


def read(*pieces: bytes, limits: Limits | None = None) -> list[Any]:
    """What ``pieces`` are read as: a tuple for each whole request, at last the status of a refusal."""
    reader = RequestReader(limits or Limits())
    seen: list[Any] = []
    waiting = b""
    try:
        for piece in pieces:
            waiting += piece
            while waiting:
                waiting = reader.feed(waiting)
                if reader.websocket:
                    return [*seen, ("websocket", reader.head + waiting)]
                if not reader.complete:
                    break
                assert reader.request is not None
                seen.append((reader.request.method, reader.request.target.raw_path, reader.take()))
                reader.next()
    except BadMessage as problem:
        seen.append(problem.status)
    return seen


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def test_a_request() -> None:
    reader = RequestReader(Limits())
    rest = reader.feed(
        b"POST /v1/a%20b?x=%20 HTTP/1.1\r\nHost: a:80\r\nX-One:  1 \t\r\nX-Two:\r\nContent-Length: 2\r\n\r\nhiGET"
    )
    assert rest == b"GET"
    assert reader.complete
    request = reader.request
    assert request is not None
    assert (request.method, request.version, request.keep_alive) == ("POST", "1.1", True)
    assert request.target == ("/v1/a b", b"/v1/a%20b", b"x=%20", None)
    assert request.fields == [(b"host", b"a:80"), (b"x-one", b"1"), (b"x-two", b""), (b"content-length", b"2")]
    assert reader.held == 2
    assert reader.take() == b"hi"
    assert reader.held == 0


@pytest.mark.parametrize(
    ("head", "version", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "1.1", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", "1.1", False),
        (b"GET / HTTP/1.0\r\n\r\n", "1.0", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "1.0", True),
    ],
)
def test_whether_the_connection_goes_on(head: bytes, version: str, keep_alive: bool) -> None:
    reader = RequestReader(Limits())
    assert reader.feed(head) == b""
    assert reader.request is not None
    assert (reader.request.version, reader.request.keep_alive) == (version, keep_alive)


REQUESTS = {
    "no body": (post(), ("POST", b"/", b"")),
    "an empty body": (post(b"Content-Length: 0"), ("POST", b"/", b"")),
    "a counted body": (post(b"Content-Length: 9", body=b"a\r\n\r\nbcd\r"), ("POST", b"/", b"a\r\n\r\nbcd\r")),
    "chunks": (post(CODING[:-2], body=b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"), ("POST", b"/", b"abcde")),
    "chunks of line ends": (post(CODING[:-2], body=b"8\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n"), ("POST", b"/", b"\r\n" * 4)),
    "trailers": (post(CODING[:-2], body=b"1\r\na\r\n0\r\nX-T: 1\r\nHost: b\r\n\r\n"), ("POST", b"/", b"a")),
    "a body on GET": (b"GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", ("GET", b"/x", b"hi")),
    "lines before it": (b"\r\n\r\n\n" + post(), ("POST", b"/", b"")),
    "an upgrade to HTTP/2": (
        post(b"Upgrade: h2c", b"Connection: upgrade, http2-settings", b"Content-Length: 2", body=b"hi"),
        ("POST", b"/", b"hi"),
    ),
    "an upgrade with chunks": (
        post(b"Connection: upgrade", b"Upgrade: TLS/1.0", CODING[:-2], body=b"2\r\nhi\r\n0\r\n\r\n"),
        ("POST", b"/", b"hi"),
    ),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_requests_in_a_row_are_told_apart(case: str) -> None:
    data, wanted = REQUESTS[case]
    assert read(data + data + post()) == [wanted, wanted, ("POST", b"/", b"")]


REFUSALS = {
    "both lengths": (post(CODING[:-2], b"Content-Length: 3", body=b"0\r\n\r\n"), 400),
    "both lengths, turned round": (post(b"Content-Length: 3", CODING[:-2], body=b"0\r\n\r\n"), 400),
    "two lengths": (post(b"Content-Length: 3", b"Content-Length: 3", body=b"abc"), 400),
    "two lengths in one": (post(b"Content-Length: 3, 3", body=b"abc"), 400),
    "a signed length": (post(b"Content-Length: +3", body=b"abc"), 400),
    "a hexadecimal length": (post(b"Content-Length: 0x3", body=b"abc"), 400),
    "an empty length": (post(b"Content-Length:", body=b"abc"), 400),
    "a length beyond all numbers": (post(b"Content-Length: " + b"9" * 30), 400),
    "an unknown coding": (post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 501),
    "two codings": (post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    "chunked and then another": (post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), 400),
    "chunked twice": (post(CODING[:-2], CODING[:-2], body=b"0\r\n\r\n"), 400),
    "chunks in HTTP/1.0": (b"POST / HTTP/1.0\r\n" + CODING + b"\r\n0\r\n\r\n", 400),
    "a chunk size with 0x": (post(CODING[:-2], body=b"0x3\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk size below zero": (post(CODING[:-2], body=b"-3\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk size beyond all numbers": (post(CODING[:-2], body=b"f" * 17 + b"\r\n"), 400),
    "a chunk longer than it says": (post(CODING[:-2], body=b"3\r\nabcd\r\n0\r\n\r\n"), 400),
    "a line feed for a chunk's end": (post(CODING[:-2], body=b"3\nabc\n0\n\n"), 400),
    "a length in a trailer": (post(CODING[:-2], body=b"0\r\nContent-Length: 3\r\n\r\n"), 400),
    "a folded line": (post(b"X: a\r\n b"), 400),
    "a bare CR": (post(b"X: a\rb"), 400),
    "a bare LF": (post(b"X: a\nY: b"), 400),
    "NUL": (post(b"X: a\0b"), 400),
    "a space before the colon": (post(b"X : a"), 400),
    "no colon": (post(b"X"), 400),
    "no name": (post(b": a"), 400),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (post(b"Host: a"), 400),
    "a Host that is none": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "two spaces in the request line": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a fragment": (b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a byte that is no ASCII in the target": (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a star that asks for nothing": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "an unknown method": (b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a tunnel": (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "another protocol": (b"SETUP / RTSP/1.0\r\nHost: a\r\n\r\n", 400),
    "another version": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "no version": (b"GET /\r\n\r\n", 505),
    "an expectation that nobody can meet": (post(b"Expect: more"), 417),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_could_be_read_in_two_ways_is_refused(case: str) -> None:
    data, status = REFUSALS[case]
    assert read(post() + data + post())[1:] == [status]


def test_an_absolute_target_says_which_host() -> None:
    reader = RequestReader(Limits())
    reader.feed(b"GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n")
    assert reader.request is not None
    assert reader.request.target == ("/x", b"/x", b"y", b"b:81")
    assert reader.request.fields == [(b"x", b"1"), (b"host", b"b:81")]


def test_a_target_that_comes_again_is_read_by_its_method_too() -> None:
    star = b" * HTTP/1.1\r\nHost: a\r\n\r\n"
    assert read(b"OPTIONS" + star + b"GET" + star) == [("OPTIONS", b"*", b""), 400]
    bare = b" http://h HTTP/1.1\r\nHost: a\r\n\r\n"
    assert read(b"OPTIONS" + bare + b"GET" + bare) == [("OPTIONS", b"*", b""), ("GET", b"/", b"")]


def test_a_websocket_is_left_to_others_with_all_that_was_read() -> None:
    data = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\nframes"
    assert read(data) == [("websocket", data)]
    assert read(data.replace(b"GET", b"POST"))[0][:2] == ("POST", b"/x")
    assert read(data.replace(b"1.1", b"1.0"))[0][:2] == ("GET", b"/x")


def test_an_expectation() -> None:
    reader = RequestReader(Limits())
    reader.feed(post(b"Expect: 100-Continue", b"Content-Length: 1"))
    assert reader.request is not None
    assert reader.request.expects_continue


SMALL = Limits(head=200, target=50, fields=4, framing=100)


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"GET /" + b"a" * 29 + b" HTTP/1.1\r\nHost: a\r\n\r\n", [("GET", b"/" + b"a" * 29, b"")]),
        (b"GET /" + b"a" * 60 + b" HTTP/1.1\r\nHost: a\r\n\r\n", [414]),
        (b"GET /" + b"a" * 60, [414]),
        (post(b"X: " + b"a" * 200), [431]),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 200, [431]),
        (post(b"A: a", b"B: b", b"C: c"), [("POST", b"/", b"")]),
        (post(b"A: a", b"B: b", b"C: c", b"C: d"), [431]),
        (post(CODING[:-2], body=b"1;" + b"a" * 120), [400]),
        (post(CODING[:-2], body=b"1\r\na\r\n0\r\nX: " + b"a" * 120 + b"\r\n\r\n"), [400]),
        (post(CODING[:-2], body=b"1\r\na\r\n" * 500 + b"0\r\n\r\n"), [("POST", b"/", b"a" * 500)]),
    ],
)
def test_bounds(data: bytes, seen: list[Any]) -> None:
    assert read(data, limits=SMALL) == seen
    assert read(*(data[n : n + 1] for n in range(len(data))), limits=SMALL) == seen


EVERYTHING = [data for data, _ in REQUESTS.values()] + [data for data, _ in REFUSALS.values()]


@given(st.sampled_from(EVERYTHING), st.lists(st.integers(0, 400)))
@example(b"\r\n".join(REQUESTS["chunks"][0].split(b"\r\n")), list(range(400)))
def test_it_does_not_matter_how_the_bytes_arrive(data: bytes, cuts: list[int]) -> None:
    data += post()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(places)]
    assert read(*pieces) == read(data)


@given(
    st.lists(
        st.sampled_from(
            [b"GET ", b"/", b" HTTP/1.1", b"\r\n", b"\n", b"Host: a", CODING, b"5", b"0", b";", b"\0", b"\xff"]
        )
        | st.binary(max_size=5)
    )
)
def test_junk_is_refused_or_waited_for_and_nothing_else(pieces: list[bytes]) -> None:
    for seen in read(*pieces):
        assert isinstance(seen, tuple) or seen in (400, 414, 417, 431, 501, 505)
    assert read(*pieces) == read(b"".join(pieces))
