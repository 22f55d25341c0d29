"""Keys in the database, and the cache before it."""

import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from helicone_gw import Database, GatewayKey, Permits
from helicone_gw.testing import VirtualClock
from helicone_gw_security.cached import STALE_AFTER, CachedKeys
from helicone_gw_security.keys import StoredKey, digest
from helicone_gw_security.store import KeyTable, NameTaken, state
from helicone_gw_security.tables import GATEWAY_KEY


async def test_a_key_is_found_by_the_hash_of_its_secret(table: KeyTable) -> None:
    permits = Permits(models=("gpt-4*",), paths=("/v1/chat/*",))
    secret, row = await table.create(
        "ci", now=1000, owner="team-a", organization="acme", permits=permits, expires_at=2000
    )
    found = await table.find(digest(secret))
    assert found is not None
    assert found.key == GatewayKey(id=row.id, name="ci", owner="team-a", organization="acme", permits=permits)
    assert (found.expires_at, found.revoked_at) == (2000, None)
    assert await table.find(digest("other")) is None


async def test_left_out_is_null_and_permits_everything(table: KeyTable, database: Database) -> None:
    secret, _ = await table.create("ci", now=1000)
    found = await table.find(digest(secret))
    assert found is not None
    assert found.key.owner == "ci"
    assert found.key.permits == Permits()
    async with database.connect() as connection:
        query = select(GATEWAY_KEY.c.id).where(GATEWAY_KEY.c.models.is_(None), GATEWAY_KEY.c.expires_at.is_(None))
        assert (await connection.execute(query)).first() is not None


async def test_the_secret_is_not_in_the_database(table: KeyTable, database: Database) -> None:
    secret, row = await table.create("ci", now=1000)
    async with database.connect() as connection:
        rows = (await connection.execute(select(GATEWAY_KEY))).all()
    assert secret not in str(rows)
    assert row.prefix in secret
    assert len(row.prefix) < 20


async def test_a_name_is_unique_among_the_keys_of_an_organisation_that_are_not_revoked(table: KeyTable) -> None:
    _, first = await table.create("ci", now=1000)
    with pytest.raises(NameTaken):
        await table.create("ci", now=1000)
    await table.create("ci", now=1000, organization="acme")
    await table.revoke(first.id, now=1001)
    await table.create("ci", now=1002)


async def test_revoking_by_name_or_id(table: KeyTable) -> None:
    secret, row = await table.create("one", now=1000)
    other, other_row = await table.create("two", now=1000)
    assert [revoked.name for revoked in await table.revoke("one", now=1001)] == ["one"]
    assert [revoked.id for revoked in await table.revoke(other_row.id, now=1002)] == [other_row.id]
    assert (await table.find(digest(secret))).revoked_at == 1001  # type: ignore[union-attr]
    assert (await table.find(digest(other))).revoked_at == 1002  # type: ignore[union-attr]
    assert await table.revoke("one", now=1003) == []
    assert (await table.find(digest(secret))).revoked_at == 1001  # type: ignore[union-attr]
    assert await table.revoke("nothing", now=1003) == []
    assert row.id != other_row.id


async def test_an_ambiguous_name_revokes_nothing(table: KeyTable) -> None:
    secret, _ = await table.create("ci", now=1000)
    await table.create("ci", now=1000, organization="acme")
    assert len(await table.revoke("ci", now=1001)) == 2
    assert (await table.find(digest(secret))).revoked_at is None  # type: ignore[union-attr]


async def test_an_id_wins_over_a_key_that_is_named_like_it(table: KeyTable) -> None:
    _, row = await table.create("one", now=1000)
    impostor, _ = await table.create(row.id, now=1000)
    assert [revoked.name for revoked in await table.revoke(row.id, now=1001)] == ["one"]
    assert (await table.find(digest(impostor))).revoked_at is None  # type: ignore[union-attr]


async def test_revoked_keys_still_exist(table: KeyTable) -> None:
    assert not await table.exist()
    await table.create("ci", now=1000)
    await table.revoke("ci", now=1001)
    assert await table.exist()


async def test_all_keys_oldest_first_with_their_state(table: KeyTable) -> None:
    await table.create("b", now=1000, expires_at=1500)
    await table.create("a", now=2000)
    await table.create("c", now=3000)
    await table.revoke("c", now=3001)
    rows = await table.all()
    assert [row.name for row in rows] == ["b", "a", "c"]
    assert [state(row, 1499) for row in rows] == ["active", "active", "revoked"]
    assert [state(row, 1500) for row in rows] == ["expired", "active", "revoked"]


