"""``helicone-gw prompts`` on the command line (the issue's third must-show)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from helicone_gw import AuditEntry, Database, Plugin, registry
from helicone_gw_prompts import reading
from helicone_gw_prompts.config import PromptsConfig
from helicone_gw_prompts.editing import Bounds, Editor
from helicone_gw_prompts.plugin import PromptsPlugin

Run = Callable[..., Result]
PROMPT = """\
# A comment.
name: Welcome
tags: [support]
prompt:
  model: gpt-4o-mini
  messages:
    - role: system
      content: Hi {{hc:who:string}}.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "welcome.yaml").write_text(PROMPT)
    return tmp_path / "prompts"


def runner(url: str, plugins: Any = (), **config: Any) -> Run:
    cli = typer.Typer()

    @cli.callback()
    def main(context: typer.Context) -> None:
        context.obj = SimpleNamespace(config=SimpleNamespace(database=SimpleNamespace(url=url), plugins=plugins))

    PromptsPlugin(PromptsConfig(**config), "prompts").register_commands(cli)
    return lambda *arguments: CliRunner().invoke(cli, ["prompts", *map(str, arguments)])


@pytest.fixture
def run(tmp_path: Path, folder: Path) -> Run:
    return runner(f"sqlite:///{tmp_path}/gateway.db", dir=str(folder))


def edit(tmp_path: Path) -> None:
    """What somebody does over the API."""

    async def work() -> None:
        database = Database(f"sqlite:///{tmp_path}/gateway.db")
        editor = Editor(database, lambda: 1.0, Bounds(), lambda: None)
        async with database.connect() as connection:
            found = await reading.latest(connection, "default", "welcome")
        assert found is not None
        body = {**found.decoded(), "temperature": 1, "messages": [{"role": "user", "content": "a\nb\n"}]}
        await editor.update("default", "welcome", found.id, body, "over the API", major=True, environment="production")
        await editor.create("default", "Only there", [], {"messages": []}, id="there")
        await database.close()

    asyncio.run(work())


def test_files_and_api_agree(run: Run, folder: Path, tmp_path: Path) -> None:
    """Push, an edit over the API, pull: then there is no difference."""
    pushed = run("push", "-m", "Kinder")
    assert (pushed.exit_code, pushed.stdout) == (0, "new     welcome 1.0\n")
    assert run("diff").exit_code == 0
    edit(tmp_path)
    differing = run("diff")
    assert differing.exit_code == 1
    assert "-  temperature: 1\n" in differing.stdout
    assert "--- gateway/there\n+++ files/there\n" in differing.stdout
    pulled = run("pull")
    assert pulled.exit_code == 0
    assert sorted(line.split()[0] for line in pulled.stdout.splitlines()) == ["changed", "new"]
    none = run("diff")
    assert (none.exit_code, none.stdout) == (0, "")
    assert run("push").stdout == "same    there 1.0\nsame    welcome 2.0\n"
    assert "content: |" in (folder / "welcome.yaml").read_text()


def test_files_that_say_the_same_keep_their_comments(run: Run, folder: Path) -> None:
    run("push")
    assert run("pull").stdout.startswith("same")
    assert (folder / "welcome.yaml").read_text() == PROMPT


def test_a_broken_template_is_refused_with_line_and_column(run: Run, folder: Path) -> None:
    (folder / "other.yaml").write_text(PROMPT.replace("Hi {{hc:who:string}}", "Hi {{hc:who}}"))
    pushed = run("push")
    assert pushed.exit_code == 1
    assert f"{folder}/other.yaml:8:19: prompt.messages[0].content: the tag '{{{{hc:who}}}}.' is not" in pushed.stderr
    (folder / "other.yaml").unlink()
    assert json.loads(run("list", "--json").stdout) == []


def test_list_and_show(run: Run, folder: Path) -> None:
    run("push")
    (found,) = json.loads(run("list", "--json").stdout)
    assert (found["id"], found["version"], found["tags"]) == ("welcome", "1.0", ["support"])
    assert "gpt-4o-mini" in run("list").stdout
    shown = run("show", "welcome")
    assert shown.stdout == run("show", "welcome", "--environment", "production").stdout
    assert "content: Hi {{hc:who:string}}." in shown.stdout
    for wrong in (("show", "nobody"), ("show", "welcome", "--environment", "dev")):
        refused = run(*wrong)
        assert refused.exit_code == 1
        assert "There is no prompt" in refused.stderr or "no version" in refused.stderr


def test_another_organization_has_its_own(run: Run, folder: Path) -> None:
    run("push", folder, "--organization", "two", "--major")
    assert json.loads(run("list", "--json").stdout) == []
    assert len(json.loads(run("list", "--json", "--organization", "two").stdout)) == 1


def test_what_cannot_be_is_told(tmp_path: Path, folder: Path) -> None:
    memory = runner("sqlite://", dir=str(folder))("push")
    assert (memory.exit_code, "in memory" in memory.stderr) == (1, True)
    nowhere = runner(f"sqlite:///{tmp_path}/g.db")("push")
    assert (nowhere.exit_code, "Say which folder" in nowhere.stderr) == (1, True)


def test_what_is_pushed_is_in_the_audit_log(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[AuditEntry] = []

    class Keeper(Plugin):
        @staticmethod
        def audit_sink(database: Database) -> Any:
            async def record(entry: AuditEntry) -> None:
                kept.append(entry)

            return SimpleNamespace(record=record)

    monkeypatch.setattr(registry, "load", lambda name: Keeper)
    plugins = [SimpleNamespace(plugin="keeper")]
    run = runner(f"sqlite:///{tmp_path}/gateway.db", plugins=plugins, dir=str(folder), organization="acme")
    for _ in range(2):
        assert run("push", "-m", "First").exit_code == 0
    (entry,) = kept
    assert (entry.action, entry.subject, entry.organization) == ("prompt.create", "prompt:welcome", "acme")
    assert entry.actor.endswith("(command line)")
    assert entry.after == {"version": "1.0", "message": "First"}


def test_a_push_that_cannot_be_audited_says_so_and_stands(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise OSError("secret words")

    monkeypatch.setattr(registry, "load", missing)
    run = runner(f"sqlite:///{tmp_path}/gateway.db", plugins=[SimpleNamespace(plugin="x")], dir=str(folder))
    pushed = run("push")
    assert (pushed.exit_code, "could not be written: OSError" in pushed.output) == (0, True)
    assert "secret words" not in pushed.output
