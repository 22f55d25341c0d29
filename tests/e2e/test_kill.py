"""kill -9 at any moment: every request that was answered has exactly one row, and nothing is torn."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from running import BODY, EXECUTABLE, Program, Start

from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import anthropic, openai_chat
from tests.fixtures.postgres_server import PostgresServer

ROUNDS = [2, pytest.param(200, marks=[pytest.mark.full, pytest.mark.timeout(3600)])]
CLIENTS = 12
PLUGINS = ["logging", "cost"]


class Clients:
    """Asks for whole and for streamed answers until the gateway is gone; ``answered`` are the ids of those it got."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.answered: list[str] = []
        self.asked: list[str] = []

    async def ask(self, url: str, *, stream: bool, messages: bool) -> None:
        """One request; what became of it is in ``answered``."""
        identifier = str(uuid.uuid4())
        path = "/v1/messages" if messages else "/v1/chat/completions"
        body = {**BODY, "stream": stream, **({"model": "claude-sonnet-4-5", "max_tokens": 50} if messages else {})}
        headers = {"Helicone-Request-Id": identifier, "Helicone-Property-Round": "kill"}
        self.asked.append(identifier)
        async with self._client.stream("POST", url + path, json=body, headers=headers) as response:
            seen = b""
            async for piece in response.aiter_bytes():
                seen += piece
                if stream and (b"data: [DONE]\n\n" in seen or b'"message_stop"}\n\n' in seen):
                    self.answered.append(identifier)  # its client reads no further
                    return
        if not stream:
            json.loads(seen)
            assert response.status_code == 200
            self.answered.append(identifier)

    async def run(self, url: str) -> None:
        """Many of them, at once, for as long as there is an answer."""

        async def one(number: int) -> None:
            with contextlib.suppress(httpx.TransportError):
                while True:
                    await self.ask(url, stream=number % 2 == 0, messages=number % 3 == 0)

        await asyncio.gather(*(one(number) for number in range(CLIENTS)))


def answering() -> ScriptedProvider:
    """A provider whose streams take a moment."""

    def answer(request: Any) -> Any:
        dialect = anthropic if request.path.endswith("/messages") else openai_chat
        made = dialect.answer("Hello to all of you!")(request)
        return made.paced(0.002) if len(made.parts) > 1 else made

    return ScriptedProvider(default=answer)


def rows(file: Path) -> Counter[str]:
    """How many rows there are for each request id of a client."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return Counter(name for (name,) in connection.execute("SELECT request_id FROM request"))


async def taken_over(journals: Path, within: float = 60) -> None:
    """Return when only the journal of the one gateway that runs is left."""
    async with asyncio.timeout(within):
        while len(list(journals.iterdir())) > 1:
            await asyncio.sleep(0.05)


async def verified(program: Program) -> list[str]:
    """What ``helicone-gw db verify`` finds wrong."""
    process = await asyncio.create_subprocess_exec(
        EXECUTABLE, "--config", program.config, "db", "verify", "--json", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    problems: list[str] = json.loads(said)["problems"]
    assert process.returncode == bool(problems)
    return problems


@asynccontextmanager
async def locked(file: Path) -> AsyncIterator[None]:
    """The SQLite file takes nothing from anybody else."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_every_answer_has_exactly_one_row(start: Start, tmp_path: Path, rounds: int) -> None:
    """Every second time the database is locked meanwhile, so that the journal alone has them all."""
    file = tmp_path / "killed.db"
    config = {"database": {"url": f"sqlite:///{file}"}, "plugins": PLUGINS, "server": {"drain_timeout": 5}}
    provider, dice = answering(), random.Random(20261126)
    async with provider.serve() as address, httpx.AsyncClient(trust_env=False, timeout=30) as client:
        clients = Clients(client)
        for number in range(rounds):
            async with (
                start(config, provider=address) as program,
                locked(file) if number % 2 else contextlib.nullcontext(),
            ):
                await killed(program, clients, dice)
        async with start(config, provider=address) as program:
            await taken_over(tmp_path / "killed.journal")
            program.signal(signal.SIGTERM)
            assert await program.ended() == 0
            check(clients, rows(file), rounds)
            assert await verified(program) == []
            assert list((tmp_path / "killed.journal").iterdir()) == []


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_the_same_with_postgres_that_stops_or_answers_nothing(
    start: Start, tmp_path: Path, own_postgres_server: PostgresServer
) -> None:
    rounds, url = 6, own_postgres_server.make()
    config = {"database": {"url": url}, "plugins": PLUGINS, "server": {"drain_timeout": 5}}
    provider, dice = answering(), random.Random(20261126)
    async with provider.serve() as address, httpx.AsyncClient(trust_env=False, timeout=30) as client:
        file = tmp_path / "upgrade.yaml"
        file.write_text(json.dumps({**config, "providers": {"openai": {}}}))
        upgrade = await asyncio.create_subprocess_exec(EXECUTABLE, "--config", file, "db", "upgrade")
        assert await upgrade.wait() == 0
        clients = Clients(client)
        for number in range(rounds):
            async with start(config, provider=address) as program:
                trouble, well = [
                    (own_postgres_server.stop, own_postgres_server.start),
                    (own_postgres_server.freeze, own_postgres_server.thaw),
                ][number % 2]
                await asyncio.to_thread(trouble)
                try:
                    await killed(program, clients, dice)
                finally:
                    await asyncio.to_thread(well)
        async with start(config, provider=address) as program:
            [journals] = tmp_path.glob("helicone-*.journal")
            await taken_over(journals)
            program.signal(signal.SIGTERM)
            assert await program.ended() == 0
            told = own_postgres_server.ask("SELECT request_id FROM request", url.rsplit("/", 1)[1])
            check(clients, Counter(told.split()), rounds)
            assert await verified(program) == []


async def killed(program: Program, clients: Clients, dice: random.Random) -> None:
    """The program, after a moment of load: a longer one where the machine has other things to do."""
    before = len(clients.answered)
    load = asyncio.ensure_future(clients.run(program.url))
    await asyncio.sleep(dice.uniform(0.05, 0.8))
    async with asyncio.timeout(30):
        while len(clients.answered) < before + CLIENTS // 2:
            await asyncio.sleep(0.01)
    os.kill(program.process.pid, signal.SIGKILL)
    await load
    await program.ended()


def check(clients: Clients, found: Counter[str], rounds: int) -> None:
    """Whether every answer has one row, and nothing else has any."""
    assert len(clients.answered) >= rounds * CLIENTS / 2
    assert [each for each in clients.answered if found[each] != 1] == []
    assert {name: times for name, times in found.items() if times > 1} == {}
    assert set(found) <= set(clients.asked)
