"""Editing: versions and their numbers, environments, bounds, on SQLite and on Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import inspect

from helicone_gw import Database
from helicone_gw.testing import VirtualClock
from helicone_gw_prompts import reading
from helicone_gw_prompts.editing import Bounds, Editor, fingerprint
from helicone_gw_prompts.errors import NoSuch, Refusal, Taken
from helicone_gw_prompts.tables import ENVIRONMENT, FILE, PROMPT, STATE, TEMPLATE, VERSION

everywhere = pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
ORG = "acme"
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


async def look(editor: Editor, reader: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any) -> Any:
    async with editor.database.connect() as connection:
        return await reader(connection, ORG, *arguments, **named)


async def numbers(editor: Editor, prompt: str) -> dict[str, tuple[str, ...]]:
    """Environments by version, newest first."""
    return {each.number: each.environments for each in await look(editor, reading.versions, prompt)}


@everywhere
async def test_a_prompt_and_its_versions(editor: Editor, clock: VirtualClock, changed: list[str]) -> None:
    prompt, first = await editor.create(ORG, "Greeting", ["b", "a", "b"], BODY)
    assert len(prompt) == 6
    assert prompt.isalnum()
    clock.advance(1)
    second = await editor.update(ORG, prompt, first, {**BODY, "n": 2}, "minor", major=False)
    third = await editor.update(ORG, prompt, second, {**BODY, "n": 3}, "major", major=True, environment="staging")
    fourth = await editor.update(
        ORG, prompt, first, {**BODY, "n": 4}, "of the first", major=False, environment="production"
    )
    assert await numbers(editor, prompt) == {"2.0": ("staging",), "1.2": ("production",), "1.1": (), "1.0": ()}
    assert await look(editor, reading.total_versions, prompt) == (4, 2)
    assert [each.number for each in await look(editor, reading.versions, prompt, 2)] == ["2.0"]
    assert (await look(editor, reading.version_in, prompt, "staging")).id == third
    found = await look(editor, reading.version, fourth)
    assert (found.decoded(), found.commit_message, found.model) == ({**BODY, "n": 4}, "of the first", "m")
    assert found.created_at == clock.now()
    assert (await look(editor, reading.prompt, prompt)).tags == ["a", "b"]
    assert len(changed) == 4
    async with editor.database.connect() as connection:
        assert await reading.changes(connection) == 4


@everywhere
async def test_environments_move_and_are_left(editor: Editor) -> None:
    prompt, first = await editor.create(ORG, "p", [], BODY)
    second = await editor.update(ORG, prompt, first, BODY, "", major=False)
    await editor.move(ORG, prompt, second, "production")
    await editor.move(ORG, prompt, first, "dev")
    assert await numbers(editor, prompt) == {"1.1": ("production",), "1.0": ("dev",)}
    assert await look(editor, reading.all_environments) == ["dev", "production"]
    with pytest.raises(NoSuch, match="not in the environment 'dev'"):
        await editor.leave(ORG, prompt, second, "dev")
    await editor.leave(ORG, prompt, first, "dev")
    with pytest.raises(NoSuch, match="no version in the environment 'dev'"):
        await look(editor, reading.version_in, prompt, "dev")
    with pytest.raises(Taken, match="production"):
        await editor.delete_version(ORG, prompt, second)
    await editor.delete_version(ORG, prompt, first)
    assert await numbers(editor, prompt) == {"1.1": ("production",)}
    await editor.delete(ORG, prompt)
    assert await look(editor, reading.count) == 0
    with pytest.raises(NoSuch):
        await look(editor, reading.version, second)


@everywhere
async def test_editors_at_the_same_time_take_different_numbers(editor: Editor) -> None:
    prompt, first = await editor.create(ORG, "p", [], BODY)
    await asyncio.gather(*(editor.update(ORG, prompt, first, {"n": n}, "", major=bool(n % 2)) for n in range(3)))
    assert len(await numbers(editor, prompt)) == 4


@everywhere
async def test_prompts_are_found_by_name_id_and_tag(editor: Editor, clock: VirtualClock) -> None:
    made = []
    for name, tags in (("100% Öl", ["a"]), ("under_score", ["b", "c"]), ("Third", [])):
        clock.advance(1)
        made.append((await editor.create(ORG, name, tags, BODY))[0])

    async def names(**query: Any) -> list[str]:
        return [each.name for each in await look(editor, reading.prompts, **query)]

    assert await names() == ["Third", "under_score", "100% Öl"]
    assert await names(search="R_s") == ["under_score"]
    assert await names(search="0%") == ["100% Öl"]
    assert await names(search=made[2].upper()) == ["Third"]
    assert await names(tags=["a", "c"]) == ["under_score", "100% Öl"]
    assert await names(tags=["a", "c"], offset=1, limit=1) == ["100% Öl"]
    assert await names(offset=1, limit=1) == ["under_score"]
    assert await look(editor, reading.all_tags) == ["a", "b", "c"]
    await editor.rename(ORG, made[0], "Oil")
    assert await editor.tag(ORG, made[0], ["z", "y"]) == ["y", "z"]
    assert (await look(editor, reading.prompt, made[0])).name == "Oil"


async def test_the_number_of_a_deleted_version_is_not_given_again(editor: Editor) -> None:
    """What the log says of 1.1 is about one version."""
    prompt, first = await editor.create(ORG, "p", [], BODY)
    for number in ("1.1", "1.2"):
        made = await editor.update(ORG, prompt, first, BODY, "", major=False)
        assert next(iter(await numbers(editor, prompt))) == number
        await editor.delete_version(ORG, prompt, made)
    major = await editor.update(ORG, prompt, first, BODY, "", major=True)
    await editor.delete_version(ORG, prompt, major)
    await editor.update(ORG, prompt, first, BODY, "", major=True)
    assert list(await numbers(editor, prompt)) == ["3.0", "1.0"]


async def test_bounds_are_told(editor: Editor) -> None:
    prompt, version = await editor.create(ORG, "p", [], BODY, id="own-id")
    assert prompt == "own-id"
    with pytest.raises(Taken, match="own-id"):
        await editor.create(ORG, "p", [], BODY, id="own-id")
    for _ in range(3):
        version = await editor.update(ORG, prompt, version, BODY, "", major=True)
    with pytest.raises(Refusal, match="has 4 versions already"):
        await editor.update(ORG, prompt, version, BODY, "", major=True)
    with pytest.raises(Refusal, match="too large"):
        await editor.update(ORG, prompt, version, {"x": "y" * 2_000}, "", major=True)
    with pytest.raises(Refusal, match=r"messages\[0\].content: line 1, column 3: the tag '{{hc:x}}'"):
        await editor.create(ORG, "p", [], {"messages": [{"role": "user", "content": "a {{hc:x}}"}]})
    for _ in range(4):
        await editor.create(ORG, "p", [], BODY)
    with pytest.raises(Refusal, match="5 prompts already"):
        await editor.create(ORG, "p", [], BODY)
    assert (await editor.create("another", "p", [], BODY, id="own-id"))[0] == "own-id"


async def test_nothing_of_a_prompt_can_be_done_by_another_prompts_version(editor: Editor) -> None:
    one, version = await editor.create(ORG, "one", [], BODY)
    two, _ = await editor.create(ORG, "two", [], BODY)
    edits: list[Awaitable[Any]] = [
        editor.update(ORG, two, version, BODY, "", major=False),
        editor.move(ORG, two, version, "dev"),
        editor.leave(ORG, two, version, "production"),
        editor.delete_version(ORG, two, version),
        editor.move("another", one, version, "dev"),
        editor.rename("another", one, "x"),
        editor.delete("another", one),
    ]
    for edit in edits:
        with pytest.raises(NoSuch):
            await edit
    assert await numbers(editor, one) == {"1.0": ("production",)}


async def test_a_refused_edit_changes_nothing(editor: Editor, changed: list[str]) -> None:
    with pytest.raises(NoSuch):
        await editor.rename(ORG, "nobody", "x")
    assert changed == []
    async with editor.database.connect() as connection:
        assert await reading.changes(connection) == 0


def test_the_order_of_keys_makes_no_other_body() -> None:
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})
    assert Bounds().max_versions == 1_000


@everywhere
async def test_the_tables_are_what_the_migration_makes(database: Database) -> None:
    def columns(connection: Any) -> dict[str, set[tuple[str, bool]]]:
        tables = (PROMPT, VERSION, ENVIRONMENT, FILE, TEMPLATE, STATE)
        return {
            table.name: {(each["name"], each["nullable"]) for each in inspect(connection).get_columns(table.name)}
            for table in tables
        }

    async with database.connect() as connection:
        there = await connection.run_sync(columns)
    for table in (PROMPT, VERSION, ENVIRONMENT, FILE, TEMPLATE, STATE):
        assert there[table.name] == {(column.name, bool(column.nullable)) for column in table.columns}
