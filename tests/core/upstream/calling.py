"""What the tests of the HTTP client share: a call with a secret in it, its whole answer, a server of any behaviour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from helicone_gw import Headers, Target
from helicone_gw.model import UpstreamRequest
from helicone_gw.upstream.client import NetworkUpstream

SECRET = "sk-secret-of-the-client"
TARGET = Target("openai", "gpt-4o")
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def call(url: str, body: Any = b"{}", *, method: str = "POST", **options: Any) -> UpstreamRequest:
    headers = Headers({"content-type": "application/json", "authorization": f"Bearer {SECRET}"})
    return UpstreamRequest(method, f"{url}/v1/x?key={SECRET}", headers, body, TARGET, **options)


async def whole(upstream: NetworkUpstream, request: UpstreamRequest) -> bytes:
    response = await upstream(request)
    try:
        return b"".join([piece async for piece in response.body])
    finally:
        await response.close()


def says_nothing_it_should_not(problem: BaseException) -> None:
    text = str(problem)
    assert SECRET not in text
    assert "http" not in text.lower().replace("not http", "")
    assert "127.0.0.1" not in text
    assert "openai" in text


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
