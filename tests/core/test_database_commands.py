"""``helicone-gw db``: tables of every configured plugin, which a start on Postgres expects to be there."""

from __future__ import annotations

import asyncio
import inspect
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from helicone_gw import registry
from helicone_gw.cli import program
from helicone_gw.commands.loading import build_gateway, build_plugins, load
from helicone_gw.database import Database
from helicone_gw.errors import ConfigError
from helicone_gw_logging.plugin import LoggingPlugin
from helicone_gw_ratelimit.plugin import RatelimitPlugin
from tests.program import free_port

PLUGINS = ["logging", "security", {"ratelimit": {"budgets": {"all": {"limit": 1, "period": "day"}}}}, "prompts"]
BROKEN = """
from alembic import op

revision = "9999"
down_revision = {down!r}

def upgrade():
    op.execute("DELETE FROM hidden_property")
    op.execute("this is not SQL")
"""


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HELICONE_GW_CONFIG", raising=False)
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """The database that `gateway.yaml` names."""
    found: str = request.getfixturevalue("postgres_url") if request.param == "postgres" else "sqlite:///gateway.db"
    Path("gateway.yaml").write_text(json.dumps({"database": {"url": found}, "plugins": PLUGINS}))
    return found


def status(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = program(["db", "status", "--json"])
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, told


def test_an_upgrade_makes_the_tables_of_every_plugin(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = status(capsys)
    assert code == 1
    assert told["rows"] == {}
    assert program(["db", "upgrade"]) == 0
    assert "logging: 0" in capsys.readouterr().out
    code, told = status(capsys)
    assert code == 0
    expected = {branch for plugin in build_plugins(load(Path("gateway.yaml")).config) for branch in plugin.migrations}
    assert {"logging", "security", "ratelimit", "prompts"} <= expected
    assert set(told["plugins"]) == expected
    assert all(each["current"] for each in told["plugins"].values())
    assert told["rows"]["request"] == 0
    assert not any("default" in name or "alembic" in name for name in told["rows"])
    assert program(["db", "upgrade"]) == 0
    assert "was" not in capsys.readouterr().out


@pytest.mark.parametrize("given", ["sqlite:///gateway.db", "sqlite:///file:gateway.db?uri=true"])
def test_the_status_is_a_table_for_people_and_makes_no_file(capsys: pytest.CaptureFixture[str], given: str) -> None:
    Path("gateway.yaml").write_text(json.dumps({"database": {"url": given}, "plugins": ["logging"]}))
    assert program(["db", "status"]) == 1
    assert capsys.readouterr().err.startswith("There is no database yet: sqlite:///")
    assert not Path("gateway.db").exists()
    assert status(capsys) == (1, {"plugins": {}, "rows": {}})
    assert not Path("gateway.db").exists()
    Path("gateway.db").touch()
    assert program(["db", "status"]) == 1
    assert capsys.readouterr().err == "There are no tables yet.\n"
    program(["db", "upgrade"])
    assert program(["db", "status"]) == 0
    assert "up to date" in capsys.readouterr().out


async def test_on_sqlite_a_start_brings_the_tables_up_to_date() -> None:
    Path("gateway.yaml").write_text(json.dumps({"database": {"url": "sqlite:///gateway.db"}, "plugins": PLUGINS}))
    gateway = build_gateway(load(Path("gateway.yaml")).config)
    await gateway.start()
    await gateway.stop()


def test_tables_that_the_configuration_does_without_are_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configured: dict[str, Any] = {"database": {"url": "sqlite:///gateway.db"}, "plugins": ["logging", "ratelimit"]}
    Path("gateway.yaml").write_text(json.dumps(configured))

    async def started() -> None:
        gateway = build_gateway(load(Path("gateway.yaml")).config)
        await gateway.start()
        await gateway.stop()

    asyncio.run(started())
    code, told = status(capsys)
    assert (code, [*told["plugins"]]) == (0, ["logging"])
    # Where one of two instances needs them, they are missed.
    budgets = {"name": "other", "budgets": {"all": {"limit": 1, "period": "day"}}}
    Path("gateway.yaml").write_text(
        json.dumps(configured | {"plugins": [*configured["plugins"], {"ratelimit": budgets}]})
    )
    code, told = status(capsys)
    assert (code, told["plugins"]["ratelimit"]["current"]) == (1, False)
    assert program(["db", "upgrade"]) == 0
    capsys.readouterr()
    assert status(capsys)[0] == 0
    # And what is there is shown, but may be older where nothing needs it.
    before = told["plugins"]["ratelimit"]["newest"]
    copied = tmp_path / "versions"
    shutil.copytree(RatelimitPlugin.migrations["ratelimit"], copied)
    (copied / "9999_newer.py").write_text(BROKEN.format(down=before))
    monkeypatch.setattr(RatelimitPlugin, "migrations", {"ratelimit": copied})
    assert status(capsys)[0] == 1
    Path("gateway.yaml").write_text(json.dumps(configured))
    code, told = status(capsys)
    assert (code, told["plugins"]["ratelimit"]["revision"]) == (0, before)


async def test_elsewhere_a_start_refuses_and_names_the_command(postgres_url: str) -> None:
    Path("gateway.yaml").write_text(json.dumps({"database": {"url": postgres_url}, "plugins": PLUGINS}))
    config = load(Path("gateway.yaml")).config
    with pytest.raises(ConfigError, match=r"'logging'.*`helicone-gw db upgrade`"):
        await build_gateway(config).start()
    database = Database(postgres_url)
    async with database.connect() as connection:
        there = "SELECT count(*) FROM pg_class WHERE relname = 'request'"
        assert await connection.scalar(text(there)) == 0
    for plugin in build_plugins(config):
        for branch, versions in plugin.migrations.items():
            await database.migrate(branch, versions)
    gateway = build_gateway(config)
    await gateway.start()
    await gateway.stop()
    await database.close()


@pytest.mark.parametrize("away", [False, True])
def test_elsewhere_no_other_command_changes_the_tables(
    request: pytest.FixtureRequest, away: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    security = {"security": {"encryption_keys": [Fernet.generate_key().decode()]}}
    plugins = [security, "alerts", *(plugin for plugin in PLUGINS if plugin != "security")]
    nowhere = f"postgresql://gateway:hidden@127.0.0.1:{free_port()}/none"
    url = nowhere if away else request.getfixturevalue("postgres_url")
    Path("gateway.yaml").write_text(json.dumps({"database": {"url": url}, "plugins": plugins}))
    for command in ("keys", "users", "organizations", "provider-keys", "prompts", "alerts", "budgets"):
        assert program([command, "list"]) == 1
        told = capsys.readouterr().err
        assert ("cannot use postgresql" if away else "`helicone-gw db upgrade`") in told
        assert "Traceback" not in told
        assert "hidden" not in told
    for words in (["logs"], ["sql", "SELECT 1"], ["db", "rebuild"]):
        assert program(words) == (1 if away or words[0] == "sql" else 0)
        told = capsys.readouterr().err
        assert ("The database cannot be used: " if away else "they are made by `helicone-gw db upgrade`.\n") in told
        assert "Traceback" not in told
        assert "hidden" not in told
    if not away:
        assert status(capsys)[1]["rows"] == {}


def test_elsewhere_a_database_that_is_not_there_is_one_line(
    postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{postgres_url}_no"
    Path("gateway.yaml").write_text(json.dumps({"database": {"url": url}, "plugins": ["logging", "alerts"]}))
    for words, said in (("logs", "The database cannot be used: database "), ("alerts list", "cannot use postgres")):
        assert program(words.split()) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line


async def test_a_migration_that_fails_refuses_the_start_and_leaves_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("gateway.yaml").write_text(json.dumps({"database": {"url": "sqlite:///gateway.db"}, "plugins": ["logging"]}))
    config = load(Path("gateway.yaml")).config
    gateway = build_gateway(config)
    await gateway.start()
    await gateway.stop()
    versions = LoggingPlugin.migrations["logging"]
    database = Database("sqlite:///gateway.db")
    async with database.begin() as connection:
        row = "INSERT INTO hidden_property (organization_id, key_lower, created_at) VALUES ('default', 'a', 1)"
        await connection.execute(text(row))
    before = (await database.standing("logging", versions)).newest
    copied = tmp_path / "versions"
    shutil.copytree(versions, copied)
    (copied / "9999_broken.py").write_text(BROKEN.format(down=before))
    monkeypatch.setattr("helicone_gw_logging.plugin.VERSIONS", copied)
    with pytest.raises(ConfigError, match=r"migration 9999 of 'logging'.*left as it was"):
        await build_gateway(config).start()
    async with database.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM hidden_property")) == 1
    assert (await database.standing("logging", versions)).reached == before
    await database.close()


@pytest.mark.parametrize("name", sorted(registry.installed()))
def test_every_plugin_names_the_directories_of_its_revisions(name: str) -> None:
    plugin = registry.load(name)
    there = set(Path(inspect.getfile(plugin)).parent.glob("*migrations/versions"))
    assert set(plugin.migrations.values()) == there


def test_what_commands_change_is_in_the_audit_log(capsys: pytest.CaptureFixture[str]) -> None:
    plugins = [
        {"logging": {"retention": {"requests": 30}}},
        "cost",
        "security",
        {"cache": {"backend": {"url": "disk://cache.db"}}},
        "alerts",
    ]
    Path("gateway.yaml").write_text(json.dumps({"database": {"url": "sqlite:///gateway.db"}, "plugins": plugins}))
    Path("cache.db").touch()
    said = [
        (["db", "upgrade"], "database.upgrade"),
        (["db", "upgrade"], None),  # nothing to do
        (["db", "prune", "--dry-run"], None),
        (["db", "prune"], "log.prune"),
        (["db", "rebuild"], "log.rebuild"),
        (["alerts", "replay", "--all"], "dead_letter.replay"),
        (["cache", "clear", "--all"], "cache.clear"),
    ]
    for arguments, _ in said:
        assert program(arguments) == 0, capsys.readouterr()
    assert "could not be written" not in capsys.readouterr().err
    with sqlite3.connect("gateway.db") as connection:
        kept = connection.execute("select action, actor_id from audit_entry order by id").fetchall()
    connection.close()
    assert [action for action, _ in kept] == [action for _, action in said if action is not None]
    assert {kind for _, kind in kept} == {"command"}
