"""Framing answers: how long they say they are, whether the connection goes on, and what is never sent."""

from __future__ import annotations

import pytest

from helicone_gw.engines.http1.errors import BadAnswer
from helicone_gw.engines.http1.head import Request
from helicone_gw.engines.http1.response import Answer
from helicone_gw.engines.http1.target import Target

Fields = list[tuple[bytes, bytes]]


def answer(
    status: int = 200,
    fields: Fields | None = None,
    *,
    method: str = "GET",
    version: str = "1.1",
    keep_alive: bool = True,
    close: bool = False,
) -> Answer:
    request = Request(method, Target("/", b"/", b"", None), version, [], keep_alive=keep_alive)
    return Answer(request, status, fields or [], close=close)


def test_a_body_that_is_there_is_counted() -> None:
    assert (
        answer(201, [(b"X-%b", b"%d")]).begin(b"hi", False)
        == b"HTTP/1.1 201 Created\r\nX-%b: %d\r\ncontent-length: 2\r\n\r\nhi"
    )


def test_a_body_that_is_to_come_goes_in_chunks() -> None:
    made = answer()
    assert made.begin(b"", True) == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    assert made.piece(b"a" * 18, True) == b"12\r\n" + b"a" * 18 + b"\r\n"
    assert made.piece(b"", True) == b""
    assert not made.complete
    assert made.piece(b"b", False) == b"1\r\nb\r\n0\r\n\r\n"


def test_a_body_of_a_length_that_was_said() -> None:
    made = answer(fields=[(b"Content-Length", b"3")])
    assert made.begin(b"ab", True) == b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"
    assert not made.complete
    assert made.piece(b"c", True) == b"c"
    assert made.complete
    assert made.piece(b"", False) == b""


@pytest.mark.parametrize(
    ("pieces", "more"), [([b"abcd"], True), ([b"ab", b"cd"], True), ([b"ab"], False), ([b""], False)]
)
def test_a_length_that_is_not_kept(pieces: list[bytes], more: bool) -> None:
    made = answer(fields=[(b"content-length", b"3")])
    with pytest.raises(BadAnswer, match="than its Content-Length"):
        made.begin(pieces[0], more)
        for piece in pieces[1:]:
            made.piece(piece, more)


@pytest.mark.parametrize("lengths", [[b"-1"], [b"x"], [b""], [b"1", b"2"]])
def test_a_length_that_is_none(lengths: list[bytes]) -> None:
    with pytest.raises(BadAnswer):
        answer(fields=[(b"content-length", length) for length in lengths])


def test_http_1_0_has_no_chunks() -> None:
    made = answer(version="1.0")
    assert made.begin(b"a", True) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\na"
    assert made.piece(b"b", False) == b"b"
    assert made.close
    assert made.ends_with_connection
    assert (
        answer(version="1.0")
        .begin(b"a", False)
        .startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: keep-alive\r\n")
    )


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body(status: int) -> None:
    made = answer(status)
    assert made.begin(b"never seen", True).endswith(b"\r\n\r\n")
    assert made.complete
    assert not made.close
    assert made.piece(b"nor this", False) == b""


def test_what_is_not_there_has_a_length_all_the_same() -> None:
    assert b"content-length: 5" in answer(304, [(b"content-length", b"5")]).begin(b"", False)
    assert b"content-length: 5" in answer(fields=[(b"content-length", b"5")], method="HEAD").begin(b"", False)
    assert b"content-length" not in answer(204, [(b"content-length", b"5")]).begin(b"", False)
    assert answer(method="HEAD").begin(b"body", False) == b"HTTP/1.1 200 OK\r\n\r\n"


def test_framing_and_connection_are_the_servers() -> None:
    fields = [
        (b"Transfer-Encoding", b"gzip"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Connection", b"keep-alive"),
        (b"A", b"b"),
    ]
    assert answer(fields=fields).begin(b"", False) == b"HTTP/1.1 200 OK\r\nA: b\r\ncontent-length: 0\r\n\r\n"


def test_who_closes() -> None:
    assert not answer().close
    assert answer(keep_alive=False).close
    assert answer(close=True).close
    made = answer(fields=[(b"connection", b"Close")])
    assert made.close
    assert made.begin(b"", False).endswith(b"connection: close\r\n\r\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"a", b"b\r\nc: d"),
        (b"a", b"b\nc"),
        (b"a", b"b\rc"),
        (b"a", b"b\0"),
        (b"a\r\nb", b"c"),
        (b"a b", b"c"),
        (b"", b"c"),
        (b"a:", b"c"),
    ],
)
def test_a_field_never_becomes_two(name: bytes, value: bytes) -> None:
    with pytest.raises(BadAnswer):
        answer(fields=[(name, value)])


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 1000])
def test_a_status_that_is_none(status: int) -> None:
    with pytest.raises(BadAnswer):
        answer(status)


def test_a_status_without_a_name() -> None:
    assert answer(299).begin(b"", False).startswith(b"HTTP/1.1 299 \r\n")
