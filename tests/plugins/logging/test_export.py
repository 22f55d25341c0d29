"""Exports: every request once, in every format, over HTTP and on the command line; sessions and costs beside them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_logging import export_commands
from helicone_gw_logging.config import LoggingConfig
from helicone_gw_logging.plugin import VERSIONS, LoggingPlugin
from helicone_gw_logging.query import export
from helicone_gw_logging.query.nodes import ALL
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.wanted import Wanted
from tests.plugins.logging.asking import START, log_all, many
from tests.plugins.logging.calling import ALICE, EVE, KEYS, migrated

Build = Callable[..., Exchange]
PATH = "/v1/request/export"


def read(format: str, body: bytes) -> list[dict[str, Any]]:
    """The records of a file, objects as such."""
    if format == "jsonl":
        return [json.loads(line) for line in body.splitlines()]
    if format == "csv":
        rows: list[dict[str, Any]] = [*csv.DictReader(io.StringIO(body.decode(), newline=""))]
    else:
        rows = pytest.importorskip("pyarrow.parquet").read_table(io.BytesIO(body)).to_pylist()
    return [row | {"properties": json.loads(row["properties"])} for row in rows]


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
async def test_every_request_is_exported_once(
    tmp_path: Path, exchange: Build, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    monkeypatch.setattr(export, "PIECE", 7)
    plugins: list[Any] = ["logging", {"security": {"keys": KEYS}}]
    async with GatewayFactory(tmp_path)(plugins) as running:
        done = many(exchange, 50)
        await log_all(running.gateway.database, done)
        reply = await running.request("POST", PATH, json={"format": format}, headers=ALICE)
        assert (reply.status, reply.headers.get("x-total-count")) == (200, "40")
        rows = read(format, reply.body)
        ours = {one.id: one for one in done if one.organization == "default"}
        assert sorted(row["id"] for row in rows) == sorted(ours)
        for row in rows:
            cost = ours[row["id"]].cost
            held = None if row["cost"] in (None, "") else float(row["cost"])
            assert held == (None if cost is None else pytest.approx(cost.nano_usd / 1e9))
            assert "app" in map(str.lower, row["properties"])
        other = await running.request("POST", PATH, json={"format": format}, headers=EVE)
        assert len(read(format, other.body)) == 10
        some = {
            "format": format,
            "limit": 9,
            "columns": ["id", "received_at", "properties"],
            "filter": {"properties": {"app": {"equals": "shop"}}},
            "timeFilter": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T02:00:00Z"},
        }
        reply = await running.request("POST", PATH, json=some, headers=ALICE)
        rows = read(format, reply.body)
        assert 0 < len(rows) <= 9
        assert reply.headers.get("x-total-count") == str(len(rows))
        assert [*rows[0]] == ["id", "received_at", "properties"]
        assert {value for row in rows for key, value in row["properties"].items() if key.lower() == "app"} == {"shop"}
        times = [row["received_at"] for row in rows]
        assert times == sorted(times)


async def test_what_cannot_be_exported_is_named(running: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    for body, named in (({"columns": ["colour"]}, "colour"), ({"format": "xml"}, "format"), ({"more": 1}, "more")):
        reply = await running.request("POST", PATH, json=body)
        assert reply.status == 400
        assert named in reply.json()["error"]
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    reply = await running.request("POST", PATH, json={"format": "parquet"})
    assert reply.status == 400
    assert "pip install 'helicone-gw[parquet]'" in reply.json()["error"]


async def test_a_spreadsheet_takes_nothing_for_a_formula(running: RunningGateway, exchange: Build) -> None:
    await log_all(running.gateway.database, [exchange(headers={"Helicone-User-Id": "=cmd|'/c calc'!A0"})])
    reply = await running.request("POST", PATH, json={"columns": ["user_id"]})
    assert reply.body.decode().splitlines() == ["user_id", "'=cmd|'/c calc'!A0"]
    reply = await running.request("POST", PATH, json={"columns": ["user_id"], "format": "jsonl"})
    assert reply.json() == {"user_id": "=cmd|'/c calc'!A0"}


async def test_what_is_logged_meanwhile_is_no_part_of_it(running: RunningGateway, exchange: Build) -> None:
    database = running.gateway.database
    await log_all(database, many(exchange, 20))
    scope, wanted = Scope(), Wanted(ALL)
    begun = await export.begun(database, scope, wanted, ["id"])
    await log_all(database, many(exchange, 20, seed=7))
    found = [row async for piece in export.pieces(database, scope, wanted, begun) for row in piece]
    assert len(found) == begun.total == 16


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.full)])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    url = f"sqlite:///{tmp_path}/api.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with migrated(url), GatewayFactory(tmp_path)(["logging"], config={"database": {"url": url}}) as running:
        yield running


@pytest.fixture
def run(tmp_path: Path, exchange: Build) -> Callable[..., Result]:
    """Runs ``helicone-gw`` with these arguments, over a log of three requests of one session."""
    url = f"sqlite:///{tmp_path}/gateway.db"

    async def fill() -> None:
        database = Database(url)
        await database.migrate("logging", VERSIONS)
        headers = {"Helicone-Session-Id": "trip", "Helicone-Session-Name": "Trip", "Helicone-Property-App": "shop"}
        paths = ("/plan", "/plan/hotel", "/plan/flight")
        done = [
            exchange(
                headers=headers | {"Helicone-Session-Path": path}, received_at=START + number, cost=cost, user="ann"
            )
            for number, (path, cost) in enumerate(zip(paths, (Cost(10**9), Cost(2 * 10**9), None), strict=True))
        ]
        await log_all(database, done)
        await database.close()

    asyncio.run(fill())
    cli = typer.Typer()
    LoggingPlugin(LoggingConfig(), "logging").register_commands(cli)

    @cli.callback()
    def root(context: typer.Context) -> None:
        context.obj = SimpleNamespace(config=SimpleNamespace(database=SimpleNamespace(url=url)))

    return lambda *arguments: CliRunner().invoke(cli, arguments)


def test_export_writes_a_file(run: Callable[..., Result], tmp_path: Path) -> None:
    for kind in ("csv", "jsonl", "parquet"):
        result = run("export", "--output", str(tmp_path / f"all.{kind}"), "--since", "2025-01-01")
        assert result.exit_code == 0, result.output
        assert "3 requests exported." in result.stderr
        assert len(read(kind, (tmp_path / f"all.{kind}").read_bytes())) == 3
    result = run("export", "--output", "-", "--columns", "session_path,cost", "--limit", "1")
    assert json.loads(result.stdout) == {"session_path": "/plan", "cost": 1.0}
    result = run(
        "export", "--filter", '{"request_response_rmt": {"cost": {"gt": 1}}}', "--format", "csv", "--columns", "cost"
    )
    assert result.stdout.split() == ["cost", "2.0"]
    for arguments in (["--columns", "colour"], ["--filter", "{"], ["--since", "soon"], ["--format", "xml"]):
        assert run("export", *arguments).exit_code == 2


def test_what_cannot_be_exported_leaves_the_file_that_is_there(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "all.csv"
    there.write_text("old")

    async def half(*_: Any) -> AsyncIterator[list[Any]]:
        yield []
        raise KeyboardInterrupt

    assert run("export", "-o", str(there), "--columns", "colour").exit_code == 2
    with monkeypatch.context() as patch:
        patch.setattr(export_commands, "pieces", half)
        assert run("export", "-o", str(there)).exit_code != 0
    assert there.read_text() == "old"
    assert run("export", "-o", str(there), "--columns", "cost").exit_code == 0
    assert there.read_text().startswith("cost")
    assert [file.name for file in tmp_path.glob("all.*")] == ["all.csv"]


def test_sessions_are_listed_and_shown(run: Callable[..., Result]) -> None:
    listed = run("sessions")
    assert listed.exit_code == 0, listed.output
    line = listed.stdout.splitlines()[1].split()
    assert line[2:] == ["trip", "Trip", "3", "0", "45", "$3", "+", "?", "2.0"]
    assert json.loads(run("sessions", "--json").stdout)["total_requests"] == 3
    assert run("sessions", "--search", "nothing").stdout == ""
    shown = run("sessions", "show", "trip")
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["path", "/", "plan", "hotel", "flight"]
    assert [json.loads(line)["path"] for line in run("sessions", "show", "trip", "--json").stdout.splitlines()] == [
        "/",
        "/plan",
        "/plan/hotel",
        "/plan/flight",
    ]
    assert run("sessions", "show", "nothing").exit_code == 1


def test_costs_are_reported(run: Callable[..., Result]) -> None:
    report = run("cost", "report", "--since", "2025-01-01")
    assert report.exit_code == 0, report.output
    assert report.stdout.splitlines()[1].split() == ["gpt-4o-2024-08-06", "3", "0", "30", "15", "$3", "1", "$0"]
    by_day = run("cost", "report", "--since", "2025-01-01", "--by", "day", "--json")
    assert json.loads(by_day.stdout) | {"day": "2026-01-01", "cost_nano_usd": 3 * 10**9} == json.loads(by_day.stdout)
    by_property = run("cost", "report", "--since", "2025-01-01", "--by", "property", "--property", "APP", "--json")
    assert json.loads(by_property.stdout)["property"] == "shop"
    assert run("cost", "report", "--by", "property").exit_code == 2
    assert run("cost", "report", "--by", "colour").exit_code == 2


def test_a_report_says_what_is_not_known(run: Callable[..., Result], tmp_path: Path, exchange: Build) -> None:
    async def more() -> None:
        database = Database(f"sqlite:///{tmp_path}/gateway.db")
        await log_all(database, [exchange(received_at=START, user="bob", usage=None, cost=None)])
        await database.close()

    asyncio.run(more())
    by_user = "cost", "report", "--since", "2025-01-01", "--by", "user"
    rows = [line.split() for line in run(*by_user).stdout.splitlines()]
    assert rows[1:] == [
        ["ann", "3", "0", "30", "15", "$3", "1", "$0"],
        ["bob", "1", "0", "?", "?", "?", "1", "$0"],
        ["all", "4", "0", "30", "15", "$3", "2", "$0"],
    ]
    ann, bob = [json.loads(line) for line in run(*by_user, "--json").stdout.splitlines()]
    names = "cost_nano_usd", "unknown_costs", "prompt_tokens", "completion_tokens", "unknown_tokens"
    assert [ann[name] for name in names] == [3 * 10**9, 1, 30, 15, 0]
    assert [bob[name] for name in names] == [None, 1, None, None, 1]
