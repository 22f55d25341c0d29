"""Migrations: what they make is what the tables say, and a failed one loses no log."""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateIndex, CreateTable

from helicone_gw.database import Database, MigrationError
from helicone_gw.exchange import Exchange
from helicone_gw_logging import get_request
from helicone_gw_logging.insert import prepare, take_numbers, write
from helicone_gw_logging.plugin import VERSIONS
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sessions import Sessions, names
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.record import record
from helicone_gw_logging.session_hours import noted_hours
from helicone_gw_logging.session_notes import note_hours
from helicone_gw_logging.spreading import note_spreads
from helicone_gw_logging.tables import METADATA
from tests.plugins.logging import sums
from tests.plugins.logging.asking import START, log_all
from tests.plugins.logging.test_naming import AT, DAY, HOUR, plainly
from tests.plugins.logging.test_session_hours import some as some_sessions

NEWEST = max(path.name[:4] for path in VERSIONS.glob("0*.py"))
BROKEN = f"""
from alembic import op

revision = "9999"
down_revision = "{NEWEST}"

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
        CreateTable(table).compile(dialect=dialect)
        for index in table.indexes:
            assert len(index.name or "") <= 63
            CreateIndex(index).compile(dialect=dialect)


async def test_a_failed_migration_loses_no_log(
    database: Database, exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    rows = prepare(record(exchange(user="u-1", headers={"Helicone-Property-App": "shop"})), (), 1000)
    await write(database, [rows])
    versions = tmp_path / "versions"
    shutil.copytree(VERSIONS, versions)
    (versions / "9999_broken.py").write_text(BROKEN)
    with pytest.raises(MigrationError, match=r"migration 9999 of 'logging'"):
        await database.migrate("logging", versions)
    async with database.connect() as connection:
        for table, expected in (("request", 1), ("request_attempt", 1), ("request_property", 1), ("request_body", 1)):
            assert await connection.scalar(text(f"SELECT count(*) FROM {table}")) == expected
        assert await connection.scalar(text("SELECT user_id FROM request")) == "u-1"
        assert await connection.scalar(text("SELECT version_num FROM alembic_version_logging")) == NEWEST


@pytest.fixture(params=["sqlite", "postgres"])
async def old(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of the first version with one request, on SQLite and on Postgres."""
    url = f"sqlite:///{tmp_path}/old.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    database = Database(url)
    versions = tmp_path / "first"
    versions.mkdir()
    shutil.copy(VERSIONS / "0001_request.py", versions)
    await database.migrate("logging", versions)
    await fill(database)
    yield database
    await database.close()


async def test_a_log_of_the_first_version_is_kept(old: Database) -> None:
    await old.migrate("logging", VERSIONS)
    await check(old)


async def test_a_migration_that_fails_leaves_the_first_version_as_it_was(old: Database, tmp_path: Path) -> None:
    versions = tmp_path / "versions"
    shutil.copytree(VERSIONS, versions)
    (versions / "9999_broken.py").write_text(BROKEN)
    with pytest.raises(MigrationError, match=r"migration 9999 of 'logging'"):
        await old.migrate("logging", versions)
    async with old.connect() as connection:
        row = (await connection.execute(text("SELECT row_id, key FROM request_property"))).one()
        assert tuple(row) == ("one", "App")
        assert await connection.scalar(text("SELECT version_num FROM alembic_version_logging")) == "0001"
    await old.migrate("logging", VERSIONS)
    await check(old)


async def test_the_schema_on_postgres_is_that_of_the_tables(postgres_url: str) -> None:
    database = Database(postgres_url)
    await database.migrate("logging", VERSIONS)

    def differences(connection: Connection) -> Any:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        return compare_metadata(context, METADATA)

    def ours(thing: Any, name: str | None, type_: str, reflected: bool, compare_to: object) -> bool:
        # What a month's tables and the indexes over blocks are for, is known to Postgres alone.
        if type_ == "table":
            return not str(name).startswith("alembic_version") and not str(name).endswith("_default")
        return not (
            type_ == "index"
            and reflected
            and [each.name for each in thing.columns] == ["received_at"]
            and name != "ix_request_body_received_at"
        )

    async with database.connect() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


OLD = """
    INSERT INTO request (seq, id, organization_id, request_id, received_at, dialect, operation, method, path, stream,
        status, outcome, attempt_count, cache_status, cost_nano_usd, annotations)
    VALUES (7, 'one', 'acme', 'theirs', 7200001, 'openai', 'chat', 'POST', '/v1', true,
        200, 'ok', 1, 'miss', 12, '{"a": 1}');
    INSERT INTO request_attempt (row_id, number, organization_id, provider, status, started_at, cost_nano_usd)
    VALUES ('one', 1, 'acme', 'openai', 200, 7200002, 12);
    INSERT INTO request_property (row_id, key_lower, organization_id, key, value, value_start, received_at)
    VALUES ('one', 'app', 'acme', 'App', 'shop', 'shop', 7200001);
    INSERT INTO request_body (row_id, organization_id, request_state, response_state)
    VALUES ('one', 'acme', 'omitted', 'whole')
"""


async def fill(database: Database) -> None:
    """One request and what is beside it, as version one kept them."""
    async with database.begin() as connection:
        for statement in OLD.split(";"):
            await connection.exec_driver_sql(statement)


