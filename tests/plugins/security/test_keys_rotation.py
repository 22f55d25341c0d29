"""Two secrets of one key while clients change over, and when keys were used last."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import structlog
from pydantic import SecretStr

from helicone_gw import Database
from helicone_gw.testing import VirtualClock
from helicone_gw_security import usage
from helicone_gw_security.ciphers import Cipher, new_encryption_key
from helicone_gw_security.keys import StaticKeys, digest
from helicone_gw_security.plugin import VERSIONS
from helicone_gw_security.provider_table import NameTaken as ProviderNameTaken
from helicone_gw_security.provider_table import ProviderTable
from helicone_gw_security.source import Keys
from helicone_gw_security.spec import KeySpec
from helicone_gw_security.store import KeyTable, NameTaken
from helicone_gw_security.usage import LastUsed


async def test_both_secrets_are_one_key_until_the_old_one_ends(table: KeyTable) -> None:
    old, row = await table.make(KeySpec(name="ci"), now=1000)
    new, rows = await table.rotate("ci", now=2000, until=3000)
    assert [changed.id for changed in rows] == [row.id]
    assert new != old
    before, after = await table.find(digest(old)), await table.find(digest(new))
    assert before is not None
    assert after is not None
    assert before.key == after.key
    assert (before.valid(2999), before.valid(3000)) == (True, False)
    assert after.valid(1e12)


async def test_a_key_that_stands_for_a_providers_looks_like_one_after_rotation_too(table: KeyTable) -> None:
    secret, row = await table.make(KeySpec(name="proxy", provider_key="main"), now=1000)
    assert secret.startswith("sk-helicone-proxy-")
    assert row.prefix == secret[: len("sk-helicone-proxy-") + 4]
    new, _ = await table.rotate("proxy", now=2000, until=3000)
    assert new.startswith("sk-helicone-proxy-")
    assert (await table.find(digest(new))).key.provider_key == "main"  # type: ignore[union-attr]


async def test_postgres_keeps_them_too(postgres_url: str) -> None:
    database = Database(postgres_url)
    await database.migrate("security", VERSIONS)
    table = KeyTable(database)
    old, row = await table.make(KeySpec(name="ci", limits=("5;w=60",), networks=("10.0.0.0/8",)), now=1000)
    new, _ = await table.rotate(row.id, now=2000, until=3000)
    await table.used({row.id: 50.0})
    await table.used({row.id: 20.0})
    found = await table.find(digest(old))
    assert found is not None
    assert (found.expires_at, found.key.limits) == (3000.0, ("5;w=60",))
    changed = await table.change(row.id, KeySpec(name="ci-2"))
    assert changed is not None
    after = await table.get(row.id)
    assert after is not None
    assert (after.name, after.last_used_at, after.limits, after.networks) == ("ci-2", 50.0, [], None)
    await table.revoke("ci-2", now=3000)
    assert not (await table.find(digest(new))).valid(3001)  # type: ignore[union-attr]
    kept = ProviderTable(database, Cipher([SecretStr(new_encryption_key())]))
    await kept.add("main", "openai", "sk-provider-key", now=1000, shared=True)
    with pytest.raises(ProviderNameTaken):
        await kept.add("main", "openai", "sk-provider-key", now=1000)
    assert await kept.renew(lambda *progress: None) == (0, 0)
    assert await kept.remove("main") is not None
    await database.close()


async def test_a_second_rotation_ends_the_first_secret_at_once(table: KeyTable) -> None:
    first, _ = await table.make(KeySpec(name="ci"), now=1000)
    second, _ = await table.rotate("ci", now=2000, until=9000)
    third, _ = await table.rotate("ci", now=2001, until=9000)
    assert await table.find(digest(first)) is None
    assert (await table.find(digest(second))).valid(2002)  # type: ignore[union-attr]
    assert (await table.find(digest(third))).valid(2002)  # type: ignore[union-attr]


async def test_expiry_and_revocation_hold_for_both(table: KeyTable) -> None:
    old, _ = await table.make(KeySpec(name="ci", expires_at=2500), now=1000)
    await table.rotate("ci", now=2000, until=3000)
    assert not (await table.find(digest(old))).valid(2500)  # type: ignore[union-attr]
    await table.revoke("ci", now=2100)
    assert not (await table.find(digest(old))).valid(2101)  # type: ignore[union-attr]


async def test_nothing_is_rotated_in_another_organisation_or_where_two_are_meant(table: KeyTable) -> None:
    await table.make(KeySpec(name="ci"), now=1000)
    await table.make(KeySpec(name="ci", organization="acme"), now=1000)
    assert (await table.rotate("ci", now=2000, until=3000))[0] == ""
    assert (await table.rotate("ci", now=2000, until=3000, organization="other")) == ("", [])
    secret, rows = await table.rotate("ci", now=2000, until=3000, organization="acme")
    assert secret
    assert [row.organization_id for row in rows] == ["acme"]


async def test_a_key_is_changed_and_stays_where_it_is(table: KeyTable) -> None:
    secret, row = await table.make(KeySpec(name="ci", organization="acme", models=("gpt-4*",)), now=1000)
    await table.make(KeySpec(name="taken", organization="acme"), now=1000)
    spec = KeySpec(name="ci-2", organization="elsewhere", limits=("5;w=60",), role="viewer")
    assert await table.change(row.id, spec, organization="other") is None
    assert await table.change("ci", spec) is None, "by its id alone"
    changed = await table.change(row.id, spec, organization="acme")
    assert changed is not None
    found = await table.find(digest(secret))
    assert found is not None
    assert (found.key.name, found.key.organization, found.key.role) == ("ci-2", "acme", "viewer")
    assert (found.key.limits, found.key.permits.models) == (("5;w=60",), None)
    with pytest.raises(NameTaken):
        await table.change(row.id, KeySpec(name="taken"), organization="acme")


async def test_uses_are_written_once_in_a_while_and_at_the_end(database: Database, clock: VirtualClock) -> None:
    table = KeyTable(database)
    secret, row = await table.make(KeySpec(name="ci"), now=0)
    keys = Keys(StaticKeys([]), table, clock, structlog.get_logger())
    await keys.refresh()
    keys.start()
    await keys.lookup(secret)
    await keys.lookup("sk-unknown")
    assert len(keys.last_used) == 1
    assert (await table.get(row.id)).last_used_at is None  # type: ignore[union-attr]
    await keys.close()
    assert (await table.get(row.id)).last_used_at == pytest.approx(clock.now())  # type: ignore[union-attr]


async def test_a_later_use_that_another_worker_wrote_stays(table: KeyTable) -> None:
    _, row = await table.make(KeySpec(name="ci"), now=0)
    await table.used({row.id: 50.0})
    await table.used({row.id: 20.0, "gone": 1.0})
    assert (await table.get(row.id)).last_used_at == 50.0  # type: ignore[union-attr]


async def test_what_cannot_be_written_waits_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MAX_WAITING", 2)
    broken = True
    written: dict[str, float] = {}

    async def write(times: Mapping[str, float]) -> None:
        if broken:
            raise OSError("away")
        written.update(times)

    uses = LastUsed(write)
    for at, which in enumerate(("a", "b", "c", "a")):
        uses.used(which, float(at))
    with pytest.raises(OSError, match="away"):
        await uses.flush()
    uses.used("b", 9.0)
    broken = False
    await uses.flush()
    assert written == {"a": 3.0, "b": 9.0}
    assert uses.dropped == 1
    assert len(uses) == 0
