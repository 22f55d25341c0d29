"""Database: URLs, transactions, migrations that happen wholly or not at all, several processes on one file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from helicone_gw.database import Database, MigrationError, is_locked
from helicone_gw.errors import ConfigError
from tests.fixtures.processes import PROCESSES

FIRST = """
from alembic import op
import sqlalchemy as sa

revision = "0001"
down_revision = None

def upgrade():
    op.create_table("author", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
    op.create_table(
        "book",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("author_id", sa.Integer, sa.ForeignKey("author.id", ondelete="CASCADE")),
    )
"""

REBUILD = """
from alembic import op
import sqlalchemy as sa

revision = "0002"
down_revision = "0001"

def upgrade():
    with op.batch_alter_table("author", recreate="always") as author:
        author.add_column(sa.Column("born", sa.Integer))
"""

BROKEN = """
from alembic import op
import sqlalchemy as sa

revision = "0003"
down_revision = "0002"

def upgrade():
    op.create_table("half_done", sa.Column("id", sa.Integer))
    op.execute("DELETE FROM author")
    op.execute("UPDATE no_such_table SET a = 1")
"""

ORPHANS = """
from alembic import op

revision = "0002"
down_revision = "0001"

def upgrade():
    op.execute("DELETE FROM author")
"""


def revisions(directory: Path, *sources: str) -> Path:
    versions = directory / "versions"
    versions.mkdir(exist_ok=True)
    for number, source in enumerate(sources, start=1):
        (versions / f"{number:04}_step.py").write_text(source)
    return versions


async def rows(database: Database, sql: str) -> list[tuple[object, ...]]:
    async with database.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(sql))]


async def write(database: Database, *statements: str, **values: object) -> None:
    async with database.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement), values)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/gateway.db")
    yield database
    await database.close()


class TestUrl:
    async def test_relative_absolute_and_memory_paths(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for url in ("sqlite:///relative.db", f"sqlite:///{tmp_path}/absolute.db", "sqlite://"):
            database = Database(url)
            await write(database, "CREATE TABLE here (id INTEGER)")
            assert await rows(database, "SELECT * FROM here") == []
            await database.close()
        assert {name for name in os.listdir(tmp_path) if name.endswith(".db")} == {"relative.db", "absolute.db"}

    async def test_never_shows_a_password(self) -> None:
        database = Database("postgresql://gateway:hunter2@db.example/logs?sslpassword=hunter2&ssl=require")
        assert "hunter2" not in database.url
        assert database.url.startswith("postgresql+asyncpg://gateway:***@db.example/logs")
        assert "ssl=require" in database.url
        await database.close()

    @pytest.mark.parametrize(
        "url",
        ["hunter2", "mysql://a:hunter2@b/c", "postgresql+psycopg://a:hunter2@b/c", "sqlite+pysqlcipher://:hunter2@"],
    )
    def test_anything_else_is_a_configuration_error_without_the_password(self, url: str) -> None:
        with pytest.raises(ConfigError) as caught:
            Database(url)
        assert "database.url" in str(caught.value)
        assert "a:hunter2" not in str(caught.value)

    @pytest.mark.parametrize(
        "form",
        ["{}/gateway.db", "file:{}/gateway.db?uri=true", "file:///{}/gateway%2Edb?uri=true&mode=rwc"],
    )
    async def test_missing_tells_without_creating_the_file(self, tmp_path: Path, form: str) -> None:
        database = Database("sqlite:///" + form.format(str(tmp_path).lstrip("/") if "///" in form else tmp_path))
        assert database.missing
        assert os.listdir(tmp_path) == []
        await write(database, "CREATE TABLE here (id INTEGER)")
        assert not database.missing
        await database.close()


class TestTransactions:
    async def test_sqlite_runs_in_wal_with_foreign_keys(self, database: Database) -> None:
        assert await rows(database, "PRAGMA journal_mode") == [("wal",)]
        assert await rows(database, "PRAGMA synchronous") == [(1,)]
        assert await rows(database, "PRAGMA foreign_keys") == [(1,)]

    async def test_a_failed_block_leaves_nothing_not_even_a_table(self, database: Database) -> None:
        with pytest.raises(OperationalError, match="no_such_table"):
            await write(database, "CREATE TABLE here (id INTEGER)", "INSERT INTO no_such_table VALUES (1)")
        assert await rows(database, "SELECT name FROM sqlite_master") == []

    async def test_a_reader_sees_one_state_however_long_it_reads(self, database: Database) -> None:
        await write(database, "CREATE TABLE here (id INTEGER)")
        async with database.connect() as reader:
            assert (await reader.execute(text("SELECT count(*) FROM here"))).scalar() == 0
            await write(database, "INSERT INTO here VALUES (1)")
            assert (await reader.execute(text("SELECT count(*) FROM here"))).scalar() == 0
        assert await rows(database, "SELECT count(*) FROM here") == [(1,)]

    async def test_what_a_reader_writes_is_not_kept(self, database: Database) -> None:
        await write(database, "CREATE TABLE here (id INTEGER)")
        async with database.connect() as reader:
            await reader.execute(text("INSERT INTO here VALUES (1)"))
        assert await rows(database, "SELECT * FROM here") == []

    async def test_writers_take_turns(self, database: Database) -> None:
        await write(database, "CREATE TABLE counter (value INTEGER)")
        await write(database, "INSERT INTO counter VALUES (0)")

        async def add_one() -> None:
            async with database.begin() as connection:
                value = (await connection.execute(text("SELECT value FROM counter"))).scalar_one()
                await connection.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})

        await asyncio.gather(*(add_one() for _ in range(20)))
        assert await rows(database, "SELECT value FROM counter") == [(20,)]

    async def test_values_stay_out_of_error_messages(self, database: Database) -> None:
        await write(database, "CREATE TABLE here (id TEXT PRIMARY KEY)")
        with pytest.raises(IntegrityError) as caught:
            await write(database, *["INSERT INTO here VALUES (:key)"] * 2, key="sk-planted")
        assert "sk-planted" not in str(caught.value)

    async def test_a_locked_file_is_recognised(self, database: Database, tmp_path: Path) -> None:
        await write(database, "CREATE TABLE here (id INTEGER)")
        other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        async with database.connect() as connection:
            await connection.exec_driver_sql("PRAGMA busy_timeout=0")
            with pytest.raises(OperationalError) as caught:
                await connection.execute(text("INSERT INTO here VALUES (1)"))
        other.close()
        assert is_locked(caught.value)
        assert not is_locked(ValueError("locked"))

    async def test_a_file_that_somebody_keeps_for_himself_is_not_asked_for_for_ever(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("helicone_gw.sqlite._PATIENCE", 0.05)
        other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        database = Database(f"sqlite:///{tmp_path}/gateway.db", busy_timeout=0.01)
        with pytest.raises(OperationalError, match="locked"):
            async with database.connect():
                pass
        other.close()
        await database.close()


class TestMemory:
    async def test_everyone_sees_the_same_data_and_transactions_do_not_mix(self) -> None:
        database = Database("sqlite://")
        await write(database, "CREATE TABLE here (id INTEGER)")

        async def insert(number: int, fail: bool) -> None:
            async with database.begin() as connection:
                await connection.execute(text("INSERT INTO here VALUES (:number)"), {"number": number})
                await asyncio.sleep(0)
                if fail:
                    raise RuntimeError

        await asyncio.gather(*(insert(number, fail=number % 2 == 1) for number in range(10)), return_exceptions=True)
        assert await rows(database, "SELECT id FROM here ORDER BY id") == [(0,), (2,), (4,), (6,), (8,)]
        await database.close()

    async def test_survives_a_cancelled_user(self) -> None:
        database = Database("sqlite://")
        await write(database, "CREATE TABLE here (id INTEGER)")

        async def abandoned() -> None:
            async with database.begin() as connection:
                await connection.execute(text("INSERT INTO here VALUES (1)"))
                inside.set()
                while True:
                    await connection.execute(text("SELECT 1"))

        inside = asyncio.Event()
        task = asyncio.create_task(abandoned())
        await inside.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await rows(database, "SELECT * FROM here") == []
        await database.close()

    async def test_two_of_them_are_strangers(self) -> None:
        one, other = Database("sqlite://"), Database("sqlite://")
        await write(one, "CREATE TABLE here (id INTEGER)")
        assert await rows(other, "SELECT name FROM sqlite_master") == []
        await one.close()
        await other.close()
        await other.close()


class TestMigrations:
    async def test_run_once_and_remember_the_revision_per_branch(self, database: Database, tmp_path: Path) -> None:
        versions = revisions(tmp_path, FIRST, REBUILD)
        await database.migrate("library", versions)
        await database.migrate("library", versions)
        assert await rows(database, "SELECT version_num FROM alembic_version_library") == [("0002",)]
        assert await rows(database, "SELECT id, name, born FROM author") == []

    async def test_branches_do_not_know_each_other(self, database: Database, tmp_path: Path) -> None:
        (tmp_path / "one").mkdir()
        (tmp_path / "other").mkdir()
        await database.migrate("one", revisions(tmp_path / "one", FIRST))
        other = FIRST.replace('"author"', '"painter"').replace('"book"', '"picture"').replace("author.id", "painter.id")
        await database.migrate("other", revisions(tmp_path / "other", other))
        tables = {row[0] for row in await rows(database, "SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert tables == {"author", "book", "painter", "picture", "alembic_version_one", "alembic_version_other"}

    @pytest.mark.parametrize("url", ["sqlite:///{}/gateway.db", "sqlite://"])
    async def test_a_rebuilt_table_keeps_the_rows_that_refer_to_it(self, url: str, tmp_path: Path) -> None:
        database = Database(url.format(tmp_path))
        await database.migrate("library", revisions(tmp_path, FIRST))
        await write(database, "INSERT INTO author VALUES (1, 'Le Guin')")
        await write(database, "INSERT INTO book VALUES (1, 1)")
        await database.migrate("library", revisions(tmp_path, FIRST, REBUILD))
        assert await rows(database, "SELECT author_id FROM book") == [(1,)]
        assert await rows(database, "PRAGMA foreign_keys") == [(1,)]
        await database.close()

    @pytest.mark.parametrize("url", ["sqlite:///{}/gateway.db", "sqlite://"])
    async def test_a_failed_one_leaves_everything_as_it_was(self, url: str, tmp_path: Path) -> None:
        database = Database(url.format(tmp_path))
        await database.migrate("library", revisions(tmp_path, FIRST))
        await write(database, "INSERT INTO author VALUES (1, 'Le Guin')")
        before = await rows(database, "SELECT name, sql FROM sqlite_master ORDER BY name")
        with pytest.raises(MigrationError) as caught:
            await database.migrate("library", revisions(tmp_path, FIRST, REBUILD, BROKEN))
        assert (caught.value.branch, caught.value.revision) == ("library", "0003")
        assert "0003" in str(caught.value)
        assert "'library'" in str(caught.value)
        assert "no_such_table" in str(caught.value)
        assert await rows(database, "SELECT name, sql FROM sqlite_master ORDER BY name") == before
        assert await rows(database, "SELECT id, name FROM author") == [(1, "Le Guin")]
        assert await rows(database, "SELECT version_num FROM alembic_version_library") == [("0001",)]
        await database.migrate("library", revisions(tmp_path, FIRST, REBUILD, BROKEN.split("op.execute")[0]))
        assert await rows(database, "SELECT version_num FROM alembic_version_library") == [("0003",)]
        await database.close()

    async def test_one_that_leaves_orphans_is_undone(self, database: Database, tmp_path: Path) -> None:
        await database.migrate("library", revisions(tmp_path, FIRST))
        await write(database, "INSERT INTO author VALUES (1, 'Le Guin')")
        await write(database, "INSERT INTO book VALUES (1, 1)")
        with pytest.raises(MigrationError, match=r"0002.*rows that refer to nothing in book"):
            await database.migrate("library", revisions(tmp_path, FIRST, ORPHANS))
        assert await rows(database, "SELECT count(*) FROM author") == [(1,)]

    async def test_a_database_from_a_newer_version_is_refused(self, database: Database, tmp_path: Path) -> None:
        (tmp_path / "new").mkdir()
        (tmp_path / "old").mkdir()
        await database.migrate("library", revisions(tmp_path / "new", FIRST, REBUILD))
        with pytest.raises(MigrationError, match="newer version") as caught:
            await database.migrate("library", revisions(tmp_path / "old", FIRST))
        assert caught.value.revision == "0002"

    async def test_unreadable_revisions_name_their_branch(self, database: Database, tmp_path: Path) -> None:
        with pytest.raises(MigrationError, match=r"'library'.*no such directory"):
            await database.migrate("library", tmp_path / "nowhere")
        with pytest.raises(MigrationError, match=r"'library'.*SyntaxError"):
            await database.migrate("library", revisions(tmp_path, "def ("))

    async def test_a_path_that_cannot_be_opened_is_named(self, tmp_path: Path) -> None:
        database = Database(f"sqlite:///{tmp_path}/no/such/directory.db")
        with pytest.raises(MigrationError, match=r"no/such/directory\.db"):
            await database.migrate("library", revisions(tmp_path, FIRST))
        await database.close()

    @pytest.mark.parametrize("branch", ["", "Library", "a; DROP TABLE author", "a-b"])
    async def test_a_branch_is_a_plain_word(self, branch: str, database: Database, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="branch name"):
            await database.migrate(branch, revisions(tmp_path, FIRST))

    async def test_different_databases_at_once(self, tmp_path: Path) -> None:
        versions = revisions(tmp_path, FIRST, REBUILD)
        databases = [Database("sqlite://") for _ in range(5)]
        await asyncio.gather(*(database.migrate("library", versions) for database in databases))
        for database in databases:
            assert await rows(database, "SELECT born FROM author") == []
            await database.close()

    async def test_two_at_once_in_one_process(self, database: Database, tmp_path: Path) -> None:
        versions = revisions(tmp_path, FIRST, REBUILD)
        second = Database(f"sqlite:///{tmp_path}/gateway.db")
        await asyncio.gather(database.migrate("library", versions), second.migrate("library", versions))
        assert await rows(second, "SELECT version_num FROM alembic_version_library") == [("0002",)]
        await second.close()


def start_and_write(path: str, versions: str, name: str) -> None:
    """One process of several that start at the same time on an empty file."""

    async def run() -> None:
        database = Database(f"sqlite:///{path}")
        await database.migrate("library", Path(versions))
        for _ in range(20):
            async with database.begin() as connection:
                await connection.execute(text("INSERT INTO author (name) VALUES (:name)"), {"name": name})
        await database.close()

    asyncio.run(run())


async def test_several_processes_start_at_once_on_an_empty_file(database: Database, tmp_path: Path) -> None:
    versions = revisions(tmp_path, FIRST, REBUILD)
    processes = [
        PROCESSES.Process(
            target=start_and_write, args=(str(tmp_path / "gateway.db"), str(versions), f"process {number}")
        )
        for number in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert await rows(database, "SELECT count(*), count(DISTINCT name) FROM author") == [(80, 4)]
