"""Baselines: a script that makes of an empty SQLite database what the revisions of a branch make of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from helicone_gw import registry
from helicone_gw.baseline import baseline_file, read_baseline
from helicone_gw.commands.baselines import compile_baseline
from helicone_gw.database import Database, MigrationError

BRANCHES = {
    branch: versions
    for name in sorted(registry.installed())
    for branch, versions in registry.load(name).migrations.items()
}
FIRST = """
from alembic import op

revision = "0001"
down_revision = None

def upgrade():
    op.execute("CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT, key BLOB)")
    op.execute("CREATE INDEX ix_author_name ON author (name)")
    op.execute("INSERT INTO author VALUES (1, 'it''s; Le Guin', randomblob(24))")
"""


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """A branch of one revision."""
    folder = tmp_path / "migrations" / "versions"
    folder.mkdir(parents=True)
    (folder / "0001_author.py").write_text(FIRST)
    return folder


async def compiled(versions: Path) -> None:
    baseline_file(versions).write_text(await compile_baseline("library", versions))


async def contents(database: Database) -> tuple[list[Any], dict[str, list[Any]]]:
    async with database.connect() as connection:
        found = await connection.exec_driver_sql(
            "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
        )
        objects = [tuple(row) for row in found]
        rows = {
            name: [tuple(row) for row in await connection.exec_driver_sql(f'SELECT * FROM "{name}"')]
            for kind, name, _, _ in objects
            if kind == "table"
        }
    return objects, rows


async def key(database: Database) -> bytes:
    return bytes((await contents(database))[1]["author"][0][2])


@pytest.mark.parametrize("branch", BRANCHES)
async def test_every_plugin_has_one_of_its_newest_revisions(branch: str) -> None:
    versions = BRANCHES[branch]
    assert read_baseline(branch, versions) is not None, "run: make tables"
    assert baseline_file(versions).read_text() == await compile_baseline(branch, versions), "run: make tables"


@pytest.mark.parametrize("url", ["sqlite:///{}/made.db", "sqlite://"])
async def test_it_makes_what_the_revisions_make(url: str, tmp_path: Path) -> None:
    by_baseline, by_revisions = Database(url.format(tmp_path)), Database(f"sqlite:///{tmp_path}/other.db")
    versions = BRANCHES["logging"]
    await by_baseline.migrate("logging", versions)
    await by_revisions.migrate("logging", copytree(versions, tmp_path / "alone" / "versions"))
    assert await contents(by_baseline) == await contents(by_revisions)
    await by_baseline.close()
    await by_revisions.close()


async def test_what_a_revision_draws_at_random_is_drawn_for_each_database(versions: Path, tmp_path: Path) -> None:
    await compiled(versions)
    databases = [Database(f"sqlite:///{tmp_path}/{number}.db") for number in range(2)]
    for database in databases:
        await database.migrate("library", versions)
    one, other = [await key(database) for database in databases]
    assert len(one) == len(other) == 24
    assert one != other
    for database in databases:
        assert one.hex().upper() not in baseline_file(versions).read_text()
        await database.close()


async def test_it_is_run_in_place_of_the_revisions(versions: Path) -> None:
    await compiled(versions)
    text = baseline_file(versions).read_text()
    baseline_file(versions).write_text(text.replace("Le Guin", "Lem"))
    database = Database("sqlite://")
    await database.migrate("library", versions)
    await database.migrate("library", versions)
    assert [row[1] for row in (await contents(database))[1]["author"]] == ["it's; Lem"]
    await database.close()


@pytest.mark.parametrize("damage", ["edited", "added", "cut", "of another branch"])
async def test_one_of_other_revisions_is_not_believed(versions: Path, damage: str) -> None:
    await compiled(versions)
    file = baseline_file(versions)
    if damage == "edited":
        (versions / "0001_author.py").write_text(FIRST + "\n")
    elif damage == "added":
        (versions / "0002_more.py").write_text("")
    elif damage == "cut":
        file.write_text(file.read_text(encoding="utf-8")[:-5])
    assert read_baseline("shop" if damage == "of another branch" else "library", versions) is None


async def test_tables_that_are_there_already_stay_as_they_are(versions: Path, tmp_path: Path) -> None:
    await compiled(versions)
    with sqlite3.connect(tmp_path / "kept.db") as kept:
        kept.execute("CREATE TABLE author (mine)")
    kept.close()
    database = Database(f"sqlite:///{tmp_path}/kept.db")
    before = await contents(database)
    with pytest.raises(MigrationError, match=r"0001.*table author already exists"):
        await database.migrate("library", versions)
    assert await contents(database) == before
    await database.close()


async def test_what_is_another_one_each_time_is_not_compiled(versions: Path) -> None:
    (versions / "0001_author.py").write_text(FIRST.replace("'it''s; Le Guin'", "hex(randomblob(8))"))
    with pytest.raises(ValueError, match="a value in 'author' is another one each time"):
        await compile_baseline("library", versions)
