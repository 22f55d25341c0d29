"""The migrations lead to the very table that the code uses."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect

from helicone_gw import Database
from helicone_gw_security.plugin import VERSIONS
from helicone_gw_security.tables import GATEWAY_KEY, PROVIDER_KEY, PROVIDER_OBJECT


async def test_the_migrated_table_is_the_one_in_the_code(database: Database) -> None:
    metadata = MetaData()
    GATEWAY_KEY.to_metadata(metadata)
    PROVIDER_KEY.to_metadata(metadata)
    PROVIDER_OBJECT.to_metadata(metadata)

    def differences(connection: Connection) -> list[object]:
        def ours(thing: object, name: str | None, kind: str, *_: object) -> bool:
            return kind != "table" or name in ("gateway_key", "provider_key", "provider_object")

        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "include_object": ours}
        )
        return list(compare_metadata(context, metadata))

    async with database.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_name_is_taken_only_while_its_key_is_not_revoked(database: Database) -> None:
    async with database.connect() as connection:
        indexes = await connection.run_sync(lambda sync: inspect(sync).get_indexes("gateway_key"))
    (names,) = [index for index in indexes if index["name"] == "uq_gateway_key_organization_id_name"]
    assert names["unique"]
    assert "revoked_at IS NULL" in str(names["dialect_options"]["sqlite_where"])


async def test_migrating_twice_changes_nothing(database: Database) -> None:
    await database.migrate("security", VERSIONS)
