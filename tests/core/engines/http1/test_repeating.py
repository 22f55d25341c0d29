"""A head that comes again is known by its bytes; whatever differs in more than the length is read as if it were new."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helicone_gw.engines.http1.errors import BadMessage
from helicone_gw.engines.http1.limits import Limits
from helicone_gw.engines.http1.request import RequestReader

HEAD = b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\nAuthorization: Bearer one\r\n\r\n"


def sent(body: bytes, head: bytes = HEAD) -> bytes:
    return head % (b"%d" % len(body)) + body


Seen = tuple[str, str, tuple[bytes, ...], list[tuple[bytes, bytes]], bool, bytes, bytes] | int


def read(reader: RequestReader, *pieces: bytes) -> Seen | None:
    """What the next request of ``reader`` is; the status of a refusal, ``None`` if it does not end."""
    rest = b""
    try:
        for piece in pieces:
            rest = reader.feed(rest + piece)
    except BadMessage as problem:
        return problem.status
    request = reader.request
    if request is None or not reader.complete:
        return None
    target = (request.target.raw_path, request.target.query, (request.target.host or b""))
    seen = request.method, request.version, target, list(request.fields), request.keep_alive, reader.take(), rest
    reader.next()
    return seen


def after_one(first: bytes = sent(b"hello")) -> RequestReader:
    reader = RequestReader(Limits())
    assert isinstance(read(reader, first), tuple)
    return reader


def memory_of(reader: RequestReader, data: bytes) -> dict[str, object] | None:
    reader.feed(data)
    request = reader.request
    assert request is not None
    return request.memory


@pytest.mark.parametrize("body", [b"hello", b"other", b"h", b"", b"x" * 100_000])
def test_the_same_with_any_body_is_the_same_head(body: bytes) -> None:
    reader = RequestReader(Limits())
    known = memory_of(reader, sent(b"hello"))
    assert known == {}
    reader.next()
    data = sent(body)
    assert memory_of(reader, data + b"GET") is known
    assert reader.complete
    assert reader.request is not None
    assert reader.request.length == len(body)
    assert dict(reader.request.fields)[b"content-length"] == b"%d" % len(body)
    assert reader.take() == body


@pytest.mark.parametrize(
    "changed",
    [
        HEAD.replace(b"one", b"two"),
        HEAD.replace(b"/v1/x", b"/v1/y"),
        HEAD.replace(b"POST", b"PUT"),
        HEAD.replace(b"Host", b"host"),
        HEAD.replace(b"one\r\n", b"one\r\nX-More: 1\r\n"),
        HEAD.replace(b"one\r\n", b"one \r\n"),
        HEAD.replace(b": %b", b":  %b"),
        HEAD.replace(b"%b", b"%b "),
    ],
)
def test_what_differs_otherwise_is_read_anew(changed: bytes) -> None:
    reader = RequestReader(Limits())
    known = memory_of(reader, sent(b"hello"))
    reader.next()
    other = memory_of(reader, sent(b"hello", changed))
    assert other is not known
    reader.next()
    assert memory_of(reader, sent(b"hello", changed)) is other  # it is the last one that is known


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\nConnection: close\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\nExpect: 100-continue\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\nUpgrade: h2c\r\n\r\n",
        b"POST /v1/x HTTP/1.0\r\nHost: a\r\nContent-Length: %b\r\nConnection: keep-alive\r\n\r\n",
    ],
)
def test_nothing_is_remembered_of_what_is_unusual(head: bytes) -> None:
    assert memory_of(RequestReader(Limits()), sent(b"hello", head)) is None


@pytest.mark.parametrize(
    "length", [b"-1", b"+5", b"0x5", b"", b" 5", b"5 ", b"5, 5", b"5\t", b"1" * 16, b"1" * 30, b"\xb2", b"5\n"]
)
def test_a_length_that_is_no_plain_number_is_for_the_parser_to_judge(length: bytes) -> None:
    data = HEAD % length + b"hello"
    assert read(after_one(), data) == read(RequestReader(Limits()), data)


def test_a_second_length_or_a_coding_is_seen() -> None:
    for line in (b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"):
        data = sent(b"hello", HEAD.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n"))
        assert read(after_one(), data) == read(RequestReader(Limits()), data)


@given(st.integers(0, len(sent(b"hello"))), st.binary(max_size=3), st.integers(0, 3))
@example(len(HEAD) - 30, b"\r\n", 0)
def test_any_change_is_judged_as_if_nothing_had_come_before(place: int, put: bytes, gone: int) -> None:
    data = sent(b"hello")
    data = data[:place] + put + data[place + gone :]
    assert read(after_one(), data) == read(RequestReader(Limits()), data)


@given(st.binary(max_size=60), st.lists(st.integers(0, 200)))
@example(b"x" * 50, list(range(200)))
def test_it_does_not_matter_how_the_bytes_arrive(body: bytes, cuts: list[int]) -> None:
    data = sent(body) + b"POST"
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(places)]
    reader = RequestReader(Limits())
    read(reader, sent(b"hello"))
    rest = b""
    taken = b""
    for piece in pieces:
        rest = reader.feed(rest + piece) if not reader.complete else rest + piece
        taken += reader.take()
    assert (reader.complete, taken, rest) == (True, body, b"POST")


def test_the_parser_goes_on_with_what_it_was_not_shown() -> None:
    reader = after_one()
    for body in (b"one", b"two"):
        assert isinstance(read(reader, sent(body)), tuple)
    other = b"POST /chunks HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    seen = read(reader, other)
    assert isinstance(seen, tuple)
    assert seen[5] == b"hi"
    assert isinstance(read(reader, sent(b"again")), tuple)


def test_a_head_at_the_limit_is_not_remembered() -> None:
    limits = Limits(head=len(sent(b"hello")) - 5)
    assert memory_of(RequestReader(limits), sent(b"hello")) is None
