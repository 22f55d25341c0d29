"""Repricing: stored usage times other prices, in rows and in sums; what has no price of ours stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import typer
from sqlalchemy import select
from typer.testing import CliRunner, Result

from helicone_gw.access import GatewayKey
from helicone_gw.database import Database
from helicone_gw.errors import UpstreamConnectError
from helicone_gw.exchange import Exchange
from helicone_gw.model import Attempt, Cost, Target, Usage
from helicone_gw_cost.config import CostConfig
from helicone_gw_cost.plugin import CostPlugin
from helicone_gw_logging import get_request, repricing
from helicone_gw_logging.config import LoggingConfig
from helicone_gw_logging.insert import prepare, write
from helicone_gw_logging.measures import LARGEST
from helicone_gw_logging.plugin import VERSIONS, LoggingPlugin
from helicone_gw_logging.record import record
from helicone_gw_logging.repricing import Progress, recompute
from helicone_gw_logging.tables import ATTEMPT, REQUEST
from helicone_gw_logging.totals import ROLLUP, USER
from tests.plugins.logging.sums import check

Build = Callable[..., Exchange]
START = 1_767_225_600.0
NOW = 1_800_000_000_000


@pytest.fixture
def database(any_database: Database) -> Database:
    return any_database


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few requests at once, so that more than one transaction is needed."""
    monkeypatch.setattr(repricing, "AT_ONCE", 2)


def doubled(provider: str, model: str | None, usage: Usage, asked: str | None, at: int) -> Cost | None:
    """Ten nano-dollars for every token; models whose names end in "?" have no price."""
    if usage.cost is not None:
        return Cost(usage.cost, (), "provider")
    if (model or "").endswith("?"):
        return None
    return Cost(10 * (usage.total_tokens or 0), (), "new", "2", usage.estimated)


def with_usage(exchange: Build, usage: Usage | None, cost: Cost | None, **more: Any) -> Exchange:
    done = exchange(usage=usage, cost=cost, **more)
    done.attempts[0].usage, done.attempts[0].cost = usage, cost
    return done


async def log(database: Database, *exchanges: Exchange) -> None:
    await write(database, [prepare(record(one), (), 1000) for one in exchanges])


async def run(database: Database, price: repricing.Price = doubled, **options: Any) -> Progress:
    options = {"since": 0, "now": NOW} | options
    return [each async for each in recompute(database, price, **options)][-1]


async def costs(database: Database) -> list[Any]:
    columns = REQUEST.c
    wanted = (columns.cost_nano_usd, columns.cost_source, columns.cost_version, columns.cost_recomputed_at)
    async with database.connect() as connection:
        return [tuple(row) for row in await connection.execute(select(*wanted).order_by(columns.seq))]


async def test_rows_attempts_and_sums_have_the_new_cost(database: Database, exchange: Build) -> None:
    for n in range(7):
        await log(database, with_usage(exchange, Usage(n, 1), Cost(7, source="old", version="1"), user="u"))
    done = await run(database)
    assert done == Progress(of=7, seen=7, changed=7, before=49, after=280)
    assert await costs(database) == [(10 * (n + 1), "new", "2", NOW) for n in range(7)]
    async with database.connect() as connection:
        stored = list(await connection.scalars(select(ATTEMPT.c.cost_nano_usd).order_by(ATTEMPT.c.seq)))
        assert stored == [10 * (n + 1) for n in range(7)]
        assert list(await connection.scalars(select(ROLLUP.c.cost_nano_usd))) == [280]
        assert (await connection.execute(select(USER.c.cost_nano_usd, USER.c.requests))).all() == [(280, 7)]
    await check(database)


async def test_a_price_beyond_all_reason_makes_no_cost(database: Database, exchange: Build) -> None:
    await log(database, with_usage(exchange, Usage(2, 1), Cost(7), user="u"))
    done = await run(database, lambda *_: Cost(LARGEST + 1, (), "new"))
    assert (done.changed, done.unknown_after, await costs(database)) == (1, 1, [(None, None, None, NOW)])
    await check(database)


async def test_what_has_the_right_cost_stays_as_it_is(database: Database, exchange: Build) -> None:
    await log(database, with_usage(exchange, Usage(2, 1), Cost(7)))
    assert (await run(database)).changed == 1
    assert (await run(database, now=NOW + 1)).changed == 0
    assert (await costs(database))[0][3] == NOW


async def test_a_dry_run_changes_nothing(database: Database, exchange: Build) -> None:
    await log(database, *(with_usage(exchange, Usage(2, 1), Cost(7)) for _ in range(5)))
    done = await run(database, dry_run=True)
    assert (done.changed, done.before, done.after) == (5, 35, 150)
    assert {row[0] for row in await costs(database)} == {7}
    await check(database)


async def test_what_was_unknown_is_known_and_the_other_way_round(database: Database, exchange: Build) -> None:
    unknown = with_usage(exchange, Usage(2, 1), None)
    unpriced = with_usage(exchange, Usage(2, 1), Cost(7), model="house?")
    unpriced.attempts[0].model = "house?"
    await log(database, unknown, unpriced)
    done = await run(database)
    assert (done.unknown_before, done.unknown_after) == (1, 1)
    assert [row[0] for row in await costs(database)] == [30, None]
    await check(database)


