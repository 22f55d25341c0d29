"""What the head of a request may not say, whichever server reads it."""

from __future__ import annotations

import json

import pytest

from helicone_gw.engines.screening import HEAD_TOO_LARGE, answer, screened

HOST = (b"host", b"gateway.example")
CHUNKED = (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("1.1", [HOST]),
        ("1.0", []),
        ("1.0", [(b"host", b"")]),
        ("1.1", [HOST, CHUNKED]),
        ("1.1", [HOST, (b"transfer-encoding", b" Chunked ")]),
        ("1.1", [HOST, (b"content-length", b"1")]),
        ("1.1", [(b"host", b"gateway.example:8787")]),
        ("1.1", [(b"host", b"[::1]:8787")]),
        ("1.1", [(b"host", b"127.0.0.1")]),
    ],
)
def test_right_heads_pass(version: str, fields: list[tuple[bytes, bytes]]) -> None:
    assert screened(version, fields) is None


@pytest.mark.parametrize(
    ("status", "version", "fields"),
    [
        (400, "1.1", []),
        (400, "1.1", [(b"host", b"")]),
        (400, "1.1", [HOST, HOST]),
        (400, "1.0", [HOST, HOST]),
        (400, "1.1", [(b"host", b"a b")]),
        (400, "1.1", [(b"host", b"a/b")]),
        (400, "1.1", [(b"host", b"a@b")]),
        (400, "1.1", [(b"host", b"a:b")]),
        (400, "1.1", [(b"host", b"[::1")]),
        (400, "1.1", [HOST, CHUNKED, (b"content-length", b"1")]),
        (400, "1.0", [HOST, CHUNKED]),
        (501, "1.1", [HOST, (b"transfer-encoding", b"gzip, chunked")]),
        (501, "1.1", [HOST, CHUNKED, CHUNKED]),
        (501, "1.1", [HOST, (b"transfer-encoding", b"xchunked")]),
        (501, "1.1", [HOST, (b"transfer-encoding", b"")]),
    ],
)
def test_others_are_refused(status: int, version: str, fields: list[tuple[bytes, bytes]]) -> None:
    refusal = screened(version, fields)
    assert refusal is not None
    assert refusal.status == status


def test_a_refusal_is_an_error_that_sdks_can_read_and_ends_the_connection() -> None:
    fields, body = answer(HEAD_TOO_LARGE)
    error = json.loads(body)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "request_header_fields_too_large"
    assert error["message"] == HEAD_TOO_LARGE.message
    assert dict(fields) == {
        b"content-type": b"application/json",
        b"content-length": str(len(body)).encode(),
        b"connection": b"close",
    }
