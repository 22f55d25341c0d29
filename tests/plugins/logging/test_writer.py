"""Writer: nothing is lost, whatever the database does; what cannot be kept is counted."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError, OperationalError

from helicone_gw.database import Database
from helicone_gw.errors import InternalError
from helicone_gw.exchange import Exchange
from helicone_gw.model import Capture
from helicone_gw_logging import Filter, get_request, list_requests
from helicone_gw_logging.config import LoggingConfig
from helicone_gw_logging.journal.keeping import Kept
from helicone_gw_logging.record import LogRecord, record
from helicone_gw_logging.tables import BODY, REQUEST
from helicone_gw_logging.writer import Writer

T = TypeVar("T")
Build = Callable[..., Exchange]
MakeWriter = Callable[..., Writer]


@pytest.fixture
async def writer(database: Database, log: Any) -> AsyncIterator[MakeWriter]:
    """Makes a started writer; each is closed at the end."""
    made: list[Writer] = []

    def make(target: Any = database, start: bool = True, secrets: tuple[str, ...] = (), **config: Any) -> Writer:
        writer = Writer(target, LoggingConfig(**config), log, secrets=secrets, sleep=no_sleep)
        if start:
            writer.start()
        made.append(writer)
        return writer

    yield make
    for one in made:
        await one.close()


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never happened")


class Unreliable:
    """A database that fails the first so many transactions, before or after they are committed."""

    def __init__(self, database: Database, failures: int, problem: Exception, after_commit: bool = False) -> None:
        self.database = database
        self.failures = failures
        self.problem = problem
        self.after_commit = after_commit
        self.tries = 0

    async def transact(self, work: Callable[[Connection], T]) -> T:
        self.tries += 1
        fails = self.tries <= self.failures
        if fails and not self.after_commit:
            raise self.problem
        done = await self.database.transact(work)
        if fails:
            raise self.problem
        return done


def away() -> OperationalError:
    return OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked"))


async def count(database: Database, table: Any = REQUEST) -> int:
    async with database.connect() as connection:
        return (await connection.scalar(select(func.count()).select_from(table))) or 0


async def test_rows_arrive_with_everything_beside_them(database: Database, exchange: Build, writer: MakeWriter) -> None:
    done = exchange(headers={"Helicone-Property-App": "shop"})
    one = writer()
    one.put(record(done))
    await one.flush()
    detail = await get_request(database, done.id)
    assert detail is not None
    assert detail.request.row.cost_nano_usd == 7500
    assert detail.request.properties == {"app": "shop"}
    assert [attempt.status for attempt in detail.attempts] == [200]
    assert detail.request_body is not None
    assert detail.response_body is not None
    assert (detail.request_body.data, detail.request_body.state) == (done.original.body, "whole")
    assert detail.response_body.data == b'{"model":"gpt-4o-2024-08-06"}'
    assert (one.counters.rows_written, one.counters.queue_rows, one.counters.queue_bytes) == (1, 0, 0)


async def test_thousands_in_batches(database: Database, exchange: Build, writer: MakeWriter) -> None:
    unreliable = Unreliable(database, 0, away())
    one = writer(unreliable, batch_rows=500)
    for _ in range(1700):
        one.put(record(exchange()))
    await one.flush()
    assert await count(database) == 1700
    assert unreliable.tries == 4


async def test_what_waits_is_written_at_shutdown(database: Database, exchange: Build, writer: MakeWriter) -> None:
    one = writer(batch_ms=60_000)
    for _ in range(7):
        one.put(record(exchange()))
    await one.close()
    assert await count(database) == 7
    await one.close()


async def test_a_row_waits_for_others_no_longer_than_batch_ms(
    database: Database, exchange: Build, writer: MakeWriter
) -> None:
    one = writer(batch_ms=1)
    one.put(record(exchange()))
    await until(lambda: one.counters.rows_written == 1)
    assert await count(database) == 1


async def test_a_full_batch_does_not_wait(exchange: Build, writer: MakeWriter) -> None:
    one = writer(batch_ms=60_000, batch_rows=3)
    for _ in range(3):
        one.put(record(exchange()))
    await until(lambda: one.counters.rows_written == 3)


async def test_a_locked_database_is_waited_for(
    database: Database, exchange: Build, writer: MakeWriter, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    one = writer(batch_ms=0)
    for _ in range(5):
        one.put(record(exchange()))
    await until(lambda: one.counters.retries >= 3)
    assert (await count(database), one.counters.rows_written) == (0, 0)
    other.execute("COMMIT")
    other.close()
    await one.flush()
    assert (await count(database), one.counters.rows_written) == (5, 5)


async def test_a_commit_that_only_seemed_to_fail_is_not_repeated(
    database: Database, exchange: Build, writer: MakeWriter
) -> None:
    one = writer(Unreliable(database, 1, away(), after_commit=True))
    one.put(record(exchange()))
    await one.flush()
    assert await count(database) == 1
    assert one.counters.retries == 1


async def test_one_bad_row_does_not_take_the_others_along(
    database: Database, exchange: Build, writer: MakeWriter, log: Any
) -> None:
    one = writer()
    good = record(exchange())
    bad = replace(good, facts=replace(good.facts, known=good.facts.changed({"stream": {"not": "a truth"}})))
    for row in (record(exchange()), bad, record(exchange())):
        one.put(row)
    await one.flush()
    assert (await count(database), one.counters.rows_written, one.counters.rows_failed) == (2, 2, 1)
    assert ("a row was refused", bad.id) in [(event, facts.get("id")) for event, facts in log.events]


@pytest.mark.parametrize("state", ["22021", "23505", "54000"])
async def test_what_postgres_will_never_take_is_not_tried_for_ever(
    database: Database, exchange: Build, writer: MakeWriter, state: str
) -> None:
    class Refusal(Exception):
        sqlstate = state

    one = writer(Unreliable(database, 10**9, DBAPIError("INSERT", {}, Refusal())))
    one.put(record(exchange()))
    await one.flush()
    assert (one.counters.rows_failed, one.counters.retries, one.counters.queue_rows) == (1, 0, 0)


async def test_a_row_is_kept_when_what_is_beside_it_cannot_be(
    database: Database, exchange: Build, writer: MakeWriter
) -> None:
    one = writer()
    bad = record(exchange())
    bad.facts.attempts.append(bad.facts.attempts[0])
    one.put(bad)
    await one.flush()
    assert (await count(database), await count(database, BODY)) == (1, 0)
    assert (one.counters.rows_written, one.counters.bodies_failed, one.counters.rows_failed) == (1, 1, 0)


async def test_two_writers_of_one_exchange_make_one_row(
    database: Database, exchange: Build, writer: MakeWriter
) -> None:
    same = record(exchange())
    first, second = writer(), writer()
    for one in (first, second):
        one.put(same)
        await one.flush()
    assert await count(database) == 1
    assert second.counters.rows_failed == 0


async def test_bodies_go_before_rows_when_memory_runs_out(
    database: Database, exchange: Build, writer: MakeWriter, log: Any
) -> None:
    one = writer(start=False, queue_max_bytes=100_000)
    large = b'{"x":"' + b"y" * 30_000 + b'"}'
    for _ in range(10):
        one.put(record(exchange(request_capture=Capture(large, False, len(large)))))
    assert one.counters.rows_dropped == 0
    assert one.counters.bodies_dropped == 7
    assert one.counters.queue_rows == 10
    one.start()
    await one.flush()
    assert await count(database) == 10
    async with database.connect() as connection:
        states = list(await connection.scalars(select(BODY.c.request_state)))
    assert (states.count("whole"), states.count("dropped")) == (3, 7)
    assert "bodies dropped: the queue is full" in [event for event, _ in log.events]


async def test_rows_are_dropped_last_and_counted(
    database: Database, exchange: Build, writer: MakeWriter, log: Any
) -> None:
    one = writer(start=False, queue_max_rows=5)
    for _ in range(8):
        one.put(record(exchange()))
    assert (one.counters.queue_rows, one.counters.rows_dropped) == (5, 3)
    one.start()
    await one.flush()
    assert await count(database) == 5
    events = [event for event, _ in log.events]
    assert events.count("rows dropped: the queue is full") == 1


async def test_what_is_left_when_the_shutdown_runs_out_of_time_is_said(
    database: Database, exchange: Build, writer: MakeWriter, log: Any
) -> None:
    one = writer(Unreliable(database, 10**9, away()))
    for _ in range(3):
        one.put(record(exchange()))
    await until(lambda: one.counters.retries > 0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await one.close()
    assert one.counters.rows_lost_at_shutdown == 3
    assert ("rows lost: the database took none before the shutdown", {"rows": 3}) in log.events
    one.put(record(exchange()))
    assert one.counters.rows_lost_at_shutdown == 4


async def test_credentials_are_stored_nowhere(
    database: Database, exchange: Build, writer: MakeWriter, tmp_path: Path
) -> None:
    planted = "sk-proj-" + "Xy9_" * 12
    headers = {
        "Helicone-User-Id": planted,
        "Helicone-Session-Name": f"mine {planted}",
        "Helicone-Property-Key": planted,
        f"Helicone-Property-{planted}": "value",
        f"Helicone-Property-{planted}x": "value",
        "content-type": f"multipart/form-data; boundary={planted}",
    }
    body = b'{"model":"%s","messages":[{"role":"user","content":"%s"}]}' % (planted.encode(), planted.encode())
    done = exchange(headers=headers, body=body, answer=body, model=planted)
    done.annotate("plugin.note", {"nested": [planted]})
    done.attempts[0].error = done.error = InternalError(f"wrong key {planted}, not configured-key-of-ours")
    done.outcome = None
    one = writer(secrets=("configured-key-of-ours",))
    one.put(record(done))
    await one.flush()
    await one.close()
    await database.close()
    for path in tmp_path.glob("gateway.db*"):
        stored = path.read_bytes()
        assert b"Xy9_" not in stored
        assert b"configured-key-of-ours" not in stored
    again = Database(f"sqlite:///{tmp_path}/gateway.db")
    detail = await get_request(again, done.id)
    await again.close()
    assert detail is not None
    assert detail.request.row.error_message == "wrong key [redacted], not [redacted]"
    assert detail.request_body is not None
    assert b"Xy9_" not in (detail.request_body.data or b"Xy9_")
    assert detail.request.row.annotations == {"plugin.note": {"nested": ["[redacted]"]}}


async def test_credentials_are_taken_out_of_annotations_where_nothing_else_holds_any(
    database: Database, exchange: Build, writer: MakeWriter
) -> None:
    done = exchange()
    done.annotate("plugin.note", "sk-proj-" + "Xy9_" * 12 + " and configured-key-of-ours")
    one = writer(secrets=("configured-key-of-ours",))
    one.put(record(done))
    await one.flush()
    (logged,) = await list_requests(database, Filter())
    assert logged.row.annotations == {"plugin.note": "[redacted] and [redacted]"}


async def test_credentials_are_taken_out_of_types_where_nothing_else_holds_any(
    database: Database, exchange: Build, writer: MakeWriter
) -> None:
    done = exchange(headers={"content-type": "text/plain; of=sk-proj-" + "Xy9_" * 12})
    one = writer()
    one.put(record(done))
    await one.flush()
    detail = await get_request(database, done.id)
    assert detail is not None
    assert detail.request_body is not None
    assert detail.request_body.content_type == "text/plain; of=[redacted]"


async def test_annotations_that_are_no_json_cost_no_row(
    database: Database, exchange: Build, writer: MakeWriter
) -> None:
    one = writer()
    for number, raw in enumerate((b"{not json", b'"\xff"')):
        done = exchange(user=f"u-{number}")
        done.annotate("plugin.note", msgspec.Raw(raw))
        made = record(done)
        one.put(made, Kept(made, None))
    await one.flush()
    logged = await list_requests(database, Filter())
    assert {each.row.user_id: each.row.annotations for each in logged} == {
        "u-0": {"logging.unreadable_annotations": "redaction"},
        "u-1": {"plugin.note": "\ufffd"},
    }


async def test_a_text_that_is_more_than_a_text_is_searched_too(
    database: Database, exchange: Build, writer: MakeWriter
) -> None:
    class Name(str):
        __slots__ = ()

    one = writer()
    one.put(record(exchange(stop_reason=Name("sk-proj-" + "Xy9_" * 12))))
    await one.flush()
    (logged,) = await list_requests(database, Filter())
    assert logged.row.stop_reason == "[redacted]"


async def test_texts_that_postgres_would_refuse_are_mended(
    database: Database, exchange: Build, writer: MakeWriter
) -> None:
    done = exchange(user="nul \0 and surrogate \ud800", model="m\0")
    done.annotate("plugin.note", "a\0b")
    one = writer()
    one.put(record(done))
    await one.flush()
    (logged,) = await list_requests(database, Filter())
    assert (logged.row.user_id, logged.row.request_model) == ("nul \ufffd and surrogate ?", "m\ufffd")
    assert logged.row.annotations == {"plugin.note": "a\ufffdb"}


async def test_putting_costs_the_client_no_wait(exchange: Build, writer: MakeWriter) -> None:
    one = writer(start=False)
    written: LogRecord = record(exchange())
    assert one.put(written) is None  # type: ignore[func-returns-value]
    assert one.counters.queue_bytes == written.size
    one.start()
