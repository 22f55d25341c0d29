"""An organisation keeps somebody who can log in and administer it, however one would be without."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helicone_gw import Database
from helicone_gw.testing import GatewayFactory
from helicone_gw_security.identity_tables import BRANCH, IDENTITY_VERSIONS
from helicone_gw_security.plugin import VERSIONS
from helicone_gw_security.users import LastAdmin, User, UserTable
from tests.plugins.security.people import HASH, KEYS, security

ROOT = {"authorization": "Bearer hk-root-secret"}


@pytest.fixture
async def users(database: Database) -> UserTable:
    await database.migrate(BRANCH, IDENTITY_VERSIONS)
    return UserTable(database)


async def admin(users: UserTable, name: str, **more: Any) -> User:
    values = {"password_hash": HASH, "role": "admin", **more}
    return await users.add(f"{name}@example.com", now=1.0, **values)


async def test_the_last_one_keeps_role_and_existence(users: UserTable) -> None:
    ann = await admin(users, "ann")
    await admin(users, "mia", role="member")
    await admin(users, "ida", password_hash=None)
    await admin(users, "otto", organization="other")
    for change in (users.change(ann.id, role="member"), users.remove(ann.id, now=2.0)):
        with pytest.raises(LastAdmin, match="make somebody else one first"):
            await change
    assert (await users.change(ann.id, name="Anna")) is not None, "everything else may change"
    bob = await admin(users, "bob")
    assert (await users.change(ann.id, role="member")) is not None
    with pytest.raises(LastAdmin):
        await users.change(bob.id, "default", role="viewer")


async def test_one_of_the_configuration_is_one(database: Database, users: UserTable) -> None:
    ann = await admin(users, "ann")
    configured = User("config:default:root", "default", "root@example.com", "", "admin", HASH, stored=False)
    assert (await UserTable(database, [configured]).change(ann.id, role="viewer")) is not None


async def test_who_cannot_log_in_is_no_loss(users: UserTable) -> None:
    ida = await admin(users, "ida", password_hash=None)
    assert (await users.remove(ida.id, now=2.0)) is not None


async def two_at_once(users: UserTable) -> None:
    ann, bob = await admin(users, "ann"), await admin(users, "bob")
    changes = [users.change(ann.id, role="member"), users.remove(bob.id, now=2.0)]
    done = await asyncio.gather(*changes, return_exceptions=True)
    assert [isinstance(each, LastAdmin) for each in done].count(True) == 1
    assert sum(user.administers for user in await users.all()) == 1


async def test_two_at_once_leave_one(users: UserTable) -> None:
    await two_at_once(users)


async def test_two_at_once_leave_one_on_postgres(postgres_url: str) -> None:
    database = Database(postgres_url)
    try:
        for branch, versions in (("security", VERSIONS), (BRANCH, IDENTITY_VERSIONS)):
            await database.migrate(branch, versions)
        await two_at_once(UserTable(database))
    finally:
        await database.close()


async def test_over_rest_it_is_a_conflict_that_says_what_to_do(gateway: GatewayFactory) -> None:
    async with gateway([security(keys=KEYS)]) as running:

        async def ask(method: str, path: str, body: Any = None) -> Any:
            return await running.request(method, path, json=body, headers=ROOT)

        new = {"email": "ann@example.com", "role": "admin", "password": "long enough for that"}
        which = (await ask("POST", "/v1/admin/users", new)).json()["data"]["user"]["id"]
        for method, path, body in (
            ("PATCH", f"/v1/admin/users/{which}", {"role": "member"}),
            ("DELETE", f"/v1/admin/users/{which}", None),
            ("POST", "/v1/organization/default/update_member", {"memberId": which, "role": "viewer"}),
            ("DELETE", f"/v1/organization/default/remove_member?memberId={which}", None),
        ):
            refused = await ask(method, path, body)
            assert (refused.status, refused.json()["code"]) == (409, "last_admin")
            assert "make somebody else one first" in refused.json()["error"]
        assert (await ask("POST", "/v1/admin/users", {**new, "email": "bob@example.com"})).status == 201
        assert (await ask("PATCH", f"/v1/admin/users/{which}", {"role": "member"})).status == 200
