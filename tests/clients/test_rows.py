"""Every exchange has exactly one row, whatever became of it; a streamed one says the same as an unstreamed one."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from helicone_gw.testing import RecordedRequest, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from tests.clients.gateways import Connect, Running

CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}


async def test_every_way_to_end(connect: Connect, open_gateway: Running, provider: ScriptedProvider) -> None:
    client = connect("openai", f"{open_gateway.url}/v1", default_headers={"Helicone-User-Id": "endings"}).sdk
    provider.enqueue(
        openai_chat.answer("Hello!"),
        openai_chat.answer("Hello!"),
        openai_chat.error(429),
        openai_chat.stream("one two three").framed("close").cut(events=3),
        openai_chat.stream("one two three").cut(events=3, how="hang"),
    )
    await client.chat.completions.create(**CHAT)
    stream = await client.chat.completions.create(**CHAT, stream=True)
    assert [chunk async for chunk in stream]
    with pytest.raises(openai.RateLimitError):
        await client.chat.completions.create(**CHAT)
    stream = await client.chat.completions.create(**CHAT, stream=True)
    with pytest.raises(openai.APIError):
        [chunk async for chunk in stream]
    stream = await client.chat.completions.create(**CHAT, stream=True)
    await anext(stream)
    await stream.close()
    await provider.closed_by_client.wait()
    rows = await open_gateway.rows("endings", 5)
    assert [(row["outcome"], row["status"], row["stream"]) for row in reversed(rows)] == [
        ("ok", 200, False),
        ("ok", 200, True),
        ("upstream_error", 429, False),
        ("stream_broken", 200, True),
        ("client_disconnected", 200, True),
    ]
    unary, streamed = rows[-1], rows[-2]
    for same in ("cost_nano_usd", "prompt_tokens", "completion_tokens", "model", "provider"):
        assert unary[same] == streamed[same], same
        assert unary[same] is not None, same


async def test_a_client_that_hangs_up_after_the_last_event_was_answered_all_the_same(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    """openai's SDK closes its connection as soon as it has seen ``[DONE]``; that is no departure."""
    provider.default = openai_chat.answer("Hello!")

    async def one() -> None:
        client = connect("openai", f"{open_gateway.url}/v1", default_headers={"Helicone-User-Id": "many"})
        stream = await client.sdk.chat.completions.create(**CHAT, stream=True)
        assert await client.list(stream)
        await client.close()

    for _ in range(5):
        await asyncio.gather(*(one() for _ in range(6)))
    rows = await open_gateway.rows("many", 30)
    assert len(rows) == 30
    assert {(row["outcome"], row["status"], row["prompt_tokens"]) for row in rows} == {("ok", 200, 12)}


async def test_cancelled_requests_have_their_rows(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    def answer(request: RecordedRequest) -> Any:
        # Clients leave before the head, before the first event, in the middle and right at the end.
        return openai_chat.stream("one two three four").delayed(0.01 * (request.number % 3)).paced(0.01)

    provider.default = answer
    client = connect("openai", f"{open_gateway.url}/v1", default_headers={"Helicone-User-Id": "leaving"})

    async def one(number: int) -> None:
        try:
            async with asyncio.timeout(0.005 * number):
                stream = await client.sdk.chat.completions.create(**CHAT, stream=True)
                await client.list(stream)
        except TimeoutError:
            pass

    await asyncio.gather(*(one(number) for number in range(40)))
    sent = len(provider.requests)
    rows = await open_gateway.rows("leaving", sent)
    assert len(rows) >= sent
    assert len({row["id"] for row in rows}) == len(rows)
    assert {row["outcome"] for row in rows} <= {"ok", "client_disconnected"}
