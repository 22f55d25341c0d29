"""Exchanges as the core would hand them to ``on_finish``, and a database to log them in."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helicone_gw.access import GatewayKey
from helicone_gw.clock import SystemClock
from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.headers import Headers
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw.model import Attempt, Capture, Cost, Outcome, Request, Response, Target, Usage
from helicone_gw_logging.plugin import VERSIONS
from tests.fixtures.postgres_server import PostgresServer

RECEIVED_AT = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class Log:
    """A logger that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def error(self, event: str, **facts: Any) -> None:
        self.events.append((event, facts))

    def info(self, event: str, **facts: Any) -> None:
        self.events.append((event, facts))

    def warning(self, event: str, **facts: Any) -> None:
        self.events.append((event, facts))

    def bind(self, **facts: Any) -> Log:
        return self

    def __repr__(self) -> str:
        return repr(self.events)


def build(
    *,
    headers: dict[str, str] | None = None,
    body: bytes | None = b'{"model":"gpt-4o","messages":[]}',
    answer: bytes = b'{"model":"gpt-4o-2024-08-06"}',
    model: str | None = "gpt-4o",
    stream: bool = False,
    user: str | None = None,
    received_at: float = RECEIVED_AT,
    outcome: Outcome | None = None,
    **attributes: Any,
) -> Exchange:
    """A finished exchange: by default a good one, answered by one attempt, with usage and cost."""
    sent = Headers({"content-type": "application/json", **(headers or {})})
    request = Request(
        method="POST",
        path="/v1/chat/completions",
        query="",
        headers=sent,
        body=body,
        dialect="openai",
        operation="chat",
        helicone=parse_helicone_headers(sent),
        model=model,
        stream=stream,
        user=user,
    )
    exchange = Exchange(str(uuid.uuid4()), request, received_at)
    usage, cost = Usage(input_tokens=10, output_tokens=5), Cost(7_500, source="genai-prices", version="0.2.3")
    exchange.attempts = [
        Attempt(
            1,
            Target("openai", "gpt-4o"),
            received_at + 0.01,
            first_byte_at=received_at + 0.4,
            ended_at=received_at + 1.2,
            status=200,
            usage=usage,
            cost=cost,
            model="gpt-4o-2024-08-06",
        )
    ]
    exchange.first_byte_at = received_at + 0.4
    exchange.first_chunk_at = received_at + 0.5
    exchange.ended_at = received_at + 1.234
    exchange.provider, exchange.model = "openai", "gpt-4o-2024-08-06"
    exchange.usage, exchange.cost = usage, cost
    exchange.stop_reason = "stop"
    exchange.response = Response(200, Headers({"content-type": "application/json"}), answer)
    exchange.request_capture = None if body is None else Capture(body, False, len(body))
    exchange.response_capture = Capture(answer, False, len(answer))
    exchange.outcome = outcome or Outcome("ok", 200, len(answer))
    for name, value in attributes.items():
        setattr(exchange, name, value)
    return exchange


@pytest.fixture
def exchange() -> Callable[..., Exchange]:
    return build


@pytest.fixture
def key() -> GatewayKey:
    return GatewayKey("key-1", "alice", "team-a")


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A migrated SQLite file, ``gateway.db``."""
    database = Database(f"sqlite:///{tmp_path}/gateway.db", busy_timeout=0.05)
    await database.migrate("logging", VERSIONS)
    yield database
    await database.close()


@pytest.fixture(params=["sqlite", "postgres"])
async def any_database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """A migrated database: a SQLite file, and then one of a real PostgreSQL server.

    The working directory is the test's own: that is where the journal of a database that is no file lies.
    """
    monkeypatch.chdir(tmp_path)
    server: PostgresServer | None = None
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/any.db"
    else:
        server = request.getfixturevalue("_shared_postgres")
        url = server.make() if "migration" in request.node.nodeid else await copied(server)
    database = Database(url)
    try:
        await database.migrate("logging", VERSIONS)
        yield database
    finally:
        await database.close()
        if server is not None:
            server.drop(url)


async def copied(server: PostgresServer) -> str:
    """The URL of a database of the server that has the tables; those of the first alone are made by the revisions."""
    if "logging" not in server.models:
        first = Database(url := server.make())
        await first.migrate("logging", VERSIONS)
        await first.close()
        server.models["logging"] = url
    return server.make(server.models["logging"])


@pytest.fixture
def gateway(log: Log) -> Callable[[Database], Any]:
    """What the plugin needs of a gateway."""

    def make(database: Database, providers: dict[str, Any] | None = None) -> Any:
        config = SimpleNamespace(providers=providers or {})
        return SimpleNamespace(database=database, log=log, config=config, clock=SystemClock())

    return make
