"""Commands and the database: those that only read make none, and what is no database is said in one line.

The commands are those of the program with every plugin that is installed, found by walking its tree: a new one is
either among those below that write, or look elsewhere, or is held to what is said here of those that read.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import typer
from cryptography.fernet import Fernet
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from typer.core import TyperGroup

from helicone_gw import registry
from helicone_gw.commands import command_database
from helicone_gw.commands.line import build_cli
from helicone_gw.commands.loading import load
from helicone_gw.database import Database


class Result(NamedTuple):
    """What a command came to."""

    exit_code: int
    stdout: str
    stderr: str


Run = Callable[..., Result]

MAKING = {
    *(f"keys {name}" for name in ("create", "rotate", "revoke")),
    *(f"provider-keys {name}" for name in ("add", "replace", "remove", "rotate")),
    *(f"users {name}" for name in ("add", "set-password", "set-role", "remove")),
    *(f"organizations {name}" for name in ("create", "rename", "remove")),
    "alerts replay",
    "budgets reset",
    "db upgrade",
    "prompts push",
    "run",
}
"""What may make a database, and tables in it."""

ELSEWHERE = {"bench", "check", "cost price", "demo", "moderation measure", "plugin new", "plugins", "schema"} | {
    *(f"cache {name}" for name in ("clear", "get", "stats")),
    "provider-keys new-encryption-key",
    "users hash",
}
"""What looks at no database."""

ARGUMENTS = {
    "cost recompute": ["--since", "1d", "--dry-run"],
    "db prune": ["--dry-run"],
    "logs show": ["01234567"],
    "prompts diff": ["files"],
    "prompts pull": ["files"],
    "prompts show": ["greeting"],
    "sessions show": ["a"],
    "sql": ["SELECT 1 AS one"],
}

NO_LISTS = {
    *("cost recompute", "db prune", "db status", "db verify", "export"),
    *("logs show", "prompts show", "sessions show", "sql"),
}
"""What cannot be answered with an empty list, so that the exit code is 1."""

CHANGING = {"cost recompute": ["--since", "1d"], "db prune": [], "db rebuild": []}
"""What changes the log that is there, and makes none."""


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command below ``command`` that does something, by its words."""
    if isinstance(command, TyperGroup):
        if path and command.invoke_without_command and not command.no_args_is_help:
            yield " ".join(path), command
        for name, each in command.commands.items():
            yield from walk(each, (*path, name))
    else:
        yield " ".join(path), command


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> TyperGroup:
    own = {
        "security": {"encryption_keys": [Fernet.generate_key().decode()]},
        "logging": {"retention": {"requests": 30}},
        "cache": {"backend": {"url": "disk://data/cache.db"}},
    }
    # Another plugin's commands are added to a group that `logging` may have begun.
    names = sorted(registry.installed(), key=lambda name: (name != "logging", name))
    config = {
        "database": {"url": "sqlite:///data/gateway.db"},
        "plugins": [{name: own[name]} if name in own else name for name in names],
    }
    file = tmp_path_factory.mktemp("commands") / "gateway.yaml"
    file.write_text(json.dumps(config))
    program = typer.main.get_command(build_cli(load(file)))
    assert isinstance(program, TyperGroup)
    return program


