"""Migrations: what they make is what the tables say, and a failed one loses no log."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from helicone_gw.database import Database, MigrationError
from helicone_gw.exchange import Exchange
from helicone_gw_logging.insert import prepare, write
from helicone_gw_logging.plugin import VERSIONS
from helicone_gw_logging.record import record
from helicone_gw_logging.tables import METADATA

BROKEN = """
from alembic import op

revision = "9999"
down_revision = "0001"

def upgrade():
    with op.batch_alter_table("request", recreate="always") as request:
        request.drop_column("user_id")
    op.execute("DELETE FROM request_body")
    op.execute("this is not SQL")
"""


async def test_the_migrated_schema_is_that_of_the_tables(database: Database) -> None:
    def differences(connection: Connection) -> Any:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        return compare_metadata(context, METADATA)

    def ours(thing: object, name: str | None, type_: str, reflected: bool, compare_to: object) -> bool:
        return not (type_ == "table" and str(name).startswith("alembic_version"))

    async with database.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_every_table_carries_the_organization() -> None:
    assert all("organization_id" in table.columns for table in METADATA.tables.values())


def test_the_tables_are_valid_for_postgres() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in METADATA.sorted_tables:
        sql = str(CreateTable(table).compile(dialect=dialect))
        assert "ON DELETE CASCADE" in sql or table.name == "request"
        for index in table.indexes:
            assert len(index.name or "") <= 63
            CreateIndex(index).compile(dialect=dialect)


async def test_a_failed_migration_loses_no_log(
    database: Database, exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    rows = prepare(record(exchange(user="u-1", headers={"Helicone-Property-App": "shop"})), (), 1000)
    await write(database, [rows], again=False)
    versions = tmp_path / "versions"
    shutil.copytree(VERSIONS, versions)
    (versions / "9999_broken.py").write_text(BROKEN)
    with pytest.raises(MigrationError, match=r"migration 9999 of 'logging'"):
        await database.migrate("logging", versions)
    async with database.connect() as connection:
        for table, expected in (("request", 1), ("request_attempt", 1), ("request_property", 1), ("request_body", 1)):
            assert await connection.scalar(text(f"SELECT count(*) FROM {table}")) == expected
        assert await connection.scalar(text("SELECT user_id FROM request")) == "u-1"
        assert await connection.scalar(text("SELECT version_num FROM alembic_version_logging")) == "0001"


async def test_deleting_a_request_deletes_what_is_beside_it(
    database: Database, exchange: Callable[..., Exchange]
) -> None:
    rows = prepare(record(exchange(headers={"Helicone-Property-App": "shop"})), (), 1000)
    await write(database, [rows], again=False)
    async with database.begin() as connection:
        await connection.execute(text("DELETE FROM request"))
    async with database.connect() as connection:
        for table in ("request_attempt", "request_property", "request_body"):
            assert await connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0
