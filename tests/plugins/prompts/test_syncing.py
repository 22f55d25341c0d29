"""Syncing: files and the database made to agree, in either direction (the issue's third must-show)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from helicone_gw_prompts import reading
from helicone_gw_prompts.editing import Editor
from helicone_gw_prompts.errors import NoSuch, Refusal
from helicone_gw_prompts.files import PromptFile
from helicone_gw_prompts.syncing import pull, push

ORG = "acme"
FILE = PromptFile("hello", "Hello", ["a"], ["production"], {"messages": [{"role": "user", "content": "Hi"}]})


async def pushed(editor: Editor, *files: PromptFile, **options: Any) -> list[tuple[str, str, str]]:
    done = await push(editor, ORG, files, message="pushed", **options)
    return [(each.id, each.what, each.version) for each in done]


async def pulled(editor: Editor, *ids: str) -> list[PromptFile]:
    async with editor.database.connect() as connection:
        return await pull(connection, ORG, ids)


async def latest(editor: Editor) -> reading.Version:
    async with editor.database.connect() as connection:
        found = await reading.latest(connection, ORG, "hello")
    assert found is not None
    return found


async def test_a_push_an_edit_over_the_api_and_a_pull_agree(editor: Editor) -> None:
    assert await pushed(editor, FILE) == [("hello", "new", "1.0")]
    assert await pulled(editor) == [FILE]
    first = await latest(editor)
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    await editor.update(ORG, "hello", first.id, body, "edited", major=False, environment="production")
    await editor.tag(ORG, "hello", ["b"])
    (edited,) = await pulled(editor)
    assert edited == replace(FILE, body=body, tags=["b"])
    assert await pushed(editor, edited) == [("hello", "same", "1.1")]
    assert await pulled(editor) == [edited]


async def test_a_push_of_the_same_writes_nothing(editor: Editor, changed: list[str]) -> None:
    await pushed(editor, FILE)
    assert await pushed(editor, FILE) == [("hello", "same", "1.0")]
    assert len(changed) == 1


async def test_another_body_is_a_version_and_takes_the_environments_along(editor: Editor) -> None:
    await pushed(editor, FILE)
    file = replace(FILE, body={"n": 1}, environments=["production", "staging"])
    assert await pushed(editor, file) == [("hello", "changed", "1.1")]
    assert await pushed(editor, replace(file, body={"n": 2}, environments=["staging"]), major=True) == [
        ("hello", "changed", "2.0")
    ]
    async with editor.database.connect() as connection:
        found = await reading.versions(connection, ORG, "hello")
    assert {each.number: each.environments for each in found} == {
        "2.0": ("staging",),
        "1.1": ("production",),
        "1.0": (),
    }
    assert found[0].commit_message == "pushed"


async def test_names_tags_and_environments_change_without_a_version(editor: Editor) -> None:
    await pushed(editor, FILE)
    file = replace(FILE, name="Other", tags=[], environments=["dev"])
    assert await pushed(editor, file) == [("hello", "changed", "1.0")]
    assert await pulled(editor) == [file]


async def test_only_what_was_edited_is_taken_over_by_those_who_watch(editor: Editor) -> None:
    """An edit over the API stands until its file says something new."""
    await pushed(editor, FILE)
    first = await latest(editor)
    await editor.update(ORG, "hello", first.id, {"n": 1}, "edited", major=False, environment="production")
    assert await pushed(editor, FILE, only_edited=True) == []
    assert (await latest(editor)).decoded() == {"n": 1}
    assert await pushed(editor, replace(FILE, body={"n": 2}), only_edited=True) == [("hello", "changed", "1.2")]
    assert await pushed(editor, FILE) == [("hello", "changed", "1.3")]


async def test_all_files_or_none(editor: Editor) -> None:
    files = [replace(FILE, id=f"p{number}") for number in range(6)]
    with pytest.raises(Refusal, match="5 prompts already"):
        await pushed(editor, *files)
    assert await pulled(editor) == []
    with pytest.raises(NoSuch):
        await pulled(editor, "p1")


async def test_a_prompt_whose_versions_are_all_gone_begins_anew(editor: Editor) -> None:
    await pushed(editor, replace(FILE, environments=[]))
    first = await latest(editor)
    await editor.delete_version(ORG, "hello", first.id)
    assert await pulled(editor) == []
    assert await pushed(editor, FILE) == [("hello", "changed", "2.0")]
    assert await pulled(editor, "hello") == [FILE]


async def test_a_deleted_prompt_comes_back_with_a_push_and_not_by_itself(editor: Editor) -> None:
    await pushed(editor, FILE)
    await editor.delete(ORG, "hello")
    assert await pushed(editor, FILE, only_edited=True) == []
    assert await pulled(editor) == []
    assert await pushed(editor, FILE) == [("hello", "new", "1.0")]