class CountingTable(KeyTable):
    """Counts queries, and holds them up or fails them on demand."""

    def __init__(self, answers: dict[str, StoredKey]) -> None:
        self.answers = answers
        self.queries: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.problem: Exception | None = None

    async def find(self, sha256: str) -> StoredKey | None:
        self.queries.append(sha256)
        answer = self.answers.get(sha256)
        await self.gate.wait()
        if self.problem is not None:
            raise self.problem
        return answer


def key(sha256: str) -> StoredKey:
    return StoredKey(GatewayKey(id=sha256, name=sha256, owner="o"), sha256)


async def test_both_answers_are_believed_for_a_while_and_no_longer(clock: VirtualClock) -> None:
    table = CountingTable({"a": key("a")})
    cached = CachedKeys(table, clock)
    for _ in range(3):
        assert await cached.find("a") == key("a")
        assert await cached.find("x") is None
    assert table.queries == ["a", "x"]
    clock.advance(STALE_AFTER - 0.001)
    await cached.find("a")
    await cached.find("x")
    assert table.queries == ["a", "x"]
    clock.advance(0.001)
    table.answers = {"x": key("x")}
    assert await cached.find("a") is None
    assert await cached.find("x") == key("x")
    assert table.queries == ["a", "x", "a", "x"]


async def test_an_answer_is_as_old_as_its_question(clock: VirtualClock) -> None:
    table = CountingTable({"a": key("a")})
    cached = CachedKeys(table, clock)
    table.gate.clear()
    asking = asyncio.ensure_future(cached.find("a"))
    while not table.queries:
        await asyncio.sleep(0)
    clock.advance(STALE_AFTER - 1)
    table.gate.set()
    await asking
    clock.advance(1)
    await cached.find("a")
    assert len(table.queries) == 2


async def test_concurrent_misses_of_one_secret_share_one_query(clock: VirtualClock) -> None:
    table = CountingTable({"a": key("a")})
    cached = CachedKeys(table, clock)
    table.gate.clear()
    asking = [asyncio.ensure_future(cached.find(secret)) for secret in "aaabaa"]
    await asyncio.sleep(0)
    table.gate.set()
    found = await asyncio.gather(*asking)
    assert [each is not None for each in found] == [True, True, True, False, True, True]
    assert sorted(table.queries) == ["a", "b"]


async def test_a_caller_that_leaves_takes_nothing_from_the_others(clock: VirtualClock) -> None:
    table = CountingTable({"a": key("a")})
    cached = CachedKeys(table, clock)
    table.gate.clear()
    first, second = (asyncio.ensure_future(cached.find("a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    table.gate.set()
    assert await second == key("a")
    assert first.cancelled()
    assert table.queries == ["a"]


async def test_a_failed_query_is_not_remembered(clock: VirtualClock) -> None:
    table = CountingTable({"a": key("a")})
    cached = CachedKeys(table, clock)
    table.problem = OperationalError("SELECT", {}, Exception("gone"))
    for _ in range(2):
        with pytest.raises(OperationalError):
            await cached.find("a")
    table.problem = None
    assert await cached.find("a") == key("a")
    assert len(table.queries) == 3


@pytest.mark.virtual_time
async def test_a_query_that_hangs_is_given_up() -> None:
    table = CountingTable({})
    table.gate.clear()
    cached = CachedKeys(table, VirtualClock(), timeout=5)
    with pytest.raises(TimeoutError):
        await cached.find("a")
    assert asyncio.get_running_loop().time() == 5


async def test_the_cache_is_bounded_and_guessing_does_not_push_keys_out(clock: VirtualClock) -> None:
    table = CountingTable({"a": key("a"), "b": key("b"), "c": key("c")})
    cached = CachedKeys(table, clock, size=2)
    await cached.find("a")
    for guess in range(100):
        await cached.find(f"guess {guess}")
    assert len(cached) == 3
    await cached.find("a")
    assert table.queries.count("a") == 1
    await cached.find("b")
    await cached.find("c")
    assert len(cached) == 4
    await cached.find("a")
    assert table.queries.count("a") == 2


async def test_closing_stops_what_is_under_way(clock: VirtualClock) -> None:
    table = CountingTable({})
    table.gate.clear()
    cached = CachedKeys(table, clock)
    asking = asyncio.ensure_future(cached.find("a"))
    await asyncio.sleep(0)
    await cached.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert asyncio.all_tasks() == {asyncio.current_task()}
