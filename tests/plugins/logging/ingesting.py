"""A gateway in memory that takes what clients tell, its rows read back; and the bodies of log calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from helicone_gw.testing.client import Reply
from helicone_gw.testing.running import GatewayFactory, RunningGateway
from helicone_gw_logging.bodies import unpack
from helicone_gw_logging.plugin import LoggingPlugin
from helicone_gw_logging.tables import BODY, PROPERTY, REQUEST

KEY = "alice-gateway-key"
MESSAGES = [{"role": "user", "content": "Say hello."}]
CHAT = {"model": "gpt-4o", "messages": MESSAGES}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}],
    "usage": USAGE,
}
CHUNKS: list[dict[str, Any]] = [
    {
        "object": "chat.completion.chunk",
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello!"}, "finish_reason": None}],
    },
    {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"object": "chat.completion.chunk", "choices": [], "usage": USAGE},
]
COST = 10 * 2_500 + 5 * 10_000
"""Nano-dollars of `USAGE` at gpt-4o's price."""


class Ingesting:
    """The gateway, its rows newest first, and the bodies of one."""

    def __init__(self, running: RunningGateway) -> None:
        self.running = running
        self.gateway = running.gateway
        self.plugin = next(plugin for plugin in running.gateway.plugins if isinstance(plugin, LoggingPlugin))

    @property
    def now(self) -> float:
        return self.gateway.clock.now()

    def timing(self, ago: float = 2.0, took: float = 1.5, **more: Any) -> dict[str, Any]:
        """``timing`` of something that began so many seconds ago."""
        start = round(self.now - ago, 3)
        return {"startTime": moment(start), "endTime": moment(start + took), **more}

    def call(
        self,
        request: Mapping[str, Any] = CHAT,
        answer: Any = ANSWER,
        *,
        url: str = "custom-model-nopath",
        meta: Mapping[str, Any] | None = None,
        status: Any = 200,
        text: str | None = None,
        timing: Any = None,
        **more: Any,
    ) -> dict[str, Any]:
        """The body of a log call."""
        response: dict[str, Any] = {"json": answer, "status": status, "headers": {}}
        if text is not None:
            response["textBody"] = text
        return {
            "providerRequest": {"url": url, "json": request, "meta": meta or {}},
            "providerResponse": response,
            "timing": timing if timing is not None else self.timing(),
            **more,
        }

    async def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        if isinstance(body, bytes):
            return await self.running.request("POST", path, content=body, headers=headers)
        return await self.running.request("POST", path, json=body, headers=headers)

    async def log(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Post what must be taken; its row."""
        reply = await self.post(path, body, headers)
        assert reply.status == 200, reply.body
        return (await self.rows())[0]

    async def rows(self) -> list[dict[str, Any]]:
        """Every row, the one written last first."""
        await self.plugin.flush()
        async with self.gateway.database.connect() as connection:
            found = await connection.execute(select(REQUEST).order_by(REQUEST.c.seq.desc()))
            return [dict(row._mapping) for row in found]

    async def properties(self, row: Mapping[str, Any]) -> dict[str, str]:
        async with self.gateway.database.connect() as connection:
            found = await connection.execute(select(PROPERTY).where(PROPERTY.c.seq == row["seq"]))
            return {each.key: each.value for each in found}

    async def bodies(self, row: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """Request and response as they are stored."""
        async with self.gateway.database.connect() as connection:
            found = (await connection.execute(select(BODY).where(BODY.c.seq == row["seq"]))).one()
        return unpack(found.request) or b"", unpack(found.response) or b""


def moment(at: float) -> dict[str, int]:
    """A time as Helicone's clients write it."""
    milliseconds = round(at * 1000)
    return {"seconds": milliseconds // 1000, "milliseconds": milliseconds % 1000}


def lines(chunks: list[dict[str, Any]]) -> str:
    """Chunks as Helicone's helpers send them."""
    return "\n".join(msgspec.json.encode(chunk).decode() for chunk in chunks)


@asynccontextmanager
async def ingesting(
    directory: Path, *plugins: Any, logging: Mapping[str, Any] | None = None, url: str | None = None
) -> AsyncIterator[Ingesting]:
    """A running gateway with ``logging``, ``cost`` and ``plugins``; ``url`` is its database, else a file of SQLite."""
    config = {"database": {"url": url or f"sqlite:///{directory / 'ingest.db'}"}}
    onion = [{"logging": dict(logging or {})}, "cost", *plugins]
    async with GatewayFactory(directory)(onion, config=config) as running:
        yield Ingesting(running)
