"""``helicone-gw budgets``: what was spent, by the database; and beginning anew, which a running gateway follows."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from helicone_gw.cli import program
from helicone_gw.database import Database
from helicone_gw.testing import GatewayFactory, ScriptedProvider, VirtualClock
from helicone_gw.testing.dialects import openai_chat
from helicone_gw_ratelimit.budget_table import Place, SpendTable, Spent

MODELS = {"gpt-4o-mini": {"providers": ["openai"], "price": {"input_mtok": 0, "output_mtok": 1000}}}
BUDGETS = {
    "team": {"limit": 10, "period": "total"},
    "users": {"limit": 1, "period": "total", "segment": "user"},
    "recent": {"limit": 1, "window": "366d", "mode": "soft"},
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HELICONE_GW_CONFIG", raising=False)
    config = {"database": {"url": "sqlite:///db"}, "plugins": [{"ratelimit": {"budgets": BUDGETS}}]}
    Path("gateway.yaml").write_text(json.dumps(config))
    return tmp_path


def spend(*rows: Spent) -> None:
    async def write() -> None:
        database = Database("sqlite:///db")
        try:
            table = SpendTable(database)
            await table.migrate()
            await table.write(rows, 0.0)
        finally:
            await database.close()

    asyncio.run(write())


def total(budget: str, segment: str, dollars: float, every: str = "total", period: int = 0) -> Spent:
    return Spent(Place("default", budget, every, segment), period, 0, round(dollars * 10**9))


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert program(["budgets", *arguments, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.usefixtures("here")
class TestList:
    def test_a_budget_that_all_share_is_there_before_anything_was_spent(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        reports = listed(capsys)
        assert [(each["budget"], each["spent"]) for each in reports] == [("recent", "0.00"), ("team", "0.00")]

    def test_every_account_is_listed_the_largest_first(self, capsys: pytest.CaptureFixture[str]) -> None:
        spend(total("users", "user:a", 0.25), total("users", "user:b", 0.5), total("team", "global", 0.75))
        assert [(each["segment"], each["spent"], each["left"], each["percent"]) for each in listed(capsys, "list")] == [
            ("global", "0.00", "1.00", 0),
            ("global", "0.75", "9.25", 7),
            ("user:b", "0.50", "0.50", 50),
            ("user:a", "0.25", "0.75", 25),
        ]

    def test_the_parts_of_a_window_are_added_up(self, capsys: pytest.CaptureFixture[str]) -> None:
        spend(total("recent", "global", 0.25, "366d", 1), total("recent", "global", 0.5, "366d", 2))
        assert listed(capsys, "list", "recent")[0]["spent"] == "0.75"

    def test_one_alone(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert [each["budget"] for each in listed(capsys, "list", "team")] == ["team"]

    def test_as_a_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        spend(total("team", "global", 0.75))
        assert program(["budgets"]) == 0
        row = next(line for line in capsys.readouterr().out.splitlines() if "team (hard)" in line)
        assert [cell.strip() for cell in row.strip("│").split("│")][3:7] == ["$0.75", "$10.00", "7", "$9.25"]

    def test_what_is_not_configured_is_not_listed(self, capsys: pytest.CaptureFixture[str]) -> None:
        spend(total("gone", "global", 1), total("team", "global", 1, every="month"))
        assert [each["spent"] for each in listed(capsys)] == ["0.00", "0.00"]
        assert program(["budgets", "list", "gone"]) == 1

    def test_a_database_in_memory_is_known_to_the_running_gateway_alone(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = {"database": {"url": "sqlite://"}, "plugins": [{"ratelimit": {"budgets": BUDGETS}}]}
        Path("gateway.yaml").write_text(json.dumps(config))
        assert program(["budgets"]) == 1
        assert "GET /v1/budgets" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
class TestReset:
    def test_a_budget_begins_anew(self, capsys: pytest.CaptureFixture[str]) -> None:
        spend(total("team", "global", 5))
        assert program(["budgets", "reset", "team"]) == 0
        assert "(1 account)" in capsys.readouterr().out
        assert listed(capsys, "list", "team")[0]["spent"] == "0.00"

    def test_or_one_segment_of_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        spend(total("users", "user:a", 0.25), total("users", "user:b", 0.5))
        assert program(["budgets", "reset", "users", "--segment", "user:a"]) == 0
        capsys.readouterr()
        assert {each["segment"]: each["spent"] for each in listed(capsys, "list", "users")} == {
            "user:a": "0.00",
            "user:b": "0.50",
        }

    @pytest.mark.parametrize("arguments", [["nothing"], ["team"], ["users", "--segment", "user:nobody"]])
    def test_what_there_is_not_cannot_begin_anew(self, arguments: list[str]) -> None:
        assert program(["budgets", "reset", *arguments]) == 1

    def test_without_budgets_there_is_nothing_to_list(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("gateway.yaml").write_text(json.dumps({"plugins": ["ratelimit"]}))
        assert program(["budgets"]) == 0
        assert "there is none" in capsys.readouterr().err

    def test_budgets_of_a_second_instance_begin_with_its_name(self, capsys: pytest.CaptureFixture[str]) -> None:
        inner = {"ratelimit": {"name": "inner", "budgets": {"team": {"limit": 1, "period": "day"}}}}
        config = {"database": {"url": "sqlite:///db"}, "plugins": [{"ratelimit": {"budgets": BUDGETS}}, inner]}
        Path("gateway.yaml").write_text(json.dumps(config))
        assert [each["budget"] for each in listed(capsys)] == ["inner/team", "recent", "team"]


async def test_a_running_gateway_follows(gateway: GatewayFactory, virtual_time: VirtualClock, tmp_path: Path) -> None:
    """The command writes to the database; here the same is done beside the gateway."""
    url = f"sqlite:///{tmp_path}/db"
    provider = ScriptedProvider(default=openai_chat.answer(model="gpt-4o-mini"))
    plugins = ["cost", {"ratelimit": {"budgets": {"team": {"limit": 1, "period": "total"}}}}]
    config = {"models": MODELS, "database": {"url": url}}
    async with gateway(plugins, provider=provider, config=config) as running:
        await running.chat(max_tokens=1000)
        assert (await running.chat(max_tokens=1000)).status == 402
        await asyncio.sleep(3)
        database = Database(url)
        try:
            assert await SpendTable(database).reset("team", None, virtual_time.now()) == 1
        finally:
            await database.close()
        await asyncio.sleep(3)
        assert (await running.chat(max_tokens=1000)).status == 200
    async with gateway(plugins, provider=provider, config=config) as running:
        standings = await running.gateway.plugins[1].budgeting.accounts.standings(10)
        assert 0 < standings[0].spent < 20_000_000
