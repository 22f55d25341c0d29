"""Whose objects are: what the table keeps, and what becomes of it; the same on both databases."""

from __future__ import annotations

import pytest

from helicone_gw import Database, Unavailable
from helicone_gw.testing import VirtualClock
from helicone_gw_security import ledger as ledgers
from helicone_gw_security.ledger import Ledger
from helicone_gw_security.object_table import Made, ObjectTable
from helicone_gw_security.plugin import VERSIONS


async def as_it_should_be(table: ObjectTable) -> None:
    await table.add([Made("openai", "file-1", "one", 1.0), Made("azure", "file-1", "two", 1.0)])
    await table.add([Made("openai", "file-1", "two", 2.0, certain=False), Made("openai", "file-2", "two", 2.0, False)])
    assert await table.find(["file-1", "file-2", "file-3"]) == {
        "file-1": {"openai": "one", "azure": "two"},
        "file-2": {"openai": "two"},
    }
    await table.add([Made("openai", "file-1", "two", 3.0)])
    assert (await table.find(["file-1"]))["file-1"]["openai"] == "two", "who made it last"
    await table.remove("openai", "file-1", "one")
    assert "openai" in (await table.find(["file-1"]))["file-1"], "nobody removes another's"
    await table.remove("openai", "file-1", "two")
    assert await table.find(["file-1"]) == {"file-1": {"azure": "two"}}
    await table.add([Made("openai", "resp_1", "one", 4.0, ends_at=10.0)])
    assert await table.prune(9.0, most=2) == 1
    assert set(await table.find(["file-1", "file-2", "resp_1"])) == {"file-2", "resp_1"}, "the oldest is forgotten"
    assert await table.prune(10.0) == 0
    assert set(await table.find(["file-2", "resp_1"])) == {"file-2"}


async def test_on_sqlite(database: Database) -> None:
    await as_it_should_be(ObjectTable(database))


async def test_on_postgres(postgres_url: str) -> None:
    database = Database(postgres_url)
    try:
        await database.migrate("security", VERSIONS)
        await as_it_should_be(ObjectTable(database))
    finally:
        await database.close()


class Log:
    def __getattr__(self, name: str) -> object:
        return lambda *told, **more: None


@pytest.fixture
async def ledger(database: Database, clock: VirtualClock) -> Ledger:
    return Ledger(ObjectTable(database), clock, Log())


async def test_what_waits_is_known_at_once_and_what_is_written_goes_before_a_claim(ledger: Ledger) -> None:
    ledger.note(Made("openai", "file-1", "one", 1.0))
    assert await ledger.owners(["file-1"]) == {"file-1": {"openai": "one"}}
    await ledger.settle()
    ledger.note(Made("openai", "file-1", "two", 1.0, certain=False))
    assert await ledger.owners(["file-1"]) == {"file-1": {"openai": "one"}}
    await ledger.settle()
    assert await ledger.owners(["file-1"]) == {"file-1": {"openai": "one"}}
    ledger.note(Made("openai", "file-1", "two", 2.0))
    assert await ledger.owners(["file-1"]) == {"file-1": {"openai": "two"}}, "its name was given anew"


async def test_what_has_no_room_is_counted(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "MAX_WAITING", 1)
    for name in ("file-1", "file-2"):
        ledger.note(Made("openai", name, "one", 1.0))
    assert (ledger.dropped, set(await ledger.owners(["file-1", "file-2"]))) == (1, {"file-1"})


async def test_while_the_database_is_away_nobody_is_taken_for_an_owner(ledger: Ledger, database: Database) -> None:
    ledger.note(Made("openai", "file-1", "one", 1.0))
    await ledger.settle()

    async def rename(before: str, after: str) -> None:
        async with database.begin() as connection:
            await connection.exec_driver_sql(f"ALTER TABLE {before} RENAME TO {after}")

    await rename("provider_object", "elsewhere")
    ledger.note(Made("openai", "file-2", "one", 1.0))
    await ledger.settle()
    with pytest.raises(Unavailable):
        await ledger.owners(["file-1"])
    await rename("elsewhere", "provider_object")
    await ledger.settle()
    assert set(await ledger.owners(["file-1", "file-2"])) == {"file-1", "file-2"}, "what could not be written waited"
