"""SQL over HTTP (contract 13.8): the schema, statements, files, and statements that are kept."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from helicone_gw.database import Database
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_logging.plugin import VERSIONS
from tests.plugins.logging.calling import ALICE, EVE, KEYS, ask, flush

SQL = "/v1/helicone-sql"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    plugins = ["logging", {"security": {"keys": KEYS}}]
    config = {"database": {"url": f"sqlite:///{tmp_path}/log.db"}}
    async with GatewayFactory(tmp_path)(plugins, config=config) as running:
        yield running


async def test_a_statement_sees_the_callers_rows_streamed_or_not(running: RunningGateway) -> None:
    for stream in (False, True):
        await running.chat(stream=stream, headers=ALICE)
    await running.chat(headers=EVE)
    await flush(running)
    body = {"sql": "SELECT count(*) AS n, sum(total_tokens) AS tokens FROM requests"}
    mine = await ask(running, "POST", f"{SQL}/execute", body, headers=ALICE)
    theirs = await ask(running, "POST", f"{SQL}/execute", body, headers=EVE)
    assert mine["rows"][0]["n"] == 2
    assert mine["rows"][0]["tokens"] == 2 * theirs["rows"][0]["tokens"]
    assert (mine["rowCount"], mine["truncated"]) == (1, False)
    assert mine["size"] > 0
    assert mine["elapsedMilliseconds"] >= 0


async def test_what_may_be_asked(running: RunningGateway) -> None:
    schema = await ask(running, "GET", f"{SQL}/schema", headers=ALICE)
    tables = {table["table_name"]: {column["name"] for column in table["columns"]} for table in schema}
    assert {"request_response_rmt", "requests", "properties", "sessions"} <= tables.keys()
    assert {"cost", "properties", "request_created_at"} <= tables["request_response_rmt"]
    assert not any("organization_id" in columns for columns in tables.values())


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("DELETE FROM requests", "INVALID_STATEMENT"),
        ("SELECT * FROM request", "FORBIDDEN"),
        ("SELECT FROM", "SYNTAX_ERROR"),
    ],
)
async def test_errors_say_their_code(running: RunningGateway, sql: str, code: str) -> None:
    for path in ("execute", "download"):
        error = await ask(running, "POST", f"{SQL}/{path}", {"sql": sql}, status=400, headers=ALICE)
        assert error.startswith(f"[{code}] ")


async def test_a_file_is_csv(running: RunningGateway) -> None:
    await running.chat(headers=ALICE)
    await flush(running)
    body = {"sql": "SELECT provider, status FROM requests"}
    url = await ask(running, "POST", f"{SQL}/download", body, headers=ALICE)
    head, _, data = url.partition(",")
    assert head == "data:text/csv;charset=utf-8;base64"
    assert base64.b64decode(data) == b"provider,status\r\nopenai,200\r\n"


async def test_statements_are_kept_for_their_organization(running: RunningGateway) -> None:
    body = {"name": "All", "sql": "SELECT * FROM requests"}
    (kept,) = await ask(running, "POST", f"{SQL}/saved-query", body, status=201, headers=ALICE)
    assert (kept["name"], kept["sql"]) == ("All", "SELECT * FROM requests")
    path = f"{SQL}/saved-query/{kept['id']}"
    assert await ask(running, "GET", path, headers=ALICE) == kept
    await ask(running, "GET", path, status=404, headers=EVE)
    await ask(running, "PUT", path, {**body, "name": "Mine"}, status=404, headers=EVE)
    changed = await ask(running, "PUT", path, {**body, "name": "Every one"}, headers=ALICE)
    assert changed["name"] == "Every one"
    assert [each["id"] for each in await ask(running, "GET", f"{SQL}/saved-queries", headers=ALICE)] == [kept["id"]]
    assert await ask(running, "GET", f"{SQL}/saved-queries", headers=EVE) == []
    await ask(running, "POST", f"{SQL}/saved-queries/bulk-delete", {"ids": [kept["id"]]}, headers=EVE)
    assert await ask(running, "GET", path, headers=ALICE) == changed
    await ask(running, "DELETE", path, headers=ALICE)
    await ask(running, "DELETE", path, status=404, headers=ALICE)
    (kept,) = await ask(running, "POST", f"{SQL}/saved-query", body, status=201, headers=ALICE)
    await ask(running, "POST", f"{SQL}/saved-queries/bulk-delete", {"ids": [kept["id"], "unknown"]}, headers=ALICE)
    assert await ask(running, "GET", f"{SQL}/saved-queries", headers=ALICE) == []


async def test_postgres_keeps_and_finds_whatever_a_statement_is_called(tmp_path: Path, postgres_url: str) -> None:
    """It has no text with NUL in it, and takes offence at being asked for one."""
    database = Database(postgres_url)
    await database.migrate("logging", VERSIONS)
    await database.close()
    config = {"database": {"url": postgres_url}}
    async with GatewayFactory(tmp_path)(["logging"], config=config) as running:
        body = {"name": "a\0b", "sql": "SELECT '\0'"}
        (kept,) = await ask(running, "POST", f"{SQL}/saved-query", body, status=201)
        assert (kept["name"], kept["sql"]) == ("a\ufffdb", "SELECT '\ufffd'")
        assert (await ask(running, "PUT", f"{SQL}/saved-query/{kept['id']}", body))["name"] == "a\ufffdb"
        for method, given in (("GET", None), ("PUT", body), ("DELETE", None)):
            await ask(running, method, f"{SQL}/saved-query/%00", given, status=404)
        await ask(running, "POST", f"{SQL}/saved-queries/bulk-delete", {"ids": ["\0", kept["id"]]})
        assert await ask(running, "GET", f"{SQL}/saved-queries") == []
