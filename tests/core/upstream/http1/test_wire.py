"""The bytes of a request: what they are, and that nothing in them can be read as something else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.headers import ByNames
from helicone_gw.upstream.http1 import wire
from helicone_gw.upstream.http1.wire import Origin, WireRequest, request_head

ORIGIN = Origin("http", "llm.example", 80)


def head(
    method: bytes = b"POST",
    target: bytes = b"/v1",
    headers: Any = ((b"host", b"llm.example"),),
    body: Any = b"{}",
    length: int | None = None,
) -> bytes:
    return request_head(WireRequest(method, ORIGIN, target, headers, body, length))


async def stream() -> AsyncIterator[bytes]:
    yield b""


def test_a_request_as_it_goes_out() -> None:
    fields = [(b"Host", b"llm.example"), (b"x-%b", b"%d"), (b"X-A", b"\xe9")]
    assert head(target=b"/v1/x?a=%20b", headers=fields) == (
        b"POST /v1/x?a=%20b HTTP/1.1\r\nHost: llm.example\r\nx-%b: %d\r\nX-A: \xe9\r\ncontent-length: 2\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("method", "body", "length", "framing"),
    [
        (b"POST", b"abc", None, b"content-length: 3"),
        (b"POST", b"", None, b"content-length: 0"),
        (b"PUT", None, None, b"content-length: 0"),
        (b"GET", None, None, None),
        (b"GET", b"", None, None),
        (b"DELETE", b"x", None, b"content-length: 1"),
        (b"POST", stream(), 7, b"content-length: 7"),
        (b"POST", stream(), None, b"transfer-encoding: chunked"),
    ],
)
def test_the_framing_follows_from_the_body(method: bytes, body: Any, length: int | None, framing: bytes | None) -> None:
    lines = head(method, b"/", (), body, length).split(b"\r\n")
    assert lines[1:-2] == ([] if framing is None else [framing])


@pytest.mark.parametrize(
    "change",
    [
        {"method": b"GET /evil HTTP/1.1\r\nX:"},
        {"method": b""},
        {"method": b"G T"},
        {"method": b"CONNECT"},
        {"target": b""},
        {"target": b"/a b"},
        {"target": b"/a\r\nX: y"},
        {"target": b"/a\n"},
        {"target": b"/\xe9"},
        {"target": b"/\x7f"},
        {"headers": [(b"a", b"b\r\nc: d")]},
        {"headers": [(b"a", b"b\nc: d")]},
        {"headers": [(b"a", b"b\rc: d")]},
        {"headers": [(b"a", b"b\r\n\r\nGET / HTTP/1.1")]},
        {"headers": [(b"a", b"\0")]},
        {"headers": [(b"", b"b")]},
        {"headers": [(b"a b", b"c")]},
        {"headers": [(b"a:", b"c")]},
        {"headers": [(b"a\r\nb", b"c")]},
        {"headers": [(b"\xe9", b"c")]},
        {"headers": [(b"Content-Length", b"2")]},
        {"headers": [(b"transfer-encoding", b"chunked")]},
        {"body": stream(), "length": -1},
    ],
)
def test_what_cannot_be_sent(change: dict[str, Any]) -> None:
    for _ in range(2):
        with pytest.raises(httpx.LocalProtocolError) as raised:
            head(**change)
        assert "evil" not in str(raised.value)


def test_names_that_are_remembered_are_bounded() -> None:
    for n in range(ByNames.REMEMBERED + 10):
        head(headers=[(b"x-%d" % n, b"")])
    assert wire._template.remembered.cache_info().currsize <= ByNames.REMEMBERED
    many = [(b"y-%d" % n, b"") for n in range(ByNames.LONGEST + 1)]
    before = wire._template.remembered.cache_info()
    assert head(headers=many).count(b"\r\ny-") == len(many)
    assert wire._template.remembered.cache_info() == before, "a list as long as that is looked at every time"


@given(st.lists(st.tuples(st.binary(max_size=6), st.binary(max_size=12)), max_size=4))
def test_a_head_has_the_lines_that_it_was_given_or_is_refused(fields: list[tuple[bytes, bytes]]) -> None:
    try:
        made = head(headers=fields)
    except httpx.LocalProtocolError:
        return
    assert made.endswith(b"\r\n\r\n")
    lines = made[:-4].split(b"\r\n")
    assert lines[0] == b"POST /v1 HTTP/1.1"
    assert lines[1:-1] == [name + b": " + value for name, value in fields]
    assert b"\n" not in b"".join(lines)
