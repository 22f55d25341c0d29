"""``helicone-gw logs`` on a real SQLite file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.ids import new_id
from helicone_gw.model import Outcome
from helicone_gw_logging import commands as commands_module
from helicone_gw_logging import query
from helicone_gw_logging.config import LoggingConfig
from helicone_gw_logging.insert import prepare, write
from helicone_gw_logging.plugin import VERSIONS, LoggingPlugin
from helicone_gw_logging.query import LoggedRequest
from helicone_gw_logging.record import record
from helicone_gw_logging.rendering import ID
from helicone_gw_logging.times import parse_since

Build = Callable[..., Exchange]
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs ``helicone-gw logs`` with these arguments."""
    cli = typer.Typer()
    plugin = LoggingPlugin(LoggingConfig(), "logging")
    plugin.register_commands(cli)
    plugin.register_commands(cli)

    @cli.callback()
    def root(context: typer.Context) -> None:
        url = f"sqlite:///{tmp_path}/gateway.db"
        context.obj = SimpleNamespace(config=SimpleNamespace(database=SimpleNamespace(url=url)))

    return lambda *arguments: CliRunner().invoke(cli, ["logs", *arguments])


@pytest.fixture
def log_all(tmp_path: Path) -> Callable[..., None]:
    def log_all(*exchanges: Exchange) -> None:
        async def work() -> None:
            database = Database(f"sqlite:///{tmp_path}/gateway.db")
            await database.migrate("logging", VERSIONS)
            await write(database, [prepare(record(one), (), 100_000) for one in exchanges], again=False)
            await database.close()

        asyncio.run(work())

    return log_all


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_before_anything_was_logged(run: Run, tmp_path: Path) -> None:
    result = run()
    assert result.exit_code == 0
    assert result.stderr.startswith("There is no database yet: sqlite:///")
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []
    assert run("show", "12345678").exit_code == 1


def test_a_table_for_people(run: Run, exchange: Build, log_all: Callable[..., None]) -> None:
    good = exchange(user="alice")
    bad = exchange(outcome=Outcome("upstream_error", 429, code="upstream_status"), usage=None, cost=None)
    log_all(good, bad)
    result = run()
    assert result.exit_code == 0
    head, *rows = result.stdout.splitlines()
    assert head.split() == [
        "time",
        "id",
        "status",
        "provider",
        "model",
        "latency",
        "first",
        "tokens",
        "cost",
        "user",
        "outcome",
    ]
    shown = {row.split()[2]: row for row in rows}
    assert set(shown) == {good.id[:ID], bad.id[:ID]}
    for part in ("200", "openai", "gpt-4o-2024-08-06", "1.23 s", "10 > 5", "$0.0000075", "alice"):
        assert part in shown[good.id[:ID]]
    for part in ("429", "?", "upstream_error upstream_status"):
        assert part in shown[bad.id[:ID]]


def test_json_has_every_column(run: Run, exchange: Build, log_all: Callable[..., None]) -> None:
    done = exchange(headers={"Helicone-Property-App": "shop"})
    log_all(done)
    (line,) = lines(run("--json"))
    assert line["id"] == done.id
    assert line["received_at"] == "2026-01-01T00:00:00.000+00:00"
    assert (line["cost_nano_usd"], line["status"], line["stream"]) == (7500, 200, False)
    assert line["reasoning_tokens"] is None
    assert line["properties"] == {"app": "shop"}


