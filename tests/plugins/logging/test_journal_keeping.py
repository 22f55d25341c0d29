"""Through the gateway: what is in the journal when a client has its answer, and what a database in trouble costs."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from helicone_gw.database import Database
from helicone_gw.model import Capture, Outcome
from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider, VirtualClock
from helicone_gw.testing.dialects import openai_chat
from helicone_gw_logging import get_request, list_requests
from helicone_gw_logging.bodies import unpack
from helicone_gw_logging.config import LoggingConfig
from helicone_gw_logging.insert import Rows, prepare
from helicone_gw_logging.journal.format import (
    AMENDED,
    NAMES,
    OPENED,
    RECORD,
    Frame,
    Reading,
    frames,
    read_changes,
)
from helicone_gw_logging.journal.replay import Dead
from helicone_gw_logging.journal.service import JournalService, root_of
from helicone_gw_logging.plugin import LoggingPlugin
from helicone_gw_logging.writer import Writer
from tests.plugins.logging.journaling import Build

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.fixture
def factory(tmp_path: Path) -> GatewayFactory:
    return GatewayFactory(tmp_path)


class Running:
    """A gateway with a journal, and what is in it."""

    def __init__(self, running: RunningGateway, root: Path) -> None:
        self.gateway = running
        self.root = root
        [self.plugin] = [each for each in running.gateway.plugins if isinstance(each, LoggingPlugin)]

    def frames(self) -> list[Frame]:
        """All records but the names of columns, as the disk has them."""
        found = [each for path in sorted(self.root.rglob("*.segment")) for each in frames(path.read_bytes())]
        return [each for each in found if isinstance(each, Frame) and each.kind]

    def kinds(self) -> list[int]:
        return [each.kind for each in self.frames()]

    def row(self, frame: Frame) -> dict[str, Any]:
        """The request of a record, by column."""
        return dict(zip(NAMES["request"], Reading().rows(frame.payload).request, strict=True))

    def rows(self) -> list[Rows]:
        return [Reading().rows(each.payload) for each in self.frames() if each.kind == RECORD]


@asynccontextmanager
async def journaled(
    factory: GatewayFactory,
    directory: Path,
    provider: ScriptedProvider | None = None,
    clock: VirtualClock | None = None,
    **config: Any,
) -> AsyncIterator[Running]:
    """A gateway over a SQLite file whose log has a journal."""
    database = {"database": {"url": f"sqlite:///{directory}/log.db"}}
    async with factory([{"logging": config}, "cost"], provider=provider, config=database, clock=clock) as running:
        yield Running(running, directory / "log.journal")


async def test_an_answer_and_a_stream_are_in_the_journal_as_in_the_database(
    factory: GatewayFactory, tmp_path: Path
) -> None:
    async with journaled(factory, tmp_path) as running:
        await running.gateway.chat(headers={"Helicone-Property-App": "shop"})
        await running.gateway.chat(stream=True)
        await running.gateway.message(stream=True)
        assert running.kinds() == [RECORD, OPENED, RECORD, OPENED, RECORD]
        begun = running.row(running.frames()[1])
        assert (begun["outcome"], begun["status"], begun["cost_nano_usd"]) == ("interrupted", 200, None)
        assert begun["provider"] == "openai"
        await running.plugin.flush()
        for rows in running.rows():
            detail = await get_request(running.gateway.gateway.database, rows.id)
            assert detail is not None
            stored = detail.request.row.model_dump()
            kept = dict(zip(NAMES["request"], rows.request, strict=True))
            assert {name: value for name, value in stored.items() if name in kept and name != "annotations"} == {
                name: value for name, value in kept.items() if name != "annotations"
            }
            assert kept["outcome"] == "ok"
            assert kept["prompt_tokens"] is not None
            assert kept["cost_nano_usd"] is not None
        assert running.plugin._journal is not None
        assert running.plugin._journal.counters.lag == 0
    assert list(running.root.iterdir()) == []  # all of it is in the database
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection:
        assert connection.execute("SELECT count(*) FROM journal_position").fetchone() == (0,)


async def test_a_client_that_leaves_in_the_midst_has_its_record_too(factory: GatewayFactory, tmp_path: Path) -> None:
    provider = ScriptedProvider(openai_chat.stream(("a", "b", "c")).paced(30))
    async with journaled(factory, tmp_path, provider) as running:
        async with running.gateway.stream(
            "POST", "/v1/chat/completions", json={"model": "gpt-4o-mini", "stream": True, "messages": []}
        ) as live:
            await live.head()
            await live.leave()
        await running.plugin.flush()
        assert running.kinds() == [OPENED, RECORD]
        assert running.row(running.frames()[1])["outcome"] == "client_disconnected"
        [one] = await list_requests(running.gateway.gateway.database)
        assert one.row.outcome == "client_disconnected"


@pytest.mark.parametrize(
    "planted",
    [
        {"user": f"sk-{'a1B2' * 10}"},
        {"request_capture": Capture(b'{"api_key": "sk-' + b"a1B2" * 10 + b'"}', False, 60)},
        {"headers": {f"Helicone-Property-SK-PROJ-{'A1B2' * 10}": "value"}},
        {"_annotations": {"plugin.note": "sk-" + "a1B2" * 10}},
    ],
)
async def test_what_holds_a_credential_is_kept_without_it(
    tmp_path: Path, log: Any, exchange: Build, planted: dict[str, Any]
) -> None:
    service = JournalService(tmp_path / "journals", LoggingConfig(), (), log)
    kept = [service.keeper.on_finish(exchange(**facts)) for facts in ({}, planted)]
    assert [each.rows is None for each in kept] == [True, False]
    written = next(tmp_path.rglob("*.segment")).read_bytes()
    assert b"a1b2" not in written.lower()
    service.journal.close()


async def test_what_turns_out_differently_after_the_end_is_amended(
    tmp_path: Path, log: Any, exchange: Build, database: Database
) -> None:
    service = JournalService(tmp_path / "journals", LoggingConfig(), (), log)
    one = exchange()
    service.keeper.before_end(one)
    one.outcome = Outcome("client_disconnected", 200, 0)
    one.annotate("cache.not_stored", "it was left")
    kept = service.keeper.on_finish(one)
    found = [each for each in frames(next(tmp_path.rglob("*.segment")).read_bytes()) if isinstance(each, Frame)]
    assert [each.kind for each in found[1:]] == [RECORD, AMENDED]
    identifier, changes = read_changes(found[2].payload)
    assert identifier == one.id
    assert changes["outcome"] == "client_disconnected"
    assert "cache.not_stored" in changes["annotations"]
    assert kept.changed
    assert kept.rows is not None
    assert dict(zip(NAMES["request"], kept.rows.request, strict=True))["outcome"] == "client_disconnected"
    same, noted = exchange(), exchange()
    for each in (same, noted):
        service.keeper.before_end(each)
    noted.annotate("cache.not_stored", "its first note")
    assert not service.keeper.on_finish(same).changed
    assert service.keeper.on_finish(noted).changed
    await service.close(database)


async def test_a_stop_while_rows_are_made_leaves_them_to_the_next_start(
    tmp_path: Path, log: Any, exchange: Build, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    making, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any, **options: Any) -> Rows:
        making.set()
        go_on.wait(10)
        return prepare(*arguments, **options)

    monkeypatch.setattr("helicone_gw_logging.journal.format.prepare", slow)
    config = LoggingConfig(batch_ms=0)
    service = JournalService(tmp_path / "journals", config, (), log)
    writer = Writer(database, config, log, journal=service.journal)
    writer.start()
    done = exchange()
    kept = service.keeper.on_finish(done)
    assert writer.leave(kept)
    await asyncio.to_thread(making.wait, 10)
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    go_on.set()
    assert closing.cancelled()
    assert writer.counters.rows_lost_at_shutdown == 0
    await service.close(database)
    left = await asyncio.to_thread(Dead, service.journal.directory, 0)
    assert [[rows.id for rows in batch] for batch in left.batches()] == [[done.id]]


async def test_bodies_are_redacted_and_cut_before_they_touch_the_disk(factory: GatewayFactory, tmp_path: Path) -> None:
    async with journaled(factory, tmp_path, journal={"max_body": 2000}) as running:
        await running.gateway.chat(f"my key is {SECRET}", headers={"Helicone-Property-Key": SECRET})
        await running.gateway.chat("x" * 1900 + f" {SECRET} " + "y" * 5000)
        assert all(SECRET.encode() not in path.read_bytes() for path in running.root.rglob("*.segment"))
        short, long = [dict(zip(NAMES["request_body"], rows.body or (), strict=True)) for rows in running.rows()]
        assert b"[redacted]" in (unpack(short["request"]) or b"")
        assert long["request_state"] == "truncated"
        assert len(unpack(long["request"]) or b"") == 2000
        await running.plugin.flush()
        rows = await list_requests(running.gateway.gateway.database)
        details = [await get_request(running.gateway.gateway.database, one.row.id) for one in rows]
        bodies = [detail.request_body for detail in details if detail is not None]
        whole = [each.data or b"" for each in bodies if each is not None]
        assert max(map(len, whole)) > 6900  # the database has all of it
        assert all(SECRET.encode() not in each for each in whole)


@pytest.mark.parametrize("url", ["sqlite://", "file"])
async def test_without_a_journal_its_hooks_cost_nothing(factory: GatewayFactory, tmp_path: Path, url: str) -> None:
    if url == "sqlite://":
        async with factory(["logging"]) as running:
            await running.chat()
    else:
        async with journaled(factory, tmp_path, journal={"enabled": False}) as one:
            await one.gateway.chat(stream=True)
            chain = one.gateway.gateway.chain
            assert (chain.before_stream, chain.before_end) == ((), ())
    assert list(tmp_path.rglob("*.segment")) == []


async def test_a_directory_that_cannot_be_used_costs_the_journal_and_no_answer(
    factory: GatewayFactory, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    async with journaled(factory, tmp_path, journal={"path": str(tmp_path / "taken")}) as running:
        assert (await running.gateway.chat()).status == 200
        await running.plugin.flush()
        assert running.plugin.counters.rows_written == 1
    refusing = {"path": str(tmp_path / "taken"), "on_full": "refuse"}
    async with journaled(factory, tmp_path, journal=refusing) as running:
        reply = await running.gateway.chat()
        assert reply.status == 503
        assert b"log_unavailable" in reply.body
        assert reply.headers.get("retry-after") == "5"
        ready = await running.gateway.request("GET", "/readyz")
        assert ready.status == 503
        assert b"could not be logged" in ready.body


@pytest.mark.parametrize("on_full", ["drop", "refuse"])
async def test_a_journal_that_could_not_be_opened_is_opened_when_it_can_be(
    factory: GatewayFactory, tmp_path: Path, on_full: str
) -> None:
    root = tmp_path / "taken"
    root.write_text("a file")
    clock, journal = VirtualClock(), {"path": str(root), "on_full": on_full}
    async with journaled(factory, tmp_path, clock=clock, journal=journal) as running:
        refused = (await running.gateway.chat()).status
        assert refused == (503 if on_full == "refuse" else 200)
        assert running.plugin._opening is not None
        for seconds in (1, 2, 4):  # it is tried again, in vain
            clock.advance(seconds)
            await asyncio.sleep(0.01)
        assert running.plugin._journal is None
        root.unlink()
        clock.advance(8)
        await running.plugin._opening
        assert (await running.gateway.chat()).status == 200
        assert (await running.gateway.request("GET", "/readyz")).status == 200
        assert running.plugin._journal is not None
        assert running.plugin._journal.counters.records == 1
        await running.plugin.flush()
        assert running.plugin.counters.rows_written == 2
        assert running.plugin._journal.counters.lag == 0


async def test_a_full_journal_refuses_until_there_is_room(factory: GatewayFactory, tmp_path: Path) -> None:
    async with journaled(factory, tmp_path, journal={"max_bytes": 20_000, "on_full": "refuse"}) as running:
        statuses = []
        async with running.gateway.gateway.database.begin():  # nobody else can write
            while 503 not in statuses:
                statuses.append((await running.gateway.chat()).status)
                assert len(statuses) < 100
            assert statuses.count(200) > 5
        await running.plugin.flush()
        rows = await list_requests(running.gateway.gateway.database, limit=200)
        answered = [one for one in rows if one.row.status == 200]
        assert len(answered) == statuses.count(200)


@pytest.mark.parametrize("kind", ["locked", "read-only", "full"])
async def test_a_database_in_trouble_loses_nothing_and_keeps_nobody_waiting(
    factory: GatewayFactory, tmp_path: Path, kind: str
) -> None:
    small: dict[str, Any] = {"queue_max_rows": 5, "batch_rows": 3, "batch_ms": 0}
    async with journaled(factory, tmp_path, **small) as running:
        database = running.gateway.gateway.database
        async with trouble(database, kind):
            for number in range(40):
                reply = await running.gateway.chat(stream=number % 2 == 0)
                assert reply.status == 200
            counters = running.plugin.counters
            assert counters.rows_dropped == 0
            assert counters.queue_rows > 25
            assert counters.queue_bytes == 0  # none of them takes memory
            assert running.plugin._journal is not None
        await running.plugin.flush()
        assert running.plugin._journal.counters.lag == 0
        rows = await list_requests(database, limit=200)
        assert len({one.row.id for one in rows}) == len(rows) == 40
        assert all(one.row.outcome == "ok" for one in rows)


READ_ONLY, FULL = "query_only=ON", "max_page_count=1"


def spoil(database: Database, pragma: str) -> Callable[[], None]:
    """Have every connection take ``pragma`` before it is used; what is returned ends that and makes all well again."""
    now = pragma

    def prepare(connection: Any, *_: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA {now}")
        cursor.close()

    def restore() -> None:
        nonlocal now
        now = {READ_ONLY: "query_only=OFF", FULL: "max_page_count=4294967294"}[pragma]

    for engine in (database.engine.sync_engine, database.thread.engine):
        event.listen(engine, "checkout", prepare)
    return restore


@asynccontextmanager
async def trouble(database: Database, kind: str) -> AsyncIterator[None]:
    """The database takes no rows within the block."""
    if kind == "locked":
        async with database.begin():
            yield
        return
    restore = spoil(database, {"read-only": READ_ONLY, "full": FULL}[kind])
    yield
    restore()


async def test_what_the_database_does_not_take_before_the_stop_is_there_after_the_next_start(
    factory: GatewayFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helicone_gw.gateway.SETTLING_TIME", 0.2)
    config = {"server": {"drain_timeout": 0}, "database": {"url": f"sqlite:///{tmp_path}/log.db"}}
    async with factory([{"logging": {"batch_ms": 0}}], config=config) as running:
        spoil(running.gateway.database, READ_ONLY)
        assert (await running.message()).status == 200
        assert (await running.message(stream=True)).status == 200
    [plugin] = [each for each in running.gateway.plugins if isinstance(each, LoggingPlugin)]
    assert plugin.counters.rows_lost_at_shutdown == 0
    assert plugin.counters.rows_written == 0
    async with journaled(factory, tmp_path) as later:
        assert later.plugin._journal is not None
        await later.plugin._journal.replayed()
        rows = await list_requests(later.gateway.gateway.database)
        assert [one.row.outcome for one in rows] == ["ok", "ok"]
        assert later.plugin._journal.counters.replayed == 2


def test_the_journals_of_two_databases_are_apart() -> None:
    urls = ["sqlite:///a/log.db", "postgresql://me:one@host/a", "postgresql://me:two@host/a", "postgresql://host/b"]
    roots = [root_of(LoggingConfig(), Database(url)) for url in (*urls, "sqlite://")]
    assert roots[0] == Path("a/log.journal")
    assert roots[1] == roots[2] != roots[3]
    assert roots[4] is None
