"""Replies that are none: cut short, reset, garbage, smuggled. Each is told as an error, and nothing lives on it."""

from __future__ import annotations

import pytest

from tests.core.upstream.conformance.clients import Answer, Case, Client, cases, everywhere
from tests.core.upstream.conformance.peer import OK, Connection, Script, listening, once

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 12\r\n\r\nabcdefghijkl"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0A;x=1\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"
)
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nuntil the end"
BODIES = {LENGTH: b"abcdefghijkl", CHUNKED: b"abc0123456789", UNTIL_CLOSE: b"until the end"}
SELF_ENDING = {"length": LENGTH, "chunked": CHUNKED}


def cutting(reply: bytes, how: str) -> Script:
    """Each connection sends one byte more of ``reply`` than the one before it, and ends."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(reply[: connection.number])
        if how == "reset":
            connection.reset()

    return script


@everywhere()
@pytest.mark.parametrize("framing", SELF_ENDING)
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_reply_cut_short_is_an_error_wherever_that_is(client: Client, framing: str, how: str) -> None:
    reply = SELF_ENDING[framing]
    async with listening(cutting(reply, how)) as peer:
        answers: list[Answer] = []
        while len(peer.connections) < len(reply):
            answers.append(await client.whole(peer.url))
        assert all(answer.failed == "protocol" for answer in answers)
        # What came is right as far as it goes.
        assert all(BODIES[reply].startswith(answer.body) for answer in answers)
        if how == "close":
            assert (await client.whole(peer.url)).failed is None


@everywhere()
async def test_a_reply_that_ends_with_its_connection_is_whole_once_its_head_is(client: Client) -> None:
    head = UNTIL_CLOSE.index(b"\r\n\r\n") + 4
    async with listening(cutting(UNTIL_CLOSE, "close")) as peer:
        while (end := len(peer.connections)) <= len(UNTIL_CLOSE):
            answer = await client.whole(peer.url)
            end = peer.connections[-1].number
            assert answer.failed == ("protocol" if end < head else None), end
            assert answer.body == UNTIL_CLOSE[head:end]


@everywhere(aiohttp="aiohttp takes a reset for an end")
async def test_a_reset_is_no_end_of_a_reply_that_ends_with_its_connection(client: Client) -> None:
    async with listening(cutting(UNTIL_CLOSE, "reset")) as peer:
        while len(peer.connections) <= len(UNTIL_CLOSE):
            answer = await client.whole(peer.url)
            assert answer.failed == "protocol"


@everywhere()
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_connection_that_ends_before_the_request(client: Client, how: str) -> None:
    async def script(connection: Connection) -> None:
        if how == "reset":
            connection.reset()

    async with listening(script) as peer:
        assert (await client.whole(peer.url)).failed in {"protocol", "connect"}
        assert len(peer.connections) <= 2


FIELDS = b"HTTP/1.1 200 OK\r\n%s\r\nContent-Length: 2\r\n\r\nok"
CODED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n2\r\nok\r\n0\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s"
LENGTHS = b"HTTP/1.1 200 OK\r\n%s\r\n\r\nok"


SHORTCOMINGS = {
    "aiohttp": {
        "llhttp is told to be lenient with replies": (
            *("line folding", "line folding with a tab", "folding before the first field", "trailer folded"),
            *("bare LF between fields", "bare LF everywhere", "bare LF at the end of the head", "chunk ends with LF"),
            *("NUL in the reason", "chunk shorter than it says"),
        ),
        "takes any version and any status": ("HTTP/0.9", "HTTP/2.0 in text", "status below 100"),
        "takes a body in a coding it does not know for one that ends with its connection": (
            *("coding unknown", "coding not last", "coding twice", "coding identity", "coding misspelt"),
            "coding in HTTP/1.0",
        ),
        "bounds fields, and neither heads nor extensions nor interim replies": (
            *("a huge head", "a huge extension", "too many interim replies", "length of 5,000 digits"),
        ),
    },
    "httpx": {
        "h11 reads folded lines and bare LF, as old servers send them": (
            *("line folding", "line folding with a tab", "trailer folded"),
            *("bare LF between fields", "bare LF everywhere", "bare LF at the end of the head"),
        ),
        "h11 takes any version": ("HTTP/0.9", "HTTP/2.0 in text", "HTTP/1.2"),
        "h11 lets the coding win over the length": ("coding and length", "coding in HTTP/1.0"),
        "h11 takes equal lengths for one": ("two equal lengths",),
        "h11 does not look at extensions": ("NUL in an extension", "CR in an extension"),
        "h11 bounds heads in bytes only, and not the interim ones": ("too many fields", "too many interim replies"),
    },
}
ENDLESS_SHORTCOMINGS = {
    "aiohttp": {"bounds fields and nothing else": ("chunk size", "extension", "interim replies")},
    "httpx": {"h11 does not count interim replies": ("interim replies",)},
}


def short(name: str, shortcomings: dict[str, dict[str, tuple[str, ...]]]) -> dict[str, str]:
    """Which transports cannot, by the name of a case, and why."""
    return {
        transport: reason
        for transport, reasons in shortcomings.items()
        for reason, names in reasons.items()
        if name in names
    }


def refused(name: str, reply: bytes) -> Case:
    return Case(name, reply, "protocol", short(name, SHORTCOMINGS))


REFUSED = [
    refused("nothing like HTTP", b"220 smtp.example ESMTP\r\n\r\n"),
    refused("an SSH server", b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    refused("zeros", b"\0" * 100),
    refused("HTML alone", b"<!doctype html><title>x</title>\r\n\r\n"),
    refused("HTTP/0.9", b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    refused("HTTP/2.0 in text", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    refused("HTTP/1.2", b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    refused("no version", b"HTTP 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    refused("lower case", b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    refused("status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"),
    refused("status of four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"),
    refused("status with a letter", b"HTTP/1.1 20x OK\r\nContent-Length: 2\r\n\r\nok"),
    refused("status below 100", b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok"),
    refused("NUL in the reason", b"HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok"),
    refused("CR in the reason", b"HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok"),
    refused("protocols switched", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    refused("line folding", FIELDS % b"X: a\r\n b"),
    refused("line folding with a tab", FIELDS % b"X: a\r\n\tb"),
    refused("folding before the first field", FIELDS % b" X: a"),
    refused("blank before the colon", FIELDS % b"X : a"),
    refused("no colon", FIELDS % b"X a"),
    refused("no name", FIELDS % b": a"),
    refused("blank in the name", FIELDS % b"X Y: a"),
    refused("NUL in a name", FIELDS % b"X\0Y: a"),
    refused("NUL in a value", FIELDS % b"X: a\0b"),
    refused("CR in a value", FIELDS % b"X: a\rb"),
    refused("CR and a field", FIELDS % b"X: a\rContent-Length: 1"),
    refused("bare LF between fields", FIELDS % b"X: a\nY: b"),
    refused("bare LF everywhere", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    refused("bare LF at the end of the head", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok"),
    refused("non-ASCII in a name", FIELDS % b"X\xe4: a"),
    refused("length negative", LENGTHS % b"Content-Length: -2"),
    refused("length with a sign", LENGTHS % b"Content-Length: +2"),
    refused("length with a point", LENGTHS % b"Content-Length: 2.0"),
    refused("length in hexadecimal", LENGTHS % b"Content-Length: 0x2"),
    refused("length empty", LENGTHS % b"Content-Length:"),
    refused("length with a blank", LENGTHS % b"Content-Length: 2 2"),
    refused("length with an underscore", LENGTHS % b"Content-Length: 1_0"),
    refused("length beyond 64 bits", LENGTHS % b"Content-Length: 18446744073709551618"),
    refused("length of 5,000 digits", LENGTHS % (b"Content-Length: " + b"0" * 4999 + b"2")),
    refused("length in other digits", LENGTHS % "Content-Length: ٢".encode()),
    refused("two lengths", LENGTHS % b"Content-Length: 2\r\nContent-Length: 1"),
    refused("two equal lengths", LENGTHS % b"Content-Length: 2\r\nContent-Length: 2"),
    refused("a list of lengths", LENGTHS % b"Content-Length: 2, 1"),
    refused("length and coding", LENGTHS % b"Content-Length: 2\r\nTransfer-Encoding: chunked"),
    refused("coding and length", CODED % b"chunked\r\nContent-Length: 2"),
    refused("coding unknown", CODED % b"gzip"),
    refused("coding not last", CODED % b"chunked, gzip"),
    refused("coding twice", CODED % b"chunked, chunked"),
    refused("coding identity", CODED % b"identity"),
    refused("coding misspelt", CODED % b"xchunked"),
    refused("coding in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    refused("chunk size negative", CHUNKS % b"-2\r\nok\r\n0\r\n\r\n"),
    refused("chunk size with a sign", CHUNKS % b"+2\r\nok\r\n0\r\n\r\n"),
    refused("chunk size with 0x", CHUNKS % b"0x2\r\nok\r\n0\r\n\r\n"),
    refused("chunk size with a blank before", CHUNKS % b" 2\r\nok\r\n0\r\n\r\n"),
    refused("chunk size empty", CHUNKS % b"\r\nok\r\n0\r\n\r\n"),
    refused("chunk size no number", CHUNKS % b"xy\r\nok\r\n0\r\n\r\n"),
    refused("chunk size with an underscore", CHUNKS % b"0_2\r\nok\r\n0\r\n\r\n"),
    refused("chunk size beyond 64 bits", CHUNKS % b"10000000000000002\r\nok\r\n0\r\n\r\n"),
    refused("chunk longer than it says", CHUNKS % b"2\r\nokok\r\n0\r\n\r\n"),
    refused("chunk shorter than it says", CHUNKS % b"3\r\nok\r\n0\r\n\r\n"),
    refused("chunk without its end", CHUNKS % b"2\r\nok0\r\n\r\n"),
    refused("chunk size ends with LF", CHUNKS % b"2\nok\r\n0\r\n\r\n"),
    refused("chunk ends with LF", CHUNKS % b"2\r\nok\n0\r\n\r\n"),
    refused("NUL in an extension", CHUNKS % b"2;a=\0\r\nok\r\n0\r\n\r\n"),
    refused("CR in an extension", CHUNKS % b"2;a\rb\r\nok\r\n0\r\n\r\n"),
    refused("trailer without a colon", CHUNKS % b"2\r\nok\r\n0\r\nX\r\n\r\n"),
    refused("trailer folded", CHUNKS % b"2\r\nok\r\n0\r\nX: a\r\n b\r\n\r\n"),
    refused("too many fields", FIELDS % b"\r\n".join(b"X-%d: y" % number for number in range(1000))),
    refused("a huge field", FIELDS % (b"X: " + b"y" * 200_000)),
    refused("a huge name", FIELDS % (b"X" * 200_000 + b": y")),
    refused("a huge head", FIELDS % b"\r\n".join(b"X: " + b"y" * 1000 for _ in range(150))),
    refused("a huge reason", b"HTTP/1.1 200 " + b"O" * 200_000 + b"\r\nContent-Length: 2\r\n\r\nok"),
    refused("too many interim replies", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000 + OK),
    refused("interim replies only", b"HTTP/1.1 100 Continue\r\n\r\n"),
    refused("huge trailers", CHUNKS % (b"2\r\nok\r\n0\r\n" + b"X: y\r\n" * 100_000 + b"\r\n")),
    refused("a huge extension", CHUNKS % (b"2;" + b"x" * 200_000 + b"\r\nok\r\n0\r\n\r\n")),
]  # fmt: skip


@cases(REFUSED)
async def test_what_is_refused(client: Client, case: Case) -> None:
    async with listening(once(case.reply, then="close")) as peer:
        answer = await client.whole(peer.url)
        assert answer.failed == case.expected, answer
        assert (await client.whole(peer.url)).failed == case.expected, "and again, on a connection of its own"
        assert len(peer.connections) == 2


ENDLESS = {
    "status line": (b"HTTP/1.1 200 ", b"x" * 1000),
    "name": (b"HTTP/1.1 200 OK\r\n", b"x" * 1000),
    "value": (b"HTTP/1.1 200 OK\r\nx: ", b"y" * 1000),
    "fields": (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 100),
    "interim replies": (b"", b"HTTP/1.1 103 Hints\r\n\r\n" * 10),
    "extension": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"x" * 1000),
    "chunk size": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"0" * 1000),
    "trailers": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n" * 100),
}


@cases(Case(name, b"", "protocol", short(name, ENDLESS_SHORTCOMINGS)) for name in ENDLESS)
async def test_what_never_ends_is_ended(client: Client, case: Case) -> None:
    begin, more = ENDLESS[case.name]
    sent = 0

    async def script(connection: Connection) -> None:
        nonlocal sent
        await connection.request()
        connection.writer.write(begin)
        while sent < 512 << 10:
            await connection.send(more)
            sent += len(more)

    async with listening(script) as peer:
        assert (await client.whole(peer.url)).failed == "protocol"
        assert sent < 200 << 10, "it is found out in time, not at the end of all patience"
