"""The command line itself: options, help, exit codes, and what works when the configuration does not."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from helicone_gw import ConfigError, Plugin, PluginConfig, hookimpl
from helicone_gw.cli import program, split_config
from helicone_gw.commands.loading import Loaded, load, locate
from helicone_gw.config import PACKAGED

BROKEN = "server: {prot: 1}\n"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, and nothing in the environment that names a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HELICONE_GW_CONFIG", raising=False)
    monkeypatch.setenv("TERMINAL_WIDTH", "100")
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)


def write(text: str, name: str = "gateway.yaml") -> Path:
    Path(name).write_text(text)
    return Path(name)


@pytest.mark.parametrize(
    ("arguments", "explicit", "rest"),
    [
        ([], None, []),
        (["check"], None, ["check"]),
        (["--config", "a.yaml", "check"], "a.yaml", ["check"]),
        (["check", "--config", "a.yaml"], "a.yaml", ["check"]),
        (["--config=a.yaml"], "a.yaml", []),
        (["--config=a.yaml", "logs", "--config", "b.yaml"], "b.yaml", ["logs"]),
        (["--config="], "", []),
        (["check", "--config"], None, ["check", "--config"]),
        (["logs", "--", "--config", "a.yaml"], None, ["logs", "--", "--config", "a.yaml"]),
        (["logs", "--configuration", "x"], None, ["logs", "--configuration", "x"]),
    ],
)
def test_the_configuration_is_named_anywhere(arguments: list[str], explicit: str | None, rest: list[str]) -> None:
    assert split_config(arguments) == (explicit, rest)


def test_where_the_configuration_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate(None) == PACKAGED
    here = write("{server: {port: 1}}")
    assert locate(None) == Path.cwd() / here
    monkeypatch.setenv("HELICONE_GW_CONFIG", str(write("{server: {port: 2}}", "other.yaml").absolute()))
    assert load(locate(None)).config.server.port == 2
    with pytest.raises(ConfigError, match=r"missing\.yaml: no such file"):
        locate("missing.yaml")


@pytest.mark.parametrize("argument", ["--version"])
def test_the_version(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program([argument]) == 0
    assert capsys.readouterr().out == f"helicone-gw {version('helicone-gw-core')}\n"


@pytest.mark.parametrize("argument", ["-h", "--help"])
def test_the_help_names_every_command_with_a_sentence(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program([argument]) == 0
    text = capsys.readouterr().out
    for command in ("run", "check", "plugins", "schema", "demo", "plugin"):
        line = next(line for line in text.splitlines() if line.strip("│ ").startswith(f"{command} "))
        assert len(line.split()) > 4, line
    assert "base URL" in text
    assert "built-in one" in text


@pytest.mark.parametrize("command", ["run", "check", "plugins", "schema", "demo", "plugin"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program([command, "-h"]) == 0
    assert "Usage: helicone-gw " + command in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["-h"], ["--help"], ["--version"], ["check", "-h"], ["schema"], ["plugin", "-h"]]
)
def test_what_needs_no_configuration_works_with_a_broken_one(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write(BROKEN)
    assert program(arguments) == 0
    assert "prot" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["run"], ["check"], ["plugins"], ["demo"], ["bogus"], ["demo", "--key", "schema"]]
)
def test_everything_else_tells_what_is_wrong_with_it(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    write(BROKEN)
    assert program(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "gateway.yaml:1:10: server.prot: unknown key; did you mean 'port'?" in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["--config"], "requires an argument"),
        (["check", "--colour"], "No such option"),
        (["check", "extra"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_told_with_code_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program(arguments) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert program(["--config", "missing.yaml", "check"]) == 2
    assert "missing.yaml: no such file (named by --config)" in capsys.readouterr().err


class Talkative(Plugin):
    """A plugin with a command of its own."""

    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        name = self.name

        @cli.command()
        def hello(context: typer.Context, times: int = 1) -> None:
            """Say hello."""
            loaded: Loaded = context.obj
            typer.echo(f"hello from {name}, {loaded.config.server.port}\n" * times, nl=False)
            if times > 2:
                raise typer.Exit(3)


class Speechless(Plugin):
    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        raise ValueError("no words")


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two plugins, as if they were installed."""
    found = {"talkative": Talkative, "speechless": Speechless}
    monkeypatch.setattr("helicone_gw.registry.load", found.__getitem__)
    monkeypatch.setattr("helicone_gw.registry.build.__defaults__", (found.__getitem__,))


@pytest.mark.usefixtures("plugins")
def test_a_plugins_command(capsys: pytest.CaptureFixture[str]) -> None:
    write("{server: {port: 4711}, plugins: [talkative, {talkative: {name: second}}]}")
    assert program(["hello", "--times", "2"]) == 0
    assert capsys.readouterr().out == "hello from talkative, 4711\n" * 2, "two instances add it once"
    assert program(["hello", "--times", "3"]) == 3
    assert program(["-h"]) == 0
    assert "Say hello." in capsys.readouterr().out


@pytest.mark.usefixtures("plugins")
def test_a_plugin_that_cannot_add_its_commands_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    write("{plugins: [speechless]}")
    assert program(["check"]) == 2
    assert "plugin 'speechless' cannot add its commands: no words" in capsys.readouterr().err
    assert program(["--version"]) == 0


def test_plugins_are_not_started_for_a_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert program(["check"]) == 0
    assert list(tmp_path.iterdir()) == [], "no database was made"
    assert Talkative(PluginConfig(), "x").name == "x"
