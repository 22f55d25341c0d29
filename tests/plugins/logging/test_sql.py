"""Read-only SQL: whoever asks sees their own rows, whatever they write, and takes no more than their share."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import Database
from helicone_gw_logging.config import LoggingConfig
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.record import record
from helicone_gw_logging.sql import execute as executing
from helicone_gw_logging.sql.execute import execute, tables
from helicone_gw_logging.sql.guard import SqlError, check_names, statement
from helicone_gw_logging.sql.result import Limits, Result
from helicone_gw_logging.writer import Writer
from tests.plugins.logging.conftest import Log, build

OURS, THEIRS = Scope("ours"), Scope("theirs")
SECRET = "a-secret-user"


@pytest.fixture
async def filled(any_database: Database) -> AsyncIterator[Database]:
    """Three rows of ours, two of theirs."""
    writer = Writer(any_database, LoggingConfig(), Log())
    writer.start()
    for at, organization in enumerate(["ours", "theirs", "ours", "theirs", "ours"]):
        user = f"user-{at}" if organization == "ours" else SECRET
        headers = {"helicone-property-Team": f"team-{organization}", "helicone-user-id": user}
        writer.put(record(build(headers=headers, organization=organization, received_at=1_767_225_600.0 + at)))
    await writer.flush()
    yield any_database
    await writer.close()


async def ask(database: Database, sql: str, scope: Scope = OURS, **limits: Any) -> list[tuple[Any, ...]]:
    return (await execute(database, scope, sql, Limits(**limits))).rows


async def refusal(database: Database, sql: str, **limits: Any) -> str:
    with pytest.raises(SqlError) as raised:
        await ask(database, sql, **limits)
    assert SECRET not in str(raised.value)
    assert str(raised.value).startswith(f"[{raised.value.code}] ")
    return raised.value.code


async def test_only_ones_own_rows(filled: Database) -> None:
    assert await ask(filled, "SELECT count(*) FROM request_response_rmt") == [(3,)]
    assert await ask(filled, "SELECT count(*) FROM requests", THEIRS) == [(2,)]
    assert await ask(filled, "SELECT count(*) FROM requests", Scope("nobody")) == [(0,)]
    assert await ask(filled, "SELECT count(*) FROM requests", Scope("x' OR '1'='1")) == [(0,)]
    assert await ask(filled, "SELECT user_id FROM requests ORDER BY seq;") == [("user-0",), ("user-2",), ("user-4",)]


async def test_joins_aggregates_windows_and_common_tables(filled: Database) -> None:
    sql = """
        WITH spent AS (SELECT model, sum(cost) AS cost, count(*) AS n FROM request_response_rmt GROUP BY model)
        SELECT n, cost, rank() OVER (ORDER BY cost DESC) FROM spent -- a comment
    """
    ((n, cost, rank),) = await ask(filled, sql)
    assert (n, int(cost), rank) == (3, 22_500, 1)
    joined = "SELECT p.value, count(*) FROM requests r JOIN properties p ON p.seq = r.seq GROUP BY p.value"
    assert await ask(filled, joined) == [("team-ours", 3)]
    assert await ask(filled, "SELECT sum(requests) FROM users") == [(3,)]
    ((properties,),) = await ask(filled, "SELECT properties FROM request_response_rmt LIMIT 1")
    assert "team-ours" in properties
    assert await ask(filled, "SELECT annotations FROM requests LIMIT 1") == [("{}",)], "JSON is text on either database"


async def test_the_schema_is_what_can_be_asked(filled: Database) -> None:
    for name, columns in tables(filled, OURS).items():
        listed = ", ".join(f'"{column}"' for column, _ in columns)
        await ask(filled, f"SELECT {listed} FROM {name}")
        assert "organization_id" not in dict(columns)


async def test_a_key_that_sees_its_own_rows_alone(filled: Database) -> None:
    own = Scope("ours", "key-of-nobody")
    assert await ask(filled, "SELECT count(*) FROM requests", own) == [(0,)]
    assert await ask(filled, "SELECT count(*) FROM properties", own) == [(0,)]
    assert "users" not in tables(filled, own)


REFUSED = [
    "SELECT * FROM request",
    "SELECT * FROM main.request",
    "SELECT count(*) FROM request",
    "SELECT * FROM public.request",
    'SELECT * FROM "request"',
    "SELECT * FROM [request]",
    "SELECT * FROM `request`",
    "SELECT * FROM 'request'",
    "SELECT * FROM REQUEST_PROPERTY",
    "WITH requests AS (SELECT * FROM request) SELECT * FROM requests",
    "WITH users AS (SELECT user_id FROM request) SELECT count(*) FROM users",
    "WITH RECURSIVE users(u) AS (SELECT user_id FROM request UNION SELECT u FROM users) SELECT u FROM users",
    "WITH RECURSIVE request(u) AS (SELECT id FROM main.request UNION SELECT u FROM request) SELECT u FROM request",
    "WITH RECURSIVE request(i) AS (SELECT 1 UNION SELECT i FROM request) SELECT * FROM main.request",
    "SELECT * FROM temp.request",
    "SELECT name FROM pragma_function_list",
    "SELECT * FROM sqlite_schema",
    "SELECT (SELECT user_id FROM request WHERE organization_id = 'theirs' LIMIT 1) FROM requests",
    "SELECT * FROM requests WHERE user_id IN (SELECT user_id FROM request)",
    "SELECT * FROM requests UNION ALL SELECT * FROM request",
    "SELECT 1 FROM requests r, request q",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM sqlite_temp_master",
    "SELECT sql FROM temp.sqlite_master",
    "SELECT * FROM pragma_table_info('request')",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM dbstat",
    "SELECT * FROM pg_class",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT load_extension('x')",
    "SELECT writefile('x', 'y')",
    "SELECT readfile('/etc/passwd')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT query_to_xml('select * from request', true, true, '')",
    "SELECT ARRAY[query_to_xml('select * from request', true, true, '')] FROM requests",
    "SELECT 1 FROM requests WHERE 'x' = ANY(ARRAY[(SELECT user_id FROM public.request LIMIT 1)])",
    "SELECT `a`, query_to_xml('select 1', true, true, '')",
    "SELECT set_config('search_path', 'public', true)",
    "SELECT pg_sleep(10)",
    "SELECT current_user",
    "SELECT randomblob(1000)",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE request",
    "SELECT 1) AS statement; DROP TABLE request; SELECT (1",
    "SELECT 1) AS x, request AS y, (SELECT 1",
    "INSERT INTO request (seq) VALUES (1)",
    "UPDATE requests SET user_id = 'x'",
    "DELETE FROM requests",
    "WITH x AS (DELETE FROM requests RETURNING *) SELECT * FROM x",
    "WITH x AS (SELECT 1) DELETE FROM request",
    "WITH x AS (SELECT 1) INSERT INTO request SELECT * FROM x",
    "SELECT 1 INTO leaked",
    "SELECT * FROM requests FOR UPDATE",
    "DROP TABLE request",
    "CREATE TEMP VIEW leak AS SELECT * FROM request",
    "ATTACH DATABASE 'x' AS x",
    "PRAGMA query_only=OFF",
    "EXPLAIN SELECT * FROM requests",
    "VACUUM",
    "COPY request TO STDOUT",
    "TABLE request",
    "SELECT U&'\\0072equest'",
    'SELECT * FROM U&"r\\0065quest"',
    "SELECT $$x$$",
    "SELECT E'\\x41'",
    "SELECT 'unended",
    "SELECT 'x\0y'",
    "SELECT /* nested /* comment */ */ 1",
    "SELEC 1",
    "-- nothing",
    ";",
    "",
    "SELECT nonsense FROM requests",
    "SELECT ?",
    "SELECT :name",
    "SELECT " + "(" * 500 + "1" + ")" * 500,
    "SELECT 1 -- " + "x" * 70_000,
]


async def test_everything_else_is_refused(filled: Database) -> None:
    went_through, told = [], []
    for sql in REFUSED:
        try:
            went_through.append((sql, await ask(filled, sql)))
        except SqlError as problem:
            told.append(str(problem))
    assert went_through == []
    assert not any(SECRET in text for text in told)
    assert await ask(filled, "SELECT count(*) FROM requests", THEIRS) == [(2,)]


async def test_names_that_look_like_ours_lead_to_ours_or_nowhere(filled: Database) -> None:
    """A common table may take a name of ours; it still reads no more than is ours."""
    sql = "WITH requests AS (SELECT user_id FROM users) SELECT count(*) FROM requests"
    assert await ask(filled, sql) == [(3,)]
    assert await ask(filled, "SELECT 'request', 'pg_class' FROM requests LIMIT 1") == [("request", "pg_class")]


async def test_time_is_limited_and_nothing_stays_behind(filled: Database) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    assert await refusal(filled, endless, seconds=0.2) == "TIMEOUT"
    assert await ask(filled, "SELECT count(*) FROM requests") == [(3,)]


async def test_whoever_leaves_ends_the_statement(filled: Database) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    asking = asyncio.create_task(execute(filled, OURS, endless, Limits(seconds=3600)))
    await asyncio.sleep(0.2)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert executing._running[asyncio.get_running_loop()] == 0


async def test_rows_are_limited_and_it_says_so(filled: Database) -> None:
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n"
    result = await execute(filled, OURS, many)
    assert (len(result.rows), result.truncated) == (1000, True)
    result = await execute(filled, OURS, many, Limits(rows=5000))
    assert (len(result.rows), result.truncated) == (5000, False)


async def test_bytes_are_limited(filled: Database) -> None:
    wide = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT user_id FROM n, users"
    assert await refusal(filled, wide, bytes=1000, rows=100_000) == "RESULT_TOO_LARGE"


async def test_no_more_than_a_few_at_a_time(filled: Database) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    asking = [asyncio.create_task(execute(filled, OURS, endless, Limits(seconds=3600))) for _ in range(4)]
    await asyncio.sleep(0)
    assert await refusal(filled, "SELECT 1") == "BUSY"
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    assert await ask(filled, "SELECT 1") == [(1,)]


async def test_a_database_in_memory_can_be_asked_too() -> None:
    from helicone_gw_logging.plugin import VERSIONS

    database = Database("sqlite://")
    await database.migrate("logging", VERSIONS)
    assert await ask(database, "SELECT count(*) FROM requests") == [(0,)]
    assert await refusal(database, "SELECT * FROM request") == "FORBIDDEN"
    await database.close()


@given(st.text(max_size=200))
def test_the_guard_reads_anything_or_refuses_it(text: str) -> None:
    for sql in (text, f"SELECT {text}"):
        with contextlib.suppress(SqlError):
            check_names(statement(sql), {"request"})


def test_values_are_what_json_and_spreadsheets_can_hold() -> None:
    result = Result(["a", "a", "b"])
    assert result.take([(1, b"\x00\xff", math.inf), ("=1+1", True, "x,y")], Limits())
    assert result.as_objects() == [{"a": 1, "a_2": "00ff", "b": None}, {"a": "=1+1", "a_2": True, "b": "x,y"}]
    assert result.as_csv() == 'a,a,b\r\n1,00ff,\r\n\'=1+1,True,"x,y"\r\n'


async def test_what_else_is_in_the_database_is_in_nobodys_way(filled: Database) -> None:
    """Another program's table, named as one of our columns is."""
    async with filled.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE model (secret text)")
        await connection.exec_driver_sql("CREATE TABLE payroll (secret text)")
    assert await ask(filled, "SELECT count(model) FROM requests") == [(3,)]
    for name in ("model", "payroll", "public.model", "main.model"):
        await refusal(filled, f"SELECT secret FROM {name}")
