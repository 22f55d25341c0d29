"""``helicone-gw prompts``: prompts between files and the database, and what there is."""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from helicone_gw import CommandDatabase, Database, audit_command
from helicone_gw_prompts import reading, schemas
from helicone_gw_prompts.editing import Editor
from helicone_gw_prompts.errors import NoSuch, Refusal
from helicone_gw_prompts.files import PromptFile, read_folder, write_text
from helicone_gw_prompts.syncing import VERBS, Pushed
from helicone_gw_prompts.syncing import pull as pulled
from helicone_gw_prompts.syncing import push as pushed

if TYPE_CHECKING:
    from helicone_gw_prompts.config import PromptsConfig

T = TypeVar("T")
E = TypeVar("E")
Folder = Annotated[Path | None, typer.Argument(help="The folder; default: `dir` of the plugin's configuration.")]
Organization = Annotated[str | None, typer.Option(help="Whose prompts; default: the configuration's.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead.")]


def commands(config: PromptsConfig, versions: Path) -> typer.Typer:
    """The commands; they read the database's URL at ``typer.Context.obj.config.database.url``."""
    app = typer.Typer(help="Prompts: push, pull and compare files; list and show.", no_args_is_help=True)
    bounds = config.bounds()
    there = CommandDatabase({"prompts": versions}, "there is nothing in it, and nothing would stay.", required=True)

    def edit(context: typer.Context, work: Callable[[Editor], Awaitable[T]]) -> T:
        return there.make(context, editing(work))

    def look(context: typer.Context, work: Callable[[Editor], Awaitable[T]], otherwise: E) -> T | E:
        return there.read(context, editing(work), otherwise)

    def editing(work: Callable[[Editor], Awaitable[T]]) -> Callable[[Database], Awaitable[T]]:
        async def working(database: Database) -> T:
            try:
                return await work(Editor(database, time.time, bounds, lambda: None))
            except Refusal as refusal:
                _fail(str(refusal))

        return working

    def read(folder: Path | None) -> dict[Path, PromptFile]:
        found, problems = read_folder(_folder(folder), bounds.max_size, bounds.max_prompts)
        if problems:
            _fail("\n".join(problems))
        return found

    def _folder(folder: Path | None) -> Path:
        if folder is None and config.dir is None:
            _fail("Say which folder: `helicone-gw prompts push prompts/`, or `dir` in the plugin's configuration.")
        return folder or Path(config.dir or "")

    def whose(organization: str | None) -> str:
        return organization or config.organization

    async def all_files(editor: Editor, organization: str) -> dict[str, PromptFile]:
        async with editor.database.connect() as connection:
            return {file.id: file for file in await pulled(connection, organization)}

    @app.command()
    def push(
        context: typer.Context,
        folder: Folder = None,
        message: Annotated[str, typer.Option("--message", "-m", help="The versions' commit message.")] = "Pushed",
        major: Annotated[bool, typer.Option(help="Make major versions.")] = False,
        organization: Organization = None,
    ) -> None:
        """Take over all files of a folder, or none: a prompt whose body differs gets a new version."""
        files = read(folder)

        async def work(editor: Editor) -> list[Pushed]:
            done = await pushed(editor, whose(organization), files.values(), message=message, major=major)
            for each in done:
                if each.what in VERBS:
                    problem = await audit_command(
                        context.obj.config,
                        editor.database,
                        f"prompt.{VERBS[each.what]}",
                        f"prompt:{each.id}",
                        organization=whose(organization),
                        after={"version": each.version, "message": message},
                    )
                    if problem is not None:
                        typer.echo(problem, err=True)
            return done

        done = edit(context, work)
        for each in done:
            typer.echo(f"{each.what:8}{each.id} {each.version}")

    @app.command()
    def pull(context: typer.Context, folder: Folder = None, organization: Organization = None) -> None:
        """Write every prompt's newest version to its file; files that say the same already stay as they are."""
        where = _folder(folder)
        found = look(context, lambda editor: all_files(editor, whose(organization)), None)
        if found is None:
            return
        where.mkdir(parents=True, exist_ok=True)
        places = {prompt.id: (path, prompt) for path, prompt in read(where).items()}
        for prompt in found.values():
            path, there = places.get(prompt.id, (where / f"{prompt.id}.yaml", None))
            if there == prompt:
                typer.echo(f"same    {path}")
                continue
            path.write_text(write_text(prompt), encoding="utf-8")
            typer.echo(f"{'new' if there is None else 'changed':8}{path}")

    @app.command()
    def diff(context: typer.Context, folder: Folder = None, organization: Organization = None) -> None:
        """Show how the files differ from the newest versions; the exit status is 1 if they do."""
        files = {prompt.id: prompt for prompt in read(folder).values()}
        stored = look(context, lambda editor: all_files(editor, whose(organization)), dict[str, PromptFile]())
        differ = False
        for name in sorted({*files, *stored}):
            if files.get(name) == stored.get(name):
                continue
            differ = True
            before, after = (_lines(each.get(name)) for each in (stored, files))
            typer.echo("".join(difflib.unified_diff(before, after, f"gateway/{name}", f"files/{name}")), nl=False)
        if differ:
            raise typer.Exit(1)

    @app.command("list")
    def list_(context: typer.Context, as_json: AsJson = False, organization: Organization = None) -> None:
        """List the prompts with their newest versions."""

        async def work(editor: Editor) -> list[tuple[reading.Prompt, reading.Version | None]]:
            async with editor.database.connect() as connection:
                found = await reading.prompts(connection, whose(organization), limit=bounds.max_prompts)
                return [(each, await reading.latest(connection, whose(organization), each.id)) for each in found]

        found = look(context, work, [])
        if as_json:
            rows = [
                {**schemas.prompt_as_json(prompt), "version": version.number if version else None}
                for prompt, version in found
            ]
            typer.echo(json.dumps(rows, indent=2))
            return
        table = Table("id", "name", "tags", "version", "model", "environments")
        for prompt, version in found:
            of_version = (
                ("", "", "") if version is None else (version.number, version.model, _joined(version.environments))
            )
            table.add_row(prompt.id, prompt.name, _joined(prompt.tags), *of_version)
        Console(width=None if Console().is_terminal else 200).print(table)

    @app.command()
    def show(
        context: typer.Context,
        id: Annotated[str, typer.Argument(metavar="ID", help="The prompt's id.")],
        environment: Annotated[str | None, typer.Option(help="The version there; default: the newest.")] = None,
        organization: Organization = None,
    ) -> None:
        """Show a prompt as its file would have it."""

        async def work(editor: Editor) -> PromptFile:
            async with editor.database.connect() as connection:
                if environment is None:
                    found = await pulled(connection, whose(organization), [id])
                    if not found:
                        raise NoSuch(f"The prompt {id!r} has no version.")
                    return found[0]
                prompt = await reading.prompt(connection, whose(organization), id)
                version = await reading.version_in(connection, whose(organization), id, environment)
                return PromptFile(id, prompt.name, prompt.tags, [*version.environments], version.decoded())

        shown = look(context, work, None)
        if shown is None:
            raise typer.Exit(1)
        typer.echo(write_text(shown), nl=False)

    return app


def _joined(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names)


def _lines(prompt: PromptFile | None) -> list[str]:
    return [] if prompt is None else write_text(prompt).splitlines(keepends=True)


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
