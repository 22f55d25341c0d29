"""Syncing: files and the database made to agree, in either direction, and told apart.

A file stands for the newest version of its prompt, and for the environments that are at it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from msgspec import Struct
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from helicone_gw_prompts import reading
from helicone_gw_prompts.editing import Editor, clear_environment, fingerprint, set_environment
from helicone_gw_prompts.errors import NoSuch
from helicone_gw_prompts.files import PromptFile
from helicone_gw_prompts.tables import FILE, PROMPT

VERBS = {"new": "create", "changed": "update"}
"""What the audit log calls what became of a prompt."""


class Pushed(Struct, frozen=True):
    """What became of a file: its prompt is "new", "changed" or "same"; ``version`` is the newest one now."""

    id: str
    what: str
    version: str


async def push(
    editor: Editor,
    organization: str,
    files: Collection[PromptFile],
    *,
    message: str,
    major: bool = False,
    only_edited: bool = False,
) -> list[Pushed]:
    """Take over ``files``, all of them or none: another body becomes a version, with ``message``.

    ``only_edited``: files that say what they said when they were taken over last are passed by in silence, whatever the
    database says by now. Nothing is written where there is nothing to do.

    Raises `Refusal` where there would be too much, and SQLAlchemy's errors.
    """
    async with editor.database.connect() as connection:
        found = await connection.execute(
            select(FILE.c.prompt_id, FILE.c.sha256).where(FILE.c.organization_id == organization)
        )
        taken: dict[str, str] = {row.prompt_id: row.sha256 for row in found}
        waiting = [
            file
            for file in files
            if taken.get(file.id) != file.sha256
            or not (only_edited or await _now(connection, organization, file.id) == file)
        ]
    done = {}
    if waiting:
        async with editor.edit() as connection:
            for file in waiting:
                done[file.id] = await _take(editor, connection, organization, file, message, major)
    if only_edited:
        return [*done.values()]
    async with editor.database.connect() as connection:
        return [done.get(file.id) or await _same(connection, organization, file) for file in files]


async def pull(connection: AsyncConnection, organization: str, ids: Iterable[str] = ()) -> list[PromptFile]:
    """The prompts as their files would have them, by id; all of them, or those of ``ids``. Raises `NoSuch`."""
    wanted = [*ids]
    if wanted:
        found = [await reading.prompt(connection, organization, each) for each in wanted]
    else:
        found = await reading.prompts(connection, organization, limit=1_000_000)
    files = [await _as_file(connection, organization, prompt) for prompt in sorted(found, key=lambda each: each.id)]
    return [file for file in files if file is not None]


async def _now(connection: AsyncConnection, organization: str, id: str) -> PromptFile | None:
    try:
        prompt = await reading.prompt(connection, organization, id)
    except NoSuch:
        return None
    return await _as_file(connection, organization, prompt)


async def _as_file(connection: AsyncConnection, organization: str, prompt: reading.Prompt) -> PromptFile | None:
    version = await reading.latest(connection, organization, prompt.id)
    if version is None:
        return None
    return PromptFile(prompt.id, prompt.name, prompt.tags, [*version.environments], version.decoded())


async def _same(connection: AsyncConnection, organization: str, file: PromptFile) -> Pushed:
    version = await reading.latest(connection, organization, file.id)
    return Pushed(file.id, "same", version.number if version else "")


async def _take(
    editor: Editor, connection: AsyncConnection, organization: str, file: PromptFile, message: str, major: bool
) -> Pushed:
    before = await _now(connection, organization, file.id)
    what = "same"
    version = await reading.latest(connection, organization, file.id)
    if before is None and version is None and not await _known(connection, organization, file.id):
        await editor.add_prompt(
            connection,
            organization,
            file.name,
            file.tags,
            file.body,
            id=file.id,
            message=message,
            environments=file.environments,
        )
        what = "new"
    elif before != file:
        what = "changed"
        await connection.execute(
            update(PROMPT).where(*_mine(PROMPT.c.id, organization, file.id)).values(name=file.name, tags=file.tags)
        )
        if version is None or version.sha256 != fingerprint(file.body):
            made = await editor.add_version(connection, organization, file.id, version, file.body, message, major=major)
            held: tuple[str, ...] = ()
        else:
            made, held = version.id, version.environments
        for environment in file.environments:
            if environment not in held:
                await set_environment(connection, organization, file.id, made, environment)
        for environment in held:
            if environment not in file.environments:
                await clear_environment(connection, organization, file.id, made, environment)
    await connection.execute(delete(FILE).where(*_mine(FILE.c.prompt_id, organization, file.id)))
    await connection.execute(insert(FILE).values(organization_id=organization, prompt_id=file.id, sha256=file.sha256))
    newest = await reading.latest(connection, organization, file.id)
    return Pushed(file.id, what, newest.number if newest else "")


async def _known(connection: AsyncConnection, organization: str, id: str) -> bool:
    found = await connection.execute(select(PROMPT.c.id).where(*_mine(PROMPT.c.id, organization, id)))
    return found.first() is not None


def _mine(column: Any, organization: str, id: str) -> tuple[Any, Any]:
    return column.table.c.organization_id == organization, column == id
