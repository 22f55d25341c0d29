"""The migrations of people's tables lead to the very tables that the code uses."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from helicone_gw import Database
from helicone_gw_security import identity_tables
from helicone_gw_security.identity_tables import BRANCH, IDENTITY_VERSIONS

TABLES = [
    identity_tables.ORGANIZATION,
    identity_tables.USER,
    identity_tables.SESSION,
    identity_tables.LOGIN_STATE,
    identity_tables.AUDIT,
]


async def test_the_migrated_tables_are_those_in_the_code(database: Database) -> None:
    await database.migrate(BRANCH, IDENTITY_VERSIONS)
    metadata = MetaData()
    for table in TABLES:
        table.to_metadata(metadata)
    names = {table.name for table in TABLES}

    def differences(connection: Connection) -> list[object]:
        def ours(thing: object, name: str | None, kind: str, *_: object) -> bool:
            return kind != "table" or name in names

        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "include_object": ours}
        )
        return list(compare_metadata(context, metadata))

    async with database.connect() as connection:
        assert await connection.run_sync(differences) == []
    await database.migrate(BRANCH, IDENTITY_VERSIONS)


def test_every_row_says_whose_it_is() -> None:
    for table in TABLES:
        assert "organization_id" in table.c