async def check(database: Database) -> None:
    """What `fill` wrote is in the tables of today."""
    detail = await get_request(database, "one", "acme")
    assert detail is not None
    row = detail.request.row
    assert (row.seq, row.hour, row.source, row.cache_enabled, row.usage_estimated) == (7, 2, "gateway", True, False)
    assert (row.annotations, row.cost_nano_usd, row.prompt_tokens) == ({"a": 1}, 12, None)
    assert dict(detail.request.properties) == {"App": "shop"}
    assert [(each.seq, each.received_at, each.cost_nano_usd) for each in detail.attempts] == [(7, 7_200_001, 12)]
    assert detail.response_body is not None
    assert detail.response_body.state == "whole"
    async with database.begin() as connection:
        assert await connection.run_sync(take_numbers, 2) == 8
        assert await connection.run_sync(take_numbers, 1) == 10


async def test_requests_of_an_older_version_are_summed_up_by_key_and_by_day(
    any_database: Database, exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    await write(any_database, [prepare(record(one), (), 1000) for one in sums.many(exchange, 60)])
    versions = tmp_path / "versions"
    versions.mkdir()
    for path in VERSIONS.glob("000[1-4]*.py"):
        shutil.copy(path, versions)
    days = (VERSIONS / "0007_days.py").read_text().replace('down_revision = "0006"', 'down_revision = "0004"')
    (versions / "0007_days.py").write_text(days)
    async with any_database.begin() as connection:
        for table in ("rollup_dimension_hour", "rollup_dimension_day"):
            await connection.execute(text(f"DELETE FROM {table} WHERE dimension = 'key'"))
        await connection.execute(text("DROP TABLE rollup_day"))
        await connection.execute(text("UPDATE alembic_version_logging SET version_num = '0003'"))
    await any_database.migrate("logging", versions)
    await sums.check(any_database)


async def undo_newer(connection: AsyncConnection) -> None:
    """Leave the tables as the version before that revision had them."""
    for table in ("rollup_dimension_hour", "rollup_dimension_day"):
        await connection.execute(text(f"DELETE FROM {table} WHERE dimension = 'all'"))
    newer = (
        "histogram_packed",
        "session_name_day",
        "user_number",
        "user_presence",
        "text_zone",
        "session_spread",
        "number_zone",
        "session_hour",
        "session_change",
    )
    for table in newer:
        await connection.execute(text(f"DROP TABLE {table}"))
    most = "most_total_tokens", "most_latency", "most_cost_nano_usd"
    of_request = "organization_id_seq", "organization_id_cache_status_received_at", *most
    for index in ("session_summary_name", *(f"request_{name}" for name in of_request)):
        await connection.execute(text(f"DROP INDEX ix_{index}"))


async def test_failures_of_an_older_version_are_summed_up_by_their_error(
    any_database: Database, exchange: Callable[..., Exchange]
) -> None:
    await write(any_database, [prepare(record(one), (), 1000) for one in sums.many(exchange, 60)])
    async with any_database.begin() as connection:
        for table in ("rollup_dimension_hour", "rollup_dimension_day"):
            await connection.execute(text(f"DELETE FROM {table} WHERE dimension = 'error'"))
        await connection.execute(text("DROP INDEX ix_request_organization_id_error_code_received_at"))
        await undo_newer(connection)
        await connection.execute(text("UPDATE alembic_version_logging SET version_num = '0007'"))
    await any_database.migrate("logging", VERSIONS)
    await sums.check(any_database)


async def test_unknown_costs_of_names_of_an_older_version_are_counted(
    any_database: Database, exchange: Callable[..., Exchange]
) -> None:
    dice = random.Random(8)
    await log_all(any_database, some_sessions(exchange, dice, (0, 40)))
    for work in (note_hours, note_spreads):
        async for _ in work(any_database, START + 60 * 3600):
            pass
    await log_all(any_database, some_sessions(exchange, dice, (0, 40), 5))
    async with any_database.begin() as connection:
        for table in ("session_name_day", "session_hour", "session_spread"):
            await connection.execute(text(f"ALTER TABLE {table} DROP COLUMN unknown_costs"))
        for name, columns in (("last_at", "last_at"), ("name", "session_name, last_at")):
            await connection.execute(text(f"DROP INDEX ix_session_summary_{name}"))
            on = f"session_summary (organization_id, {columns})"
            await connection.execute(text(f"CREATE INDEX ix_session_summary_{name} ON {on}"))
        await connection.execute(text("UPDATE alembic_version_logging SET version_num = '0013'"))
    await any_database.migrate("logging", VERSIONS)
    await sums.check(any_database)
    for noted in (False, True):
        for span in (Span(AT, AT + 2 * DAY), Span(AT + 3 * HOUR, AT + 30 * HOUR)):
            async with any_database.connect() as connection:
                found = await names(connection, Sessions(Scope(), span), "", 50)
            told = [{**row, "avg_latency": row["avg_latency"] and float(row["avg_latency"])} for row in found]
            assert told == await plainly(any_database, span, ""), (span, noted)
            assert any(row["unknown_costs"] for row in told)
        assert await notes(any_database) == ([] if not noted else [*range(AT // HOUR, AT // HOUR + 48)])
        # They are noted anew, as what the version before never noted is.
        async for _ in note_hours(any_database, START + 60 * 3600):
            pass


async def notes(database: Database) -> list[int]:
    """The hours of which is noted what their sessions come to."""
    async with database.connect() as connection:
        return sorted(await noted_hours(connection, "default", [AT // DAY, AT // DAY + 1]))
