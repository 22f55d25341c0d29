"""Read-only SQL: no statement takes more time or memory than it may, whatever a database does not interrupt."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from helicone_gw import Database
from helicone_gw_logging.plugin import VERSIONS
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.sql import execute as executing
from helicone_gw_logging.sql.execute import execute
from helicone_gw_logging.sql.guard import SqlError
from helicone_gw_logging.sql.result import Limits, Result
from helicone_gw_logging.sql.unending import check_ends

OURS = Scope("ours")
_A, _B = "a" * 100, "b" * 100
_TEN_THOUSAND = f"replace('{_A}', 'a', '{_A}')"
_MILLION = f"replace({_TEN_THOUSAND}, 'a', '{_A}')"
UNENDING = f"SELECT length(trim({_MILLION}, replace({_TEN_THOUSAND}, 'a', '{_B}') || 'a'))"
"""Compares every character of a million with a million others, in a single function."""
LAUGHS = ", ".join(f"a{n} AS (SELECT x.x FROM a{n - 1} x, a{n - 1} y)" for n in range(1, 41))
UNPLANNED = f"WITH a0 AS (SELECT 1 AS x), {LAUGHS} SELECT count(*) FROM a40"
"""Names a table two to the power of forty times, once everything is written out."""


@pytest.fixture
async def file(tmp_path: Path) -> Any:
    """An empty log in a file."""
    database = Database(f"sqlite:///{tmp_path}/log.db")
    await database.migrate("logging", VERSIONS)
    yield database
    await database.close()


async def refusal(database: Database, sql: str, **limits: Any) -> str:
    with pytest.raises(SqlError) as raised:
        await execute(database, OURS, sql, Limits(**limits))
    return raised.value.code


async def test_a_function_that_takes_hours_is_ended(file: Database) -> None:
    assert await refusal(file, UNENDING, seconds=0.2) == "TIMEOUT"
    assert (await execute(file, OURS, "SELECT 1")).rows == [(1,)]


async def test_a_plan_that_takes_all_memory_is_ended(file: Database) -> None:
    assert await refusal(file, UNPLANNED, seconds=0.5) in ("RESULT_TOO_LARGE", "TIMEOUT")
    assert (await execute(file, OURS, "SELECT 1")).rows == [(1,)]


async def test_whoever_leaves_ends_what_nothing_interrupts(file: Database) -> None:
    asking = asyncio.create_task(execute(file, OURS, UNENDING, Limits(seconds=3600)))
    await asyncio.sleep(0.2)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert executing._running[asyncio.get_running_loop()] == 0


async def test_empty_texts_are_not_free(file: Database) -> None:
    columns = ", ".join(["''"] * 1000)
    many = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT {columns} FROM n"
    assert await refusal(file, many, bytes=1 << 20) == "RESULT_TOO_LARGE"


async def test_lists_in_json_can_be_taken_apart(file: Database) -> None:
    assert (await execute(file, OURS, "SELECT value FROM json_each('[1, \"x\"]')")).rows == [(1,), ("x",)]
    assert (await execute(file, OURS, "SELECT fullkey FROM json_tree('{\"a\": []}')")).rows == [("$",), ("$.a",)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT replace(model, provider, '') FROM requests",
        "SELECT REPLACE (model, 'a' || 'b', '')",
        "SELECT strpos(a, (SELECT b)) FROM t",
        "SELECT position(a IN b) FROM t",
        "SELECT position('a' || b in c) FROM t",
        "SELECT split_part(a, b, 1) FROM t",
        "SELECT trim(a, b) FROM t",
        "SELECT trim(BOTH a FROM b) FROM t",
        "SELECT trim(a FROM b) FROM t",
        "SELECT trim(both FROM a, b) FROM t",
        "SELECT \"ltrim\"(replace(a, 'x', 'y'), b) FROM t",
        f"SELECT rtrim(a, '{'x' * 101}') FROM t",
        "SELECT a LIKE b FROM t",
        "SELECT a NOT ILIKE 'x' || b FROM t",
        "SELECT a LIKE ('x' || b) FROM t",
        "SELECT a LIKE ANY ('{x}') FROM t",
        'SELECT "like"(a, b) FROM t',
        "SELECT a ~~ b FROM t",
        "SELECT a !~~* b FROM t",
        "WITH a AS NOT MATERIALIZED (SELECT 1) SELECT * FROM a",
    ],
)
def test_what_postgres_would_not_end_is_refused(sql: str) -> None:
    with pytest.raises(SqlError) as raised:
        check_ends(sql)
    assert raised.value.code == "FORBIDDEN"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT replace(lower(a), 'gpt-', b || c), strpos(a, '/'), split_part(a, ',', 2) FROM t",
        "SELECT position('a' IN b || c), position('in' in d) FROM t",
        "SELECT trim(a), trim(BOTH FROM a), trim(leading 'x' FROM replace(a, 'x', 'y')), ltrim(a, ' '), trim(a) FROM t",
        "SELECT CASE WHEN a LIKE 'x%' THEN 1 END FROM t WHERE (a ILIKE '%y') OR b NOT LIKE '!%' ESCAPE '!' AND c ~ 'd'",
        "SELECT 1 FROM t WHERE a LIKE 'x%'",
        "WITH a AS MATERIALIZED (SELECT 1) SELECT replace FROM a WHERE x IN (1, 2)",
    ],
)
def test_short_texts_are_looked_for(sql: str) -> None:
    check_ends(sql)


def test_every_column_of_a_row_has_a_name_of_its_own() -> None:
    result = Result(["a", "a_3", "a", "a", "a_2", "a_3"])
    result.take([(1, 2, 3, 4, 5, 6)], Limits())
    (row,) = result.as_objects()
    assert list(row.values()) == [1, 2, 3, 4, 5, 6]
    assert list(row)[:2] == ["a", "a_3"]
