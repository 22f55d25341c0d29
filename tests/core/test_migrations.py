"""How far tables are, as told by the files of revisions and the database, without Alembic."""

from __future__ import annotations

from pathlib import Path

import pytest

from helicone_gw.database import Database
from helicone_gw.migrations import newest_revision, reached_revision

ROOT = Path(__file__).parents[2]
BRANCHES = sorted({file.parent for file in ROOT.glob("plugins/*/helicone_gw_*/**/versions/*.py")})


def written(directory: Path, *revisions: tuple[str, str | None]) -> Path:
    for number, (revision, before) in enumerate(revisions):
        (directory / f"{number:04}.py").write_text(f'revision = "{revision}"\ndown_revision = {before!r}\n')
    return directory


def test_the_newest_is_the_one_that_none_comes_after(tmp_path: Path) -> None:
    assert newest_revision(written(tmp_path, ("c", "b"), ("a", None), ("b", "a"))) == "c"
    assert newest_revision(tmp_path / "nowhere") is None


@pytest.mark.parametrize("directory", BRANCHES, ids=lambda path: path.parts[-3])
def test_every_plugins_newest_is_alembics(directory: Path) -> None:
    from helicone_gw.revisions import Revisions

    newest = newest_revision(directory)
    assert newest is not None
    assert {newest} == Revisions("any", directory).heads


@pytest.mark.parametrize(
    "odd",
    [
        'revision = "b"\ndown_revision = ("a", "z")\n',
        'revision = "b"\n',
        'revision: str = name()\ndown_revision = "a"\n',
        'revision = "a"\ndown_revision = None\n',
        'revision = "b"\ndown_revision = "gone"\n',
        'revision = "b"\ndown_revision = None\n',
    ],
    ids=["merge", "says half", "program", "twice", "gap", "two lines"],
)
def test_what_it_cannot_be_sure_of_is_left_to_alembic(odd: str, tmp_path: Path) -> None:
    written(tmp_path, ("a", None))
    (tmp_path / "odd.py").write_text(odd)
    assert newest_revision(tmp_path) is None


async def test_what_a_database_has_reached(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/a.db")
    try:
        async with database.begin() as connection:
            assert await connection.run_sync(reached_revision, "one") is None
            await connection.exec_driver_sql("CREATE TABLE alembic_version_one (version_num TEXT)")
            assert await connection.run_sync(reached_revision, "one") is None
            await connection.exec_driver_sql("INSERT INTO alembic_version_one VALUES ('a')")
            assert await connection.run_sync(reached_revision, "one") == "a"
            assert await connection.run_sync(reached_revision, "other") is None
            await connection.exec_driver_sql("INSERT INTO alembic_version_one VALUES ('b')")
            assert await connection.run_sync(reached_revision, "one") is None, "several: Alembic's business"
    finally:
        await database.close()
