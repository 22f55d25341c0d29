"""Requests that servers read differently, or that ask for too much, over every engine: refused, and never two answers.

What is refused is answered once with a status of 400 or more, and the connection is closed; nothing of it reaches the
provider, least of all the request that was smuggled in its tail.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from running import BODY, CHAT, Shared, connected, exchange, received, request, statuses_in

from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import openai_chat

SMUGGLED = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HELLO = json.dumps(BODY).encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HELLO), HELLO)
TE = b"Transfer-Encoding: chunked"


def post(*fields: bytes, body: bytes = HELLO, host: bytes = b"Host: 127.0.0.1\r\n", version: bytes = b"1.1") -> bytes:
    """A POST with the fields as they are, one by one."""
    head = b"POST %s HTTP/%s\r\n%sContent-Type: application/json\r\n" % (CHAT, version, host)
    return head + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def length(value: bytes) -> bytes:
    return b"Content-Length: " + value


N = b"%d" % len(HELLO)

REFUSED = {
    "both lengths, the coding first": post(TE, length(N), body=CHUNKED),
    "both lengths, the coding last": post(length(N), TE, body=CHUNKED),
    "two lengths": post(length(N), length(b"5")),
    "two lengths in one": post(length(N + b", 5")),
    "a length with a plus": post(length(b"+" + N)),
    "a length below zero": post(length(b"-1")),
    "a hexadecimal length": post(length(b"0x%x" % len(HELLO))),
    "a length with a space in it": post(length(N[:1] + b" " + N[1:])),
    "an empty length": post(b"Content-Length:"),
    "a length beyond all numbers": post(length(b"9" * 40)),
    "a space before the colon": post(b"Content-Length : " + N),
    "a tab before the colon": post(b"Transfer-Encoding\t: chunked", body=CHUNKED),
    "a coding that is not chunked": post(b"Transfer-Encoding: xchunked", body=CHUNKED),
    "chunked and then another coding": post(b"Transfer-Encoding: chunked, identity", body=CHUNKED),
    "another coding and then chunked": post(b"Transfer-Encoding: gzip, chunked", body=CHUNKED),
    "two codings": post(TE, b"Transfer-Encoding: identity", body=CHUNKED),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked", body=CHUNKED),
    "a vertical tab in the coding": post(b"Transfer-Encoding: \x0bchunked", body=CHUNKED),
    "a folded coding": post(b"Transfer-Encoding:\r\n chunked", body=CHUNKED),
    "chunks in HTTP/1.0": post(TE, body=CHUNKED, version=b"1.0"),
    "a chunk size that is none": post(TE, body=b"zz\r\n%s\r\n0\r\n\r\n" % HELLO),
    "a chunk size with 0x": post(TE, body=b"0x" + CHUNKED),
    "a chunk size below zero": post(TE, body=b"-" + CHUNKED),
    "a chunk size beyond all numbers": post(TE, body=b"f" * 20 + CHUNKED),
    "a chunk longer than its size": post(TE, body=b"5\r\n%s\r\n0\r\n\r\n" % HELLO),
    "a line feed in a chunk extension": post(TE, body=CHUNKED.replace(b"\r\n", b";a\nb\r\n", 1)),
    "no host": post(length(N), host=b""),
    "two hosts": post(b"Host: localhost", length(N)),
    "two hosts alike": post(b"Host: 127.0.0.1", length(N)),
    "a host that is none": post(length(N), host=b"Host: a b\r\n"),
    "NUL in a value": post(b"X-A: a\x00b", length(N)),
    "a bare CR in a value": post(b"X-A: a\rX-B: b", length(N)),
    "NUL in a name": post(b"X\x00A: a", length(N)),
    "a name with a space": post(b"X A: a", length(N)),
    "a field without a colon": post(b"X-A", length(N)),
    "a field that begins with a space": post(length(N), host=b" X-A: a\r\nHost: 127.0.0.1\r\n"),
    "a folded field": post(b"X-A: one\r\n two", length(N)),
    "a space in the target": request(BODY, target=CHAT + b" x"),
    "a control in the target": request(BODY, target=CHAT + b"\x01"),
    "a tunnel": request(method=b"CONNECT", target=b"127.0.0.1:22"),
    "a version that is none": request(BODY, version=b"9.9"),
    "no version": b"GET /v1/models\r\n\r\n",
    "binary junk": b"\x00\x01\x02\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.7\r\n\r\n",
    "a target of 100 KB": request(target=b"/v1/models?" + b"a" * 100_000, method=b"GET"),
    "a field of 1 MB": request(BODY, b"X-A: " + b"a" * 1_000_000),
    "a field name of 1 MB": request(BODY, b"a" * 1_000_000 + b": a"),
    "2,000 fields": request(BODY, *(b"X-%d: a" % number for number in range(2000))),
}

DIFFERENCES = {
    ("granian", "both lengths, the coding first"): "hyper takes the coding, and closes (RFC 9112 section 6.1)",
    ("granian", "both lengths, the coding last"): "hyper takes the coding, and closes (RFC 9112 section 6.1)",
}
"""What one engine does otherwise and we cannot help: engine and case, and what it does."""


@pytest.mark.parametrize("case", REFUSED)
async def test_what_can_be_read_in_two_ways_is_refused(case: str, shared: Shared, behind: ScriptedProvider) -> None:
    behind.default = openai_chat.reply("Hello!")
    answer = await exchange(shared.port, REFUSED[case] + SMUGGLED)
    statuses = statuses_in(answer)
    assert len(statuses) <= 1, answer
    if reason := DIFFERENCES.get((shared.engine, case)):
        assert statuses == [200], f"no longer so: {reason}"
        assert len(behind.requests) == 1
        return
    assert all(400 <= status <= 505 and status != 500 for status in statuses), answer
    assert not behind.requests


ACCEPTED = {
    "chunks": (post(TE, b"Connection: close", body=CHUNKED), 200),
    "a chunk extension": (post(TE, b"Connection: close", body=CHUNKED.replace(b"\r\n", b";a=b\r\n", 1)), 200),
    "trailers": (post(TE, b"Connection: close", body=CHUNKED[:-2] + b"X-Sum: 1\r\n\r\n"), 200),
    "an empty line before the request": (b"\r\n" + post(length(N), b"Connection: close"), 200),
    "a latin-1 value": (post(length(N), b"X-A: caf\xe9", b"Connection: close"), 200),
    "80 fields": (post(length(N), *(b"X-%d: a" % n for n in range(80)), b"Connection: close"), 200),
    "a field of 16 KB": (post(length(N), b"X-A: " + b"a" * 16_000, b"Connection: close"), 200),
    "HTTP/1.0": (post(length(N), version=b"1.0"), 200),
    "HTTP/1.0 without a host": (post(length(N), host=b"", version=b"1.0"), 403),
    "an offer of h2c": (
        post(length(N), b"Connection: Upgrade, HTTP2-Settings, close", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
        200,
    ),
    "an absolute target": (request(BODY, b"Connection: close", target=b"http://127.0.0.1" + CHAT), 200),
    "an escaped target": (request(BODY, b"Connection: close", target=b"/v1/chat%2Fcompletions"), 200),
    "the whole server": (request(None, b"Connection: close", target=b"*", method=b"OPTIONS"), 404),
}
"""Requests that are to be served, each with the status of its answer."""


@pytest.mark.parametrize("case", ACCEPTED)
async def test_what_is_unusual_and_right_is_served(case: str, shared: Shared, behind: ScriptedProvider) -> None:
    behind.default = openai_chat.reply("Hello!")
    sent, status = ACCEPTED[case]
    answer = await exchange(shared.port, sent)
    assert statuses_in(answer) == [status], answer
    if status == 200:
        assert [seen.json() for seen in behind.requests] == [BODY]


async def test_http_1_0_gets_no_chunks(shared: Shared, behind: ScriptedProvider) -> None:
    script = openai_chat.stream(("one", "two"), include_usage=False)
    behind.default = script
    answer = await exchange(shared.port, request({**BODY, "stream": True}, version=b"1.0"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body == script.body


async def test_a_body_is_asked_for_only_when_it_is_wanted(shared: Shared, behind: ScriptedProvider) -> None:
    behind.default = openai_chat.reply("Hello!")
    async with connected(shared.port) as (reader, writer):
        whole = request(BODY, b"Expect: 100-continue", b"Connection: close")
        head, _, body = whole.partition(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        assert await received(reader, until=b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert statuses_in(await received(reader)) == [200]


async def test_a_head_without_end_is_cut_and_costs_no_memory(shared: Shared) -> None:
    before = shared.memory()
    for piece in (b"GET /" + b"a" * 65_531, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + b"a" * 65_500):
        async with connected(shared.port) as (reader, writer):
            writer.write(piece)
            with pytest.raises(ConnectionError):
                async with asyncio.timeout(20):
                    while True:
                        writer.write(b"a" * 65_536)
                        await writer.drain()
            assert all(status in (400, 408, 414, 431) for status in statuses_in(await received(reader)))
    assert shared.memory() < before + (16 << 20)


async def test_the_connection_of_others_is_not_disturbed(shared: Shared, behind: ScriptedProvider) -> None:
    behind.default = openai_chat.reply("Hello!")
    async with connected(shared.port) as (reader, writer):
        for case in ("binary junk", "two lengths", "a chunk size that is none"):
            await exchange(shared.port, REFUSED[case])
            writer.write(request(BODY))
            assert statuses_in(await received(reader, until=b"Hello!")) == [200]
