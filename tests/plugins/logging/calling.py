"""Gateways with a REST API over their log, and clients that check every envelope."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from helicone_gw.database import Database
from helicone_gw.testing import RunningGateway
from helicone_gw_logging.plugin import VERSIONS, LoggingPlugin

KEYS = {
    "alice": "sk-of-alice-0123456789",
    "bob": "sk-of-bob-0123456789",
    "eve": {"key": "sk-of-eve-0123456789", "organization": "acme"},
}
ALICE, BOB, EVE = ({"Authorization": f"Bearer sk-of-{name}-0123456789"} for name in ("alice", "bob", "eve"))


@asynccontextmanager
async def migrated(url: str) -> AsyncIterator[None]:
    """A database with the log's tables, made before a gateway starts."""
    database = Database(url)
    await database.migrate("logging", VERSIONS)
    await database.close()
    yield


async def flush(running: RunningGateway) -> None:
    """Wait until everything is in the database."""
    for plugin in running.gateway.plugins:
        if isinstance(plugin, LoggingPlugin):
            await plugin.flush()


async def answer(
    running: RunningGateway, method: str, path: str, body: Any = None, *, status: int = 200, headers: Any = None
) -> dict[str, Any]:
    """The whole envelope, which is checked."""
    reply = await running.request(method, path, json=body, headers=headers)
    assert reply.status == status, (reply.status, reply.body)
    envelope: dict[str, Any] = reply.json()
    assert (envelope["error"] is None) == (status < 300)
    assert isinstance(envelope["error"], str) or status < 300
    return envelope


async def ask(
    running: RunningGateway, method: str, path: str, body: Any = None, *, status: int = 200, headers: Any = None
) -> Any:
    """The answer's ``data``; ``error`` where the status is not a good one."""
    envelope = await answer(running, method, path, body, status=status, headers=headers)
    return envelope["data" if status < 300 else "error"]
