"""Bytes behind a reply: they are nobody's answer, and whoever sends them is not asked again on that connection."""

from __future__ import annotations

from collections.abc import Iterator

from tests.core.upstream.conformance.clients import Case, Client, cases
from tests.core.upstream.conformance.peer import Connection, listening, turns

JUNK = {
    "another reply": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "half a reply": b"HTTP/1.1 200 OK\r\nContent-Le",
    "an error": b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n",
    "blank lines": b"\r\n\r\n",
    "one byte": b"x",
    "text": b"evil\r\n\r\n",
}
REPLIES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
}


def junk_cases() -> Iterator[Case]:
    for when in ("with it", "behind it"):
        for framing, reply in REPLIES.items():
            for name, junk in JUNK.items():
                pieces = [reply + junk] if when == "with it" else [reply, junk]
                yield Case(f"{framing}, {name} {when}", reply, pieces, _short_of_junk(name, when))


def _short_of_junk(name: str, when: str) -> dict[str, str]:
    if when == "with it":
        shortcomings = {"httpx": "httpcore keeps what follows a reply, and h11 reads it as the next one"}
        if name not in {"another reply", "an error"}:
            shortcomings["aiohttp"] = "aiohttp keeps it for the next one, or breaks the one that was good"
        return shortcomings
    if name in {"one byte", "text"}:
        return {}
    hangs = "hangs: " if name == "an error" else ""
    return {"aiohttp": f"{hangs}aiohttp reads what comes on an idle connection as the next reply"}


@cases(junk_cases())
async def test_what_follows_a_reply_is_never_the_next_answer(client: Client, case: Case) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(*case.expected)
        await connection.request()
        await connection.send(case.reply)

    expected = b"" if case.reply.startswith(b"HTTP/1.1 204") else b"good"
    async with listening(script) as peer:
        for _ in range(3):
            answer = await client.whole(peer.url)
            assert (answer.failed, answer.body) == (None, expected)
            assert answer.status in {200, 204}
            await turns(20)
        assert len(peer.connections) == 3, "a connection that says more than it was asked is not asked again"