@pytest.fixture
def run(
    program: TyperGroup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs the program with these words, in an empty folder but for one for prompts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HELICONE_GW_CONFIG", raising=False)
    monkeypatch.setattr(command_database, "BUSY_TIMEOUT", 0.01)
    Path("files").mkdir()

    def run(*words: str) -> Result:
        with pytest.raises(SystemExit) as end:
            program.main(list(words), prog_name="helicone-gw")
        assert isinstance(end.value.code, int)
        return Result(end.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def reading(program: TyperGroup) -> dict[str, tuple[list[str], bool]]:
    """The commands that read: their words, and whether they know ``--json``."""
    return {
        name: ([*name.split(), *ARGUMENTS.get(name, [])], any("--json" in each.opts for each in command.params))
        for name, command in walk(program)
        if name not in MAKING | ELSEWHERE and (name not in CHANGING or name in ARGUMENTS)
    }


def there() -> dict[str, bytes]:
    """Every file, with what is in it."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in Path().rglob("*")}


def only_line(result: Result) -> str:
    """The one line on standard error."""
    (line,) = result.stderr.splitlines()
    return line


def test_the_lists_here_name_commands_that_there_are(program: TyperGroup) -> None:
    names = {name for name, _ in walk(program)}
    assert MAKING | ELSEWHERE | set(ARGUMENTS) | NO_LISTS | set(CHANGING) <= names
    assert {"keys list", "users list", "prompts list", "budgets", "alerts history", "logs", "export"} <= names


@pytest.mark.parametrize("folder", [False, True], ids=["no folder", "folder"])
def test_what_reads_makes_no_database_and_says_what_makes_one(
    run: Run, reading: dict[str, tuple[list[str], bool]], folder: bool
) -> None:
    if folder:
        Path("data").mkdir()
    before = there()
    for name, (words, as_json) in reading.items():
        result = run(*words, *(["--json"] if as_json else []))
        told = result.stderr.splitlines()[0]
        assert told.startswith("There is no database yet: sqlite:///data/gateway.db is made when"), name
        assert "helicone-gw --config" in told, name
        assert ("folder" in told) is not folder, name
        assert result.exit_code == (name in NO_LISTS), (name, result)
        if name not in NO_LISTS:
            assert result.stdout.strip() in ("", "[]"), name
        assert there() == before, name


@pytest.mark.parametrize("words", ["check", "plugins", "cost price gpt-4o", "cache stats", "cache get a"])
def test_neither_does_what_looks_elsewhere(run: Run, words: str) -> None:
    before = there()
    assert "Traceback" not in run(*words.split()).stderr
    assert there() == before


def test_neither_does_what_only_changes_a_log(run: Run) -> None:
    before = there()
    for name, words in CHANGING.items():
        assert only_line(run(*name.split(), *words)).startswith("There is no database yet: "), name
        assert there() == before, name


def test_a_file_without_tables_stays_as_it_is(run: Run, reading: dict[str, tuple[list[str], bool]]) -> None:
    Path("data").mkdir()
    Path("data/gateway.db").touch()
    before = there()
    for name, (words, as_json) in reading.items():
        result = run(*words, *(["--json"] if as_json and name != "db status" else []))
        assert result.stderr.startswith("There are no tables "), name
        assert result.exit_code == (name in NO_LISTS), (name, result)
        if name not in NO_LISTS:
            assert result.stdout.strip() in ("", "[]"), name
        assert there() == before, name


@pytest.mark.parametrize("what", ["something else", "a folder", "locked"])
def test_what_cannot_be_read_is_one_line(run: Run, reading: dict[str, tuple[list[str], bool]], what: str) -> None:
    file = Path("data/gateway.db")
    file.parent.mkdir()
    said = {
        "something else": "The database cannot be used: file is not a database",
        "a folder": "The database cannot be used: unable to open database file",
        "locked": "The database sqlite:///data/gateway.db is locked by another process: try again in a moment.",
    }
    if what == "something else":
        file.write_text("This is no database. " * 1000)
    elif what == "a folder":
        file.mkdir()
    with closing(sqlite3.connect("data/gateway.db" if what == "locked" else ":memory:")) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("CREATE TABLE something (id INTEGER)")
        other.execute("BEGIN EXCLUSIVE")
        before = there()
        for name, (words, _) in reading.items():
            result = run(*words)
            assert (only_line(result), result.stdout, result.exit_code) == (said[what], "", 1), (name, result)
            assert there() == before, name


def test_where_there_are_tables_what_reads_changes_nothing(
    run: Run, reading: dict[str, tuple[list[str], bool]]
) -> None:
    Path("data").mkdir()
    assert run("db", "upgrade").exit_code == 0
    before = there()
    for name, (words, _) in reading.items():
        result = run(*words)
        assert result.exit_code == (name in NO_LISTS and name.endswith(" show")), (name, result)
        assert "database" not in result.stderr, name
        assert there() == before, name


def test_tables_of_another_version_are_named_and_not_brought_up_to_date(run: Run) -> None:
    Path("data").mkdir()
    assert run("db", "upgrade").exit_code == 0
    for revision, said in (("security_0001", "older than this version"), ("9999", "made by a newer version")):
        with closing(sqlite3.connect("data/gateway.db", isolation_level=None)) as connection:
            connection.execute("UPDATE alembic_version_security SET version_num = ?", [revision])
            connection.execute("DROP TABLE IF EXISTS gateway_key")
        before = there()
        result = run("keys", "list")
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in only_line(result)
        assert "'security'" in only_line(result)
        assert there() == before


async def test_a_database_that_is_read_refuses_every_change(tmp_path: Path) -> None:
    writing = Database(f"sqlite:///{tmp_path}/gateway.db")
    await writing.transact(lambda connection: connection.execute(text("CREATE TABLE here (id INTEGER)")))
    await writing.close()
    database = Database(f"sqlite:///{tmp_path}/gateway.db", reading=True)
    async with database.connect() as connection:
        assert (await connection.scalar(text("SELECT count(*) FROM here"))) == 0
    with pytest.raises(OperationalError, match="readonly"):
        await database.transact(lambda connection: connection.execute(text("INSERT INTO here VALUES (1)")))
    with pytest.raises(OperationalError, match="readonly"):
        async with database.begin() as connection:
            await connection.execute(text("INSERT INTO here VALUES (1)"))
    await database.close()


def test_how_the_gateway_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HELICONE_GW_CONFIG", raising=False)
    for name in ("gateway.yaml", "an other.yaml"):
        Path(name).write_text("{}")

    def command(name: str) -> str:
        return command_database.start_command(SimpleNamespace(obj=load(Path.cwd() / name)))  # type: ignore[arg-type]

    assert command("gateway.yaml") == "helicone-gw"
    assert command("an other.yaml") == "helicone-gw --config 'an other.yaml'"
    monkeypatch.setenv("HELICONE_GW_CONFIG", "not there.yaml")
    assert command("gateway.yaml") == "helicone-gw --config gateway.yaml"
