"""The real program in front of a scripted provider: its configuration, its log, and SDK clients sync and async."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from helicone_gw.database import Database
from helicone_gw.testing import RecordedRequest
from helicone_gw_logging.query import Filter, list_requests
from helicone_gw_logging.rendering import as_json
from tests.program import EXECUTABLE

T = TypeVar("T")
Flavour = Literal["sync", "async"]
Ways = tuple[str, str]
"""An engine and a transport: what serves the clients, and what calls the providers."""

OPENAI_KEY = "sk-configured-for-openai"
ANTHROPIC_KEY = "sk-ant-configured-for-anthropic"
VOICE_KEY = "sk-configured-for-voice"
DATABASE = "gateway.db"
MAX_BODY = 8 << 20
MAX_UPLOAD = 16 << 20

ALICE = "alice-gateway-key"
CI = "ci-gateway-key"
"""Keys of the gateway that requires one: ``alice`` may everything, ``ci`` one model, one path."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports reserved for what the gateways' configuration names; nothing listens at ``nowhere``."""

    provider: int
    realtime: int
    nowhere: int


@contextmanager
def reserved() -> Iterator[int]:
    """A port that is listened at now and then, and that nobody else is given in between."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def configuration(ports: Ports, ways: Ways, directory: Path, *plugins: Any) -> dict[str, Any]:
    """A gateway whose providers are all scripted; the first segment of a path tells the provider which one it plays."""
    origin = f"http://127.0.0.1:{ports.provider}"
    nowhere = f"http://127.0.0.1:{ports.nowhere}"
    return {
        "server": {"engine": ways[0], "max_body": MAX_BODY, "max_upload": MAX_UPLOAD, "drain_timeout": 2},
        "upstream": {"transport": ways[1]},
        "database": {"url": f"sqlite:///{directory / DATABASE}"},
        "providers": {
            "openai": {"base_url": f"{origin}/openai/v1", "api_key": OPENAI_KEY},
            "anthropic": {"base_url": f"{origin}/anthropic", "api_key": ANTHROPIC_KEY},
            "gemini": {"base_url": f"{origin}/gemini", "api_key": "configured-for-gemini"},
            "voice": {
                "base_url": f"http://127.0.0.1:{ports.realtime}/v1",
                "dialect": "openai",
                "api_key": VOICE_KEY,
            },
            "away": {"base_url": f"{nowhere}/v1", "dialect": "openai", "api_key": "sk-away"},
            "away-claude": {"base_url": nowhere, "dialect": "anthropic", "api_key": "sk-ant-away"},
        },
        "plugins": ["logging", "cost", *plugins],
    }


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that runs: its URL, and the directory with its configuration and database."""

    url: str
    directory: Path

    async def rows(self, user: str, count: int = 1) -> list[dict[str, Any]]:
        """The log's rows of one user's requests, newest first, once ``count`` of them are there.

        Rows are written in batches, so it is looked again until then; what is there after ten seconds is the answer all
        the same. They are in the form of ``helicone-gw logs --json``.
        """
        database = Database(f"sqlite:///{self.directory / DATABASE}")
        deadline = asyncio.get_running_loop().time() + 10
        try:
            while True:
                requests = await list_requests(database, Filter(user_id=user), 100)
                if len(requests) >= count or asyncio.get_running_loop().time() > deadline:
                    return [json.loads(as_json(request)) for request in requests]
                await asyncio.sleep(0.05)
        finally:
            await database.close()

    async def logs(self, *options: str) -> list[dict[str, Any]]:
        """What ``helicone-gw logs --json`` prints."""
        command = [EXECUTABLE, "logs", "--config", "gateway.yaml", "--json", *options]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=self.directory, capture_output=True, text=True, timeout=60, check=True
        )
        return [json.loads(line) for line in done.stdout.splitlines()]


class Client:
    """An SDK client of either flavour, used alike: what blocks is run in a thread, beside the scripted provider."""

    def __init__(self, sdk: Any, flavour: Flavour) -> None:
        self.sdk = sdk
        self.flavour = flavour

    async def call(self, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the SDK and wait for what it gives."""
        if self.flavour == "sync":
            return await asyncio.to_thread(method, *args, **kwargs)
        return await cast("Awaitable[Any]", method(*args, **kwargs))

    async def list(self, items: Any) -> list[Any]:
        """Everything out of a stream or a page."""
        if self.flavour == "sync":
            return await asyncio.to_thread(list, cast("Iterable[Any]", items))
        return [item async for item in cast("AsyncIterator[Any]", items)]

    async def close(self) -> None:
        """Close the client's connections."""
        await self.call(self.sdk.close)


Connect = Callable[..., Client]
"""Makes a client: path of the base URL, flavour, options of the SDK's constructor."""


def sent_to_provider(request: RecordedRequest) -> bytes:
    """Every byte of a request that a secret could be in: target, fields and body."""
    fields = b"\n".join(name + b": " + value for name, value in request.headers.raw)
    return b"\n".join([request.target.encode(), fields, request.body])


def texts(chunks: Iterable[Any]) -> str:
    """The text of a streamed chat completion."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def ours(headers: Mapping[str, str]) -> dict[str, str]:
    """The outcome headers of an answer."""
    return {name.lower(): value for name, value in headers.items() if name.lower().startswith("helicone-")}