async def test_what_is_not_priced_by_us_keeps_its_cost(database: Database, exchange: Build) -> None:
    charged = with_usage(exchange, Usage(2, 1, cost=99), Cost(99, source="provider"))
    unread = with_usage(exchange, None, None)
    hit = exchange(usage=Usage(0, 0), cost=Cost(0, source="cache"), attempts=[])
    await log(database, charged, unread, hit)
    done = await run(database)
    assert (done.of, done.changed) == (2, 0)
    assert [row[:2] for row in await costs(database)] == [(99, "provider"), (None, None), (0, "cache")]


async def test_every_attempt_has_its_own_cost(database: Database, exchange: Build) -> None:
    done = with_usage(exchange, Usage(2, 1), Cost(7, source="old"))
    first = Attempt(
        1, Target("azure", "gpt-4o"), START, usage=Usage(5, 0, estimated=True), cost=Cost(3, estimated=True)
    )
    refused = Attempt(2, Target("azure", "gpt-4o"), START, cost=Cost(0, source="no charge"))
    refused.error = UpstreamConnectError("no connection")
    done.attempts[0].number = 3
    done.attempts = [first, refused, *done.attempts]
    done.cost = Cost(10, estimated=True)
    await log(database, done)
    await run(database)
    detail = await get_request(database, done.id)
    assert detail is not None
    assert [(each.cost_nano_usd, each.cost_source) for each in detail.attempts] == [
        (50, "new"),
        (0, "no charge"),
        (30, "new"),
    ]
    row = detail.request.row
    assert (row.cost_nano_usd, row.cost_source, row.cost_estimated) == (80, "new", True)


async def test_all_that_a_price_depends_on_is_stored(database: Database, exchange: Build) -> None:
    usage = Usage(100, 50, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, None, "priority", True)
    done = with_usage(exchange, usage, Cost(7), headers={"Helicone-Model-Override": "mine"})
    await log(database, done, with_usage(exchange, usage, Cost(7)))
    seen: list[Any] = []

    def price(*asked: Any) -> Cost | None:
        seen.append(asked)
        return Cost(1)

    await run(database, price)
    at = round(START * 1000)
    assert seen == [
        ("openai", "mine", usage, None, at),
        ("openai", "gpt-4o-2024-08-06", usage, "gpt-4o", at),
    ]


async def test_only_what_was_asked_for(database: Database, exchange: Build) -> None:
    for organization, day in (("default", 0), ("default", 2), ("acme", 2)):
        one = with_usage(exchange, Usage(2, 1), Cost(7), organization=organization, received_at=START + day * 86_400)
        one.key = GatewayKey("1", "a", "b", organization)
        await log(database, one)
    since = round((START + 86_400) * 1000)
    assert (await run(database, since=since, organization="acme")).changed == 1
    assert [row[0] for row in await costs(database)] == [7, 7, 30]
    assert (await run(database, since=since)).changed == 1
    assert [row[0] for row in await costs(database)] == [7, 30, 30]


def command(url: str, *words: str, plugins: str = "logging cost", config: dict[str, Any] | None = None) -> Result:
    cli = typer.Typer()

    @cli.callback()
    def root(context: typer.Context) -> None:
        context.obj = SimpleNamespace(config=SimpleNamespace(models={}, database=SimpleNamespace(url=url)))

    made: dict[str, Any] = {
        "logging": LoggingPlugin(LoggingConfig(), "logging"),
        "cost": CostPlugin(CostConfig.model_validate(config or {}), "cost"),
    }
    for name in plugins.split():
        made[name].register_commands(cli)
    return CliRunner().invoke(cli, ["cost", "recompute", *words])


@pytest.mark.parametrize("plugins", ["logging cost", "cost logging"])
def test_the_command_line(tmp_path: Path, exchange: Build, plugins: str) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    prices = tmp_path / "prices.yaml"
    prices.write_text("- {provider: openai, match: 'gpt-4o*', input_mtok: 1, output_mtok: 2}\n")

    async def fill() -> None:
        database = Database(url)
        await database.migrate("logging", VERSIONS)
        await log(database, *(with_usage(exchange, Usage(1000, 100), Cost(7)) for _ in range(3)))
        await database.close()

    missing = command(url, "--since", "2020-01-01", plugins=plugins)
    assert missing.exit_code == 1
    assert missing.stderr.startswith("There is no database yet: sqlite:///")
    asyncio.run(fill())
    words = ["--since", "2020-01-01", "--price-file", str(prices)]
    dry = command(url, *words, "--dry-run", plugins=plugins)
    assert dry.stdout == (
        "3 requests seen, 3 would change: 0.000000021 USD -> 0.003600000 USD, of unknown cost 0 -> 0\n"
    )
    done = msgspec.json.decode(command(url, *words, "--json", plugins=plugins).stdout)
    assert (done["changed"], done["after"]) == (3, 3 * 1_200_000)
    listed = command(url, "--since", "2020-01-01", plugins=plugins)  # genai-prices' data: 2.50 and 10 a million
    assert "0.003600000 USD -> 0.010500000 USD" in listed.stdout


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    wrong = tmp_path / "prices.yaml"
    wrong.write_text("- {match: 'gpt-4o*', input_mtok: -1}\n")
    for words, said in (
        (("--since", "yesterday-ish"), "neither a time ago"),
        (("--since", "1d", "--price-file", str(wrong)), "prices.yaml: 0.input_mtok"),
        (("--since", "1d", "--price-file", str(tmp_path / "none.yaml")), "none.yaml"),
    ):
        result = command(url, *words)
        assert result.exit_code == 2
        assert said in result.stderr
    alone = command(url, "--since", "1d", plugins="logging")
    assert (alone.exit_code, "the plugin cost is not configured" in alone.stderr) == (2, True)
