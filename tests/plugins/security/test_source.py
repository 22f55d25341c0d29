"""The key source: configuration first, then the database; soon after a change it knows."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger

from helicone_gw import Database, GatewayKey, Unavailable
from helicone_gw.testing import VirtualClock
from helicone_gw_security.cached import STALE_AFTER
from helicone_gw_security.keys import StaticKeys, StoredKey, digest
from helicone_gw_security.plugin import VERSIONS
from helicone_gw_security.source import Keys
from helicone_gw_security.store import KeyTable


def static(secret: str = "static-secret", **fields: Any) -> StaticKeys:
    return StaticKeys([StoredKey(GatewayKey(id="config:a", name="a", owner="a"), digest(secret), **fields)])


def source(table: KeyTable, clock: VirtualClock, keys: StaticKeys | None = None) -> Keys:
    return Keys(keys or StaticKeys([]), table, clock, structlog.get_logger())


class Unreachable(KeyTable):
    def __init__(self) -> None:
        self.asked = 0

    async def find(self, sha256: str) -> StoredKey | None:
        raise ConnectionRefusedError("the password of the database")

    async def exist(self) -> bool:
        self.asked += 1
        raise ConnectionRefusedError("the password of the database")


async def test_a_configured_key_is_found_without_the_database(clock: VirtualClock) -> None:
    keys = source(Unreachable(), clock, static())
    assert keys.configured
    assert (await keys.lookup("static-secret")).name == "a"  # type: ignore[union-attr]


async def test_a_key_of_the_database_is_found(table: KeyTable, clock: VirtualClock) -> None:
    secret, row = await table.create("ci", now=clock.now())
    keys = source(table, clock, static())
    assert (await keys.lookup(secret)).id == row.id  # type: ignore[union-attr]
    assert await keys.lookup(secret + "x") is None
    await keys.close()


async def test_a_secret_beyond_ascii_is_found_as_it_comes_in_a_header(clock: VirtualClock, table: KeyTable) -> None:
    keys = source(table, clock, static("schlüssel"))
    assert await keys.lookup("schlüssel".encode().decode("latin-1")) is not None
    assert await keys.lookup("schlussel") is None
    await keys.close()


async def test_an_expired_key_is_no_key_although_it_is_cached(table: KeyTable, clock: VirtualClock) -> None:
    secret, _ = await table.create("ci", now=clock.now(), expires_at=clock.now() + 2)
    keys = source(table, clock, static(expires_at=clock.now() + 2))
    assert await keys.lookup(secret) is not None
    assert await keys.lookup("static-secret") is not None
    clock.advance(2)
    assert await keys.lookup(secret) is None
    assert await keys.lookup("static-secret") is None
    await keys.close()


async def test_a_revoked_key_stops_working_in_time(table: KeyTable, clock: VirtualClock) -> None:
    secret, _ = await table.create("ci", now=clock.now())
    keys = source(table, clock)
    assert await keys.lookup(secret) is not None
    await table.revoke("ci", now=clock.now())
    clock.advance(STALE_AFTER)
    assert await keys.lookup(secret) is None
    assert keys.configured
    await keys.close()


async def test_a_new_key_starts_working_in_time_even_if_it_was_tried_before(
    table: KeyTable, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = source(table, clock)
    monkeypatch.setattr("helicone_gw_security.store.generate", lambda **_: "sk-helicone-known")
    assert await keys.lookup("sk-helicone-known") is None
    await table.create("ci", now=clock.now())
    clock.advance(STALE_AFTER)
    assert await keys.lookup("sk-helicone-known") is not None
    await keys.close()


async def test_without_the_database_nobody_is_told_that_a_good_key_is_wrong(clock: VirtualClock) -> None:
    log = CapturingLogger()
    keys = Keys(static(), Unreachable(), clock, log)
    with pytest.raises(Unavailable) as problem:
        await keys.lookup("sk-helicone-unknown")
    assert problem.value.status == 503
    assert len(log.calls) == 1
    said = f"{log.calls}{problem.value}"
    assert "sk-helicone-unknown" not in said
    assert "password" not in said


async def test_nothing_configured_means_open(table: KeyTable, clock: VirtualClock) -> None:
    keys = source(table, clock)
    await keys.refresh()
    assert not keys.configured


@pytest.mark.parametrize("fields", [{}, {"expires_at": 1.0}])
async def test_a_configured_key_counts_even_when_it_expired(
    table: KeyTable, clock: VirtualClock, fields: dict[str, Any]
) -> None:
    assert source(table, clock, static(**fields)).configured


async def test_revoking_the_last_key_does_not_open_the_gateway(table: KeyTable, clock: VirtualClock) -> None:
    await table.create("ci", now=clock.now())
    await table.revoke("ci", now=clock.now())
    keys = source(table, clock)
    await keys.refresh()
    assert keys.configured


@pytest.fixture
async def timed(virtual_time: VirtualClock, url: str) -> AsyncIterator[KeyTable]:
    """A table in the test's own, virtual time."""
    database = Database(url)
    await database.migrate("security", VERSIONS)
    yield KeyTable(database)
    await database.close()


async def test_the_first_key_in_the_database_closes_the_gateway_without_a_request(
    timed: KeyTable, virtual_time: VirtualClock
) -> None:
    keys = source(timed, virtual_time)
    keys.start()
    await asyncio.sleep(60)
    assert not keys.configured
    await timed.create("ci", now=virtual_time.now())
    await asyncio.sleep(STALE_AFTER + 0.001)
    assert keys.configured
    await keys.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "security.watch"]


async def test_the_watch_survives_a_database_that_is_away(virtual_time: VirtualClock) -> None:
    table, log = Unreachable(), CapturingLogger()
    keys = Keys(StaticKeys([]), table, virtual_time, log)
    keys.start()
    await asyncio.sleep(3 * STALE_AFTER + 0.001)
    assert table.asked == 3
    assert len(log.calls) == 3
    assert "password" not in str(log.calls)
    await keys.close()


async def test_closing_stops_the_watch(virtual_time: VirtualClock) -> None:
    table = Unreachable()
    keys = Keys(StaticKeys([]), table, virtual_time, CapturingLogger())
    keys.start()
    await keys.close()
    await asyncio.sleep(10 * STALE_AFTER)
    assert table.asked == 0


async def test_with_keys_in_the_configuration_nobody_watches(virtual_time: VirtualClock) -> None:
    table = Unreachable()
    keys = Keys(static(), table, virtual_time, CapturingLogger())
    keys.start()
    await asyncio.sleep(10 * STALE_AFTER)
    assert table.asked == 0
    await keys.close()
