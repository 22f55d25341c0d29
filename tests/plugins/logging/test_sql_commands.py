"""``helicone-gw sql`` on a real SQLite file that no gateway has open."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner, Result

from helicone_gw import Database
from helicone_gw_logging.config import LoggingConfig
from helicone_gw_logging.insert import prepare, write
from helicone_gw_logging.plugin import VERSIONS, LoggingPlugin
from helicone_gw_logging.record import record
from tests.plugins.logging.conftest import build

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs ``helicone-gw sql`` with these arguments."""
    cli = typer.Typer()
    LoggingPlugin(LoggingConfig(), "logging").register_commands(cli)

    @cli.callback()
    def root(context: typer.Context) -> None:
        url = f"sqlite:///{tmp_path}/a log.db"
        context.obj = SimpleNamespace(config=SimpleNamespace(database=SimpleNamespace(url=url)))

    return lambda *arguments: CliRunner().invoke(cli, ["sql", *arguments])


@pytest.fixture
def logged(tmp_path: Path) -> None:
    """Three rows, one of which is another organization's."""

    async def work() -> None:
        database = Database(f"sqlite:///{tmp_path}/a log.db")
        await database.migrate("logging", VERSIONS)
        exchanges = [build(user="bob\x1b[2J"), build(user="eve"), build(user="eve", organization="acme")]
        await write(database, [prepare(record(one), (), 100_000) for one in exchanges], again=False)
        await database.close()

    asyncio.run(work())


@pytest.mark.usefixtures("logged")
def test_tables_for_people_and_lines_for_scripts(run: Run) -> None:
    statement = "SELECT user_id, cost_nano_usd FROM requests ORDER BY seq"
    shown = run(statement)
    assert shown.exit_code == 0, shown.output
    assert "eve" in shown.output
    assert "\x1b[2J" not in shown.output
    rows = [json.loads(line) for line in run(statement, "--json").output.splitlines()]
    assert [row["user_id"] for row in rows] == ["bob\x1b[2J", "eve"]
    assert {row["cost_nano_usd"] for row in rows} == {7500}
    assert len(list(csv.reader(io.StringIO(run(statement, "--csv").output)))) == 3
    assert run("SELECT count(*) AS n FROM requests", "--organization", "acme", "--json").output == '{"n":1}\n'


@pytest.mark.usefixtures("logged")
def test_fewer_rows_and_that_there_are_more(run: Run) -> None:
    shown = run("SELECT user_id FROM requests", "--limit", "1")
    assert "There are more" in shown.output


@pytest.mark.usefixtures("logged")
def test_what_cannot_be_asked(run: Run) -> None:
    refused = run("DROP TABLE request")
    assert refused.exit_code == 1
    assert "[INVALID_STATEMENT]" in refused.output


@pytest.mark.usefixtures("logged")
def test_what_there_is(run: Run) -> None:
    assert "request_response_rmt: request_id (string)" in run().output
    assert json.loads(run("--json").output)["requests"]["cost_nano_usd"] == "integer"


def test_without_a_log(run: Run) -> None:
    refused = run("SELECT 1")
    assert refused.exit_code == 1
    assert "There is no database yet" in refused.output
