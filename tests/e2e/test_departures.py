"""A client that leaves, at every stage and over every engine: upstream is cancelled, and one row says so."""

from __future__ import annotations

import asyncio

from running import BODY, STREAMED, Shared, connected, received, request, statuses_in

from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import openai_chat

A_WHILE = 5.0
"""Seconds that a machine under load may take for what should take well under one."""


async def ends_as(shared: Shared, user: str, outcome: str) -> None:
    """Check that the exchanges of ``user`` left one row, with this outcome."""
    rows = await shared.rows(user)
    assert [row["outcome"] for row in rows] == [outcome]


def of(user: str) -> bytes:
    return b"Helicone-User-Id: " + user.encode()


async def test_before_the_body(shared: Shared, behind: ScriptedProvider) -> None:
    async with connected(shared.port) as (_, writer):
        head, _, _ = request(BODY, of("before-body")).partition(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        await asyncio.sleep(0.2)
    await ends_as(shared, "before-body", "client_disconnected")
    assert not behind.requests


async def test_in_the_middle_of_the_body(shared: Shared, behind: ScriptedProvider) -> None:
    async with connected(shared.port) as (_, writer):
        writer.write(request(BODY, of("mid-body"))[:-10])
        await asyncio.sleep(0.2)
    await ends_as(shared, "mid-body", "client_disconnected")
    assert not behind.requests


async def test_in_the_middle_of_an_upload(shared: Shared, behind: ScriptedProvider) -> None:
    fields = of("mid-upload"), b"Content-Type: application/octet-stream", b"Content-Length: 1000000"
    async with connected(shared.port) as (_, writer):
        writer.write(request(None, *fields, target=b"/v1/files") + b"x" * 500_000)
        async with asyncio.timeout(A_WHILE):
            while not behind.requests:
                await asyncio.sleep(0.01)
    await ends_as(shared, "mid-upload", "client_disconnected")
    assert not behind.requests[0].received.is_set()


async def test_before_the_answer(shared: Shared, behind: ScriptedProvider) -> None:
    behind.default = openai_chat.reply("Hello!").delayed(60)
    async with connected(shared.port) as (_, writer):
        writer.write(request(BODY, of("before-answer")))
        await behind.received(1)
    async with asyncio.timeout(A_WHILE):
        await behind.closed_by_client.wait()
    await ends_as(shared, "before-answer", "client_disconnected")


async def test_in_the_middle_of_a_stream(shared: Shared, behind: ScriptedProvider) -> None:
    behind.default = openai_chat.stream(("one", "two"), include_usage=False).paced(60)
    async with connected(shared.port) as (_, writer):
        writer.write(request(STREAMED, of("mid-stream")))
        await behind.received(1)
        await asyncio.sleep(0.2)
    async with asyncio.timeout(A_WHILE):
        await behind.closed_by_client.wait()
    await ends_as(shared, "mid-stream", "client_disconnected")


async def test_after_a_part_of_a_stream(shared: Shared, behind: ScriptedProvider) -> None:
    behind.default = openai_chat.stream([f"{number} " for number in range(1000)], include_usage=False).paced(0.1)
    async with connected(shared.port) as (reader, writer):
        writer.write(request(STREAMED, of("part")))
        assert statuses_in(await received(reader, until=b"2 ")) == [200]
    async with asyncio.timeout(A_WHILE):
        await behind.closed_by_client.wait()
    await ends_as(shared, "part", "client_disconnected")


async def test_saying_nothing_more_counts_as_leaving(shared: Shared, behind: ScriptedProvider) -> None:
    """Half a connection is none: a client that will send nothing more cannot be told from one that is gone."""
    behind.default = openai_chat.reply("Hello!").delayed(60)
    async with connected(shared.port) as (reader, writer):
        writer.write(request(BODY, of("half")))
        await behind.received(1)
        writer.write_eof()
        async with asyncio.timeout(A_WHILE):
            await behind.closed_by_client.wait()
        assert await received(reader) == b""
    await ends_as(shared, "half", "client_disconnected")


async def test_with_a_request_sent_ahead(shared: Shared, behind: ScriptedProvider) -> None:
    behind.default = openai_chat.stream([f"{number} " for number in range(1000)], include_usage=False).paced(0.1)
    async with connected(shared.port) as (reader, writer):
        writer.write(request(STREAMED, of("ahead")) + request(STREAMED, of("ahead-never")))
        await received(reader, until=b"2 ")
    async with asyncio.timeout(A_WHILE):
        await behind.closed_by_client.wait()
    await ends_as(shared, "ahead", "client_disconnected")
    assert len(behind.requests) == 1


async def test_a_client_that_stops_reading_and_then_leaves(shared: Shared, behind: ScriptedProvider) -> None:
    """Most of the answer is on its way to nobody; the gateway notices all the same."""
    behind.default = openai_chat.stream(["x" * 10_000] * 5_000, include_usage=False)
    async with connected(shared.port) as (reader, writer):
        writer.write(request(STREAMED, of("stuck")))
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.5)
    async with asyncio.timeout(A_WHILE):
        await behind.closed_by_client.wait()
    await ends_as(shared, "stuck", "client_disconnected")
