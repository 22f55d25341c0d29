"""Library: what is remembered, for how long it is believed, and what happens while the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from helicone_gw import Database, Unavailable
from helicone_gw.testing import VirtualClock
from helicone_gw_prompts.editing import Editor
from helicone_gw_prompts.errors import NoSuch
from helicone_gw_prompts.library import Choice, Library

BODY: dict[str, Any] = {"n": 1}


class Flaky:
    """A database that can be away, and that counts how often it is asked."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.away = False
        self.asked = 0
        self.gate: asyncio.Event | None = None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Any]:
        self.asked += 1
        if self.away:
            raise OperationalError("away", None, Exception())
        if self.gate is not None:
            await self.gate.wait()
        async with self.database.connect() as connection:
            yield connection


@pytest.fixture
def flaky(database: Database) -> Flaky:
    return Flaky(database)


@pytest.fixture
async def library(flaky: Flaky, clock: VirtualClock) -> AsyncIterator[Library]:
    library = Library(flaky, clock, size=2, stale_after=2.0, deadline=5.0)  # type: ignore[arg-type]
    yield library
    await library.close()


async def test_a_version_is_read_once_and_checked_now_and_then(
    editor: Editor, library: Library, flaky: Flaky, clock: VirtualClock
) -> None:
    prompt, version = await editor.create("o", "p", [], BODY)
    choices = [Choice("o", prompt), Choice("o", None, version)]
    for choice in choices * 3:
        assert (await library.find(choice)).id == version
    assert (flaky.asked, library.counters.loads, library.counters.hits) == (3, 2, 4)
    clock.advance(2)
    await library.find(choices[0])
    assert (flaky.asked, library.counters.loads) == (4, 2)


async def test_an_edit_elsewhere_is_seen_when_it_is_time(editor: Editor, library: Library, clock: VirtualClock) -> None:
    prompt, first = await editor.create("o", "p", [], BODY)
    choice = Choice("o", prompt)
    await library.find(choice)
    second = await editor.update("o", prompt, first, {"n": 2}, "", major=False, environment="production")
    clock.advance(1.9)
    assert (await library.find(choice)).id == first
    clock.advance(0.1)
    assert (await library.find(choice)).id == second


async def test_an_edit_here_is_seen_at_once_even_by_what_is_being_read(
    editor: Editor, library: Library, flaky: Flaky
) -> None:
    prompt, first = await editor.create("o", "p", [], BODY)
    choice = Choice("o", prompt)
    await library.find(Choice("o", None, first))
    flaky.gate = asyncio.Event()
    reading = asyncio.create_task(library.find(choice))
    while library.counters.loads + flaky.asked < 4:
        await asyncio.sleep(0)
    library.forget()
    flaky.gate.set()
    await reading
    assert len(library) == 0  # what was read may be from before the edit


async def test_those_who_ask_at_the_same_time_share_a_query_and_may_leave(
    editor: Editor, library: Library, flaky: Flaky
) -> None:
    prompt, version = await editor.create("o", "p", [], BODY)
    flaky.gate = asyncio.Event()
    asking = [asyncio.create_task(library.find(Choice("o", prompt))) for _ in range(10)]
    await asyncio.sleep(0)
    asking[0].cancel()
    flaky.gate.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert {each.id for each in found[1:]} == {version}  # type: ignore[union-attr]
    assert flaky.asked == 2


async def test_while_the_database_is_away_what_is_remembered_is_served(
    editor: Editor, library: Library, flaky: Flaky, clock: VirtualClock
) -> None:
    prompt, version = await editor.create("o", "p", [], BODY)
    await library.find(Choice("o", prompt))
    flaky.away = True
    clock.advance(10)
    for _ in range(3):
        assert (await library.find(Choice("o", prompt))).id == version
    assert library.counters.stale == 1
    with pytest.raises(Unavailable) as raised:
        await library.find(Choice("o", prompt, None, "dev"))
    assert raised.value.code == "prompts_unavailable"
    flaky.away = False
    clock.advance(2)
    await library.find(Choice("o", prompt))
    assert library.counters.checks == 2


async def test_what_is_not_there_is_not_remembered(editor: Editor, library: Library) -> None:
    choice = Choice("o", "later")
    for _ in range(2):
        with pytest.raises(NoSuch):
            await library.find(choice)
    await editor.create("o", "p", [], BODY, id="later")
    assert (await library.find(choice)).prompt_id == "later"
    with pytest.raises(NoSuch):
        await library.find(Choice("another", "later"))


async def test_no_more_is_remembered_than_there_is_room_for(editor: Editor, library: Library) -> None:
    for name in "abc":
        await editor.create("o", name, [], BODY, id=name)
        await library.find(Choice("o", name))
    assert len(library) == 2