def test_filters(run: Run, exchange: Build, log_all: Callable[..., None]) -> None:
    a = exchange(user="alice", headers={"Helicone-Property-App": "shop=1", "Helicone-Session-Id": "s"})
    b = exchange(model="claude", provider="anthropic", outcome=Outcome("upstream_error", 529), organization="default")
    c = exchange(organization="acme")
    log_all(a, b, c)

    def ids(*arguments: str) -> set[str]:
        return {line["id"] for line in lines(run("--json", *arguments))}

    assert ids() == {a.id, b.id}
    assert ids("--status", "200") == {a.id}
    assert ids("--status", "5xx") == {b.id}
    assert ids("--model", "claude") == {b.id}
    assert ids("--provider", "anthropic") == {b.id}
    assert ids("--user", "alice") == {a.id}
    assert ids("--session", "s") == {a.id}
    assert ids("--property", "APP=shop=1") == {a.id}
    assert ids("--property", "app=shop=1", "--status", "5xx") == set()
    assert ids("--outcome", "ok") == {a.id}
    assert ids("--since", "2025-12-31") == {a.id, b.id}
    assert ids("--since", "2099-01-01T00:00:00+00:00") == set()
    assert len(ids("--limit", "1")) == 1
    refused = '{"request_response_rmt": {"status": {"gte": 400}}}'
    assert ids("--filter", refused) == {b.id}
    assert ids("--filter", '{"properties": {"app": {"contains": "shop"}}}', "--status", "5xx") == set()
    assert ids("--filter", '"all"', "--organization", "acme") == {c.id}
    assert ids("--organization", "acme") == {c.id}
    assert "No request matches" in run("--user", "nobody").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--status", "abc"),
        ("--status", "4x"),
        ("--property", "novalue"),
        ("--since", "yesterday"),
        ("--limit", "0"),
        ("--filter", "{"),
        ("--filter", '{"request_response_rmt": {"colour": {"equals": 1}}}'),
    ],
)
def test_wrong_arguments_are_explained(run: Run, arguments: tuple[str, str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.output


def test_show_with_bodies(run: Run, exchange: Build, log_all: Callable[..., None]) -> None:
    done = exchange(body=b'{"messages":[{"content":"hi \x1b[31m"}]}', answer=b"data: {}\n\ndata: [DONE]\n\n")
    log_all(done)
    for given in (done.id, done.id[:8]):
        result = run("show", given)
        assert result.exit_code == 0, result.output
        for part in (done.id, "$0.0000075", "attempt 1", "openai/gpt-4o 200", "request body", "data: [DONE]"):
            assert part in result.stdout
        assert "\x1b[31m" not in result.stdout


def test_what_a_line_shows_of_an_id_is_enough_to_show_its_request(
    run: Run, exchange: Build, log_all: Callable[..., None]
) -> None:
    done = [exchange(), exchange(), exchange()]
    for one in done:
        one.id = new_id()
    log_all(*done)
    listed = [line.split()[2] for line in run().stdout.splitlines()[1:]]
    assert len(listed) == 3
    for shown in listed:
        assert any(one.id in run("show", shown).stdout for one in done)


def test_show_as_json(run: Run, exchange: Build, log_all: Callable[..., None]) -> None:
    done = exchange(answer=b"\x00\xffaudio", headers={"Helicone-Omit-Request": "true"})
    log_all(done)
    shown = json.loads(run("show", done.id, "--json").stdout)
    assert shown["request_body"]["state"] == "omitted"
    assert json.loads(shown["request_body"]["text"]) == {"model": "gpt-4o"}
    assert shown["response_body"]["text"] is None
    assert shown["response_body"]["base64"] == "AP9hdWRpbw=="
    assert [attempt["provider"] for attempt in shown["attempts"]] == ["openai"]


def test_show_says_what_it_does_not_find(run: Run, exchange: Build, log_all: Callable[..., None]) -> None:
    first, second = exchange(), exchange()
    first.id, second.id = "12345678-a", "12345678-b"
    log_all(first, second)
    missing, ambiguous = run("show", "87654321"), run("show", "12345678")
    assert (missing.exit_code, ambiguous.exit_code) == (1, 1)
    assert "No request '87654321'" in missing.stderr
    assert "Several requests" in ambiguous.stderr


@pytest.mark.parametrize("as_json", [True, False])
def test_follow_prints_until_it_is_stopped(
    run: Run, exchange: Build, log_all: Callable[..., None], monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    first, later = exchange(), exchange()
    log_all(first)
    real = query.follow

    async def stopped(database: Database, wanted: Any, backlog: int) -> AsyncIterator[LoggedRequest]:
        async def sleep(seconds: float) -> None:
            if first_sleep.is_set():
                raise KeyboardInterrupt
            first_sleep.set()
            writing = Database(database.url)
            await write(writing, [prepare(record(later), (), 1000)], again=False)
            await writing.close()

        first_sleep = asyncio.Event()
        async for one in real(database, wanted, backlog=backlog, sleep=sleep):
            yield one

    monkeypatch.setattr(commands_module, "follow", stopped)
    result = run("--follow", *(["--json"] if as_json else []))
    assert result.exit_code == 0, result.output
    if as_json:
        assert [line["id"] for line in lines(result)] == [first.id, later.id]
    else:
        assert [line.split()[2] for line in result.stdout.splitlines()[1:]] == [first.id[:ID], later.id[:ID]]


def test_follow_waits_for_a_log_and_makes_none(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = query.follow

    async def stopped(database: Database, wanted: Any, backlog: int) -> AsyncIterator[LoggedRequest]:
        async def sleep(seconds: float) -> None:
            raise KeyboardInterrupt

        async for one in real(database, wanted, backlog=backlog, sleep=sleep):
            yield one

    monkeypatch.setattr(commands_module, "follow", stopped)
    result = run("--follow", "--json")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("There is no database yet: sqlite:///")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86_400), ("1w", 604_800), (" 5 m ", 300)]
)
def test_since_ago(text: str, seconds: int) -> None:
    assert parse_since(text, 1_000_000.0) == (1_000_000 - seconds) * 1000


def test_since_a_moment() -> None:
    assert parse_since("2026-01-01T00:00:00Z", 0) == 1_767_225_600_000
    assert parse_since("2026-01-01T01:00:00+01:00", 0) == 1_767_225_600_000
    for wrong in ("", "10", "ago", "2026-13-01", "1e9m"):
        with pytest.raises(ValueError, match="neither"):
            parse_since(wrong, 0)
