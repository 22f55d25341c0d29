"""Providers' keys: encrypted in the database, decrypted in memory, used for their organisation and nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr
from sqlalchemy import select, update

from helicone_gw import Database, Exchange, GatewayKey, Headers, HeliconeHeaders, PermissionDenied, Request
from helicone_gw.testing import GatewayFactory, RunningGateway, VirtualClock
from helicone_gw_security.ciphers import Cipher, Unreadable, new_encryption_key
from helicone_gw_security.plugin import SecurityPlugin
from helicone_gw_security.provider_keys import STALE_AFTER, ProviderKeys
from helicone_gw_security.provider_table import NameTaken, ProviderTable
from helicone_gw_security.spec import KeySpec
from helicone_gw_security.store import KeyTable
from helicone_gw_security.tables import PROVIDER_KEY

SECRET = "sk-provider-0123456789abcdefghij"
OLD, NEW = SecretStr(new_encryption_key()), SecretStr(new_encryption_key())
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
ROW = ("default", "1", "openai")


def test_what_is_encrypted_is_read_in_its_own_row_alone() -> None:
    cipher = Cipher([OLD])
    ciphertext = cipher.encrypt(SECRET, ROW)
    assert SECRET not in ciphertext
    assert cipher.encrypt(SECRET, ROW) != ciphertext
    assert cipher.decrypt(ciphertext, ROW) == SECRET
    for other in (("acme", "1", "openai"), ("default", "2", "openai"), ("default", "1", "groq")):
        with pytest.raises(Unreadable):
            cipher.decrypt(ciphertext, other)
    with pytest.raises(Unreadable):
        Cipher([NEW]).decrypt(ciphertext, ROW)
    with pytest.raises(Unreadable):
        cipher.decrypt(ciphertext[:-4] + "AAA=", ROW)


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    ciphertext = Cipher([OLD]).encrypt(SECRET, ROW)
    both = Cipher([NEW, OLD])
    renewed = both.renewed(ciphertext, ROW)
    assert renewed is not None
    assert both.renewed(renewed, ROW) is None
    assert Cipher([NEW]).decrypt(renewed, ROW) == SECRET


def test_a_key_that_is_none_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match="encryption key 2 is not 32 bytes") as refusal:
        Cipher([OLD, SecretStr("a-short-passphrase")])
    assert "passphrase" not in str(refusal.value)
    assert OLD.get_secret_value() not in repr(Cipher([OLD]))


@pytest.fixture
def kept(database: Database) -> ProviderTable:
    return ProviderTable(database, Cipher([OLD]))


async def test_nothing_of_a_key_is_in_the_database_but_its_end(kept: ProviderTable, database: Database) -> None:
    row = await kept.add("main", "openai", SECRET, now=1000)
    async with database.connect() as connection:
        stored = str((await connection.execute(select(PROVIDER_KEY))).all())
    assert SECRET not in stored
    assert row.hint == f"...{SECRET[-4:]}"
    assert SECRET not in repr(row)
    assert (await kept.add("short", "openai", "sk-short", now=1000)).hint == "..."


async def test_names_are_unique_in_an_organisation(kept: ProviderTable) -> None:
    await kept.add("main", "openai", SECRET, now=1000)
    await kept.add("main", "openai", SECRET, now=1000, organization="acme")
    with pytest.raises(NameTaken):
        await kept.add("main", "groq", SECRET, now=1000)
    assert await kept.remove("main") is None, "two are called that"
    assert await kept.remove("main", organization="other") is None
    assert await kept.remove("main", organization="acme") is not None
    assert [row.organization_id for row in await kept.all()] == ["default"]


@pytest.mark.parametrize("secret", ["", "two words", "line\nbreak", "sk-\u00e9", "x" * 9000])
async def test_what_no_header_carries_is_no_key(kept: ProviderTable, secret: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as refusal:
        await kept.add("main", "openai", secret, now=1000)
    assert not secret or secret not in str(refusal.value)


async def test_all_are_encrypted_anew_with_progress_and_what_cannot_be_read_stays(database: Database) -> None:
    old = ProviderTable(database, Cipher([OLD]))
    for number in range(3):
        await old.add(f"key-{number}", "openai", f"{SECRET}-{number}", now=1000)
    lost = await ProviderTable(database, Cipher([SecretStr(new_encryption_key())])).add("lost", "x", SECRET, now=1000)
    heard: list[tuple[int, int, int]] = []
    both = ProviderTable(database, Cipher([NEW, OLD]))
    assert await both.renew(lambda *progress: heard.append(progress)) == (3, 1)
    assert heard[-1] == (4, 4, 1)
    assert await both.renew(lambda *progress: None) == (0, 1), "there is nothing left to do"
    new = Cipher([NEW])
    for row in await both.all():
        identity = (row.organization_id, row.id, row.provider)
        if row.id == lost.id:
            assert row.ciphertext == lost.ciphertext
        else:
            assert new.decrypt(row.ciphertext, identity).startswith(SECRET)


# In memory


def exchange(key: GatewayKey | None = None, organization: str = "default") -> Exchange:
    request = Request(
        method="POST",
        path="/v1/chat/completions",
        query="",
        headers=Headers(),
        body=b"{}",
        dialect="openai",
        operation="chat",
        helicone=HeliconeHeaders(),
    )
    made = Exchange("id", request, 0.0)
    made.key, made.organization = key, organization if key is None else key.organization
    return made


def keys(kept: ProviderTable, clock: VirtualClock, cipher: Cipher | None = None) -> ProviderKeys:
    aliases = {"oai": "openai"}
    return ProviderKeys(
        kept, cipher or Cipher([OLD]), clock, structlog.get_logger(), lambda name: aliases.get(name, name)
    )


async def test_shared_keys_are_for_all_of_an_organisation_and_the_newest_wins(
    kept: ProviderTable, clock: VirtualClock
) -> None:
    await kept.add("first", "oai", SECRET, now=1000, shared=True)
    await kept.add("second", "openai", SECRET + "2", now=2000, shared=True)
    await kept.add("apart", "groq", SECRET + "3", now=2000)
    asked = exchange()
    given = keys(kept, clock)
    await given.give(asked)
    assert {name: key.secret for name, key in asked.provider_keys.items()} == {"openai": SECRET + "2"}
    assert SECRET not in repr(asked.provider_keys)
    other = exchange(organization="acme")
    await given.give(other)
    assert other.provider_keys == {}
    await given.close()
    assert len(given) == 0


async def test_a_key_that_stands_for_one_gets_that_and_its_provider_alone(
    kept: ProviderTable, clock: VirtualClock
) -> None:
    row = await kept.add("main", "openai", SECRET, now=1000)
    await kept.add("main", "openai", SECRET + "-acme", now=1000, organization="acme")
    given = keys(kept, clock)
    for named in (row.id, "main"):
        asked = exchange(KeySpec(name="ci", provider_key=named, models=("gpt-*",)).key("1"))
        await given.give(asked)
        assert [key.secret for key in asked.provider_keys.values()] == [SECRET]
        assert asked.permits is not None
        assert (asked.permits.providers, asked.permits.models) == (("openai",), ("gpt-*",))
    elsewhere = exchange(KeySpec(name="ci", provider_key=row.id, organization="acme").key("1"))
    with pytest.raises(PermissionDenied) as refusal:
        await given.give(elsewhere)
    assert refusal.value.code == "provider_key_gone"
    assert elsewhere.provider_keys == {}
    narrow = exchange(KeySpec(name="ci", provider_key="main", providers=("groq",)).key("1"))
    with pytest.raises(PermissionDenied):
        await given.give(narrow)


async def test_what_was_removed_is_used_for_seconds_at_most(kept: ProviderTable, clock: VirtualClock) -> None:
    await kept.add("main", "openai", SECRET, now=1000, shared=True)
    given = keys(kept, clock)
    await given.give(exchange())
    await kept.remove("main")
    clock.advance(STALE_AFTER + 0.1)
    asked = exchange()
    await given.give(asked)
    assert asked.provider_keys == {}


async def test_one_that_cannot_be_read_takes_the_place_of_others_all_the_same(
    kept: ProviderTable, clock: VirtualClock
) -> None:
    await kept.add("main", "openai", SECRET, now=1000, shared=True)
    asked = exchange()
    await keys(kept, clock, Cipher([NEW])).give(asked)
    assert [key.secret for key in asked.provider_keys.values()] == [""]


async def test_a_ciphertext_moved_to_another_organisation_is_of_no_use_there(
    kept: ProviderTable, clock: VirtualClock, database: Database
) -> None:
    row = await kept.add("main", "openai", SECRET, now=1000, shared=True)
    async with database.begin() as connection:
        await connection.execute(update(PROVIDER_KEY).where(PROVIDER_KEY.c.id == row.id).values(organization_id="acme"))
    asked = exchange(organization="acme")
    await keys(kept, clock).give(asked)
    assert [key.secret for key in asked.provider_keys.values()] == [""]


# Through a gateway


@pytest.fixture
async def running(gateway: GatewayFactory, url: str) -> AsyncIterator[RunningGateway]:
    security: dict[str, Any] = {"keys": {"plain": "sk-plain-gateway-key"}, "encryption_keys": [OLD.get_secret_value()]}
    config = {
        "database": {"url": url},
        "providers": {"openai": {"api_key": "sk-of-the-operator"}},
        "server": {"allowed_targets": ["127.0.0.1:9"]},
    }
    async with gateway([{"security": security}, "router"], config=config) as running:
        yield running


async def ask(running: RunningGateway, key: str, **headers: str) -> Any:
    fields = {"authorization": f"Bearer {key}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await running.request("POST", "/v1/chat/completions", json=CHAT, headers=fields)


async def add(running: RunningGateway, **given: Any) -> None:
    table = ProviderTable(running.gateway.database, Cipher([OLD]))
    await table.add(**{"name": "main", "provider": "openai", "secret": SECRET, "now": 1000, **given})


async def proxy(running: RunningGateway, **given: Any) -> str:
    spec = KeySpec(**{"name": "proxy", "provider_key": "main", **given})
    return (await KeyTable(running.gateway.database).make(spec, now=1000))[0]


async def test_a_proxy_key_calls_with_the_key_that_it_stands_for(running: RunningGateway) -> None:
    await add(running)
    assert (await ask(running, await proxy(running))).status == 200
    sent = running.provider.requests[-1]
    assert sent.headers.get("authorization") == f"Bearer {SECRET}"
    assert (await ask(running, "sk-plain-gateway-key")).status == 200
    assert running.provider.requests[-1].headers.get("authorization") == "Bearer sk-of-the-operator"


async def test_a_shared_key_takes_the_place_of_the_operators(running: RunningGateway) -> None:
    await add(running, shared=True)
    assert (await ask(running, "sk-plain-gateway-key")).status == 200
    assert running.provider.requests[-1].headers.get("authorization") == f"Bearer {SECRET}"


async def test_a_kept_key_makes_a_provider_usable_that_the_configuration_does_not_name(running: RunningGateway) -> None:
    await add(running, provider="groq", secret="gsk-kept-for-groq-0123456789", shared=True)
    for path, model in (("/groq/openai/v1/chat/completions", "llama-3.3"), ("/v1/chat/completions", "llama-3.3/groq")):
        answer = await running.request(
            "POST", path, json={**CHAT, "model": model}, headers={"helicone-auth": "Bearer sk-plain-gateway-key"}
        )
        assert answer.status == 200, path
        assert running.provider.requests[-1].headers.get("authorization") == "Bearer gsk-kept-for-groq-0123456789"


async def test_many_keys_are_decrypted_beside_the_loop(kept: ProviderTable, clock: VirtualClock) -> None:
    for number in range(21):
        await kept.add(f"key-{number}", "openai", f"{SECRET}-{number}", now=number, shared=True)
    asked = exchange()
    given = keys(kept, clock)
    await given.give(asked)
    assert [key.secret for key in asked.provider_keys.values()] == [f"{SECRET}-20"]
    await given.close()


async def test_a_proxy_key_calls_no_other_provider(running: RunningGateway) -> None:
    await add(running)
    key = await proxy(running)
    answer = await running.request(
        "POST",
        "/v1/chat/completions",
        json={**CHAT, "model": "claude-sonnet-4-5/anthropic"},
        headers={"authorization": f"Bearer {key}"},
    )
    assert answer.status in (400, 403)
    assert not running.provider.requests


async def test_a_proxy_key_whose_key_is_gone_is_refused(running: RunningGateway) -> None:
    answer = await ask(running, await proxy(running))
    assert (answer.status, answer.json()["error"]["code"]) == (403, "provider_key_gone")


async def test_a_kept_key_goes_to_its_providers_own_address_alone(running: RunningGateway) -> None:
    await add(running, shared=True)
    for path in ("/gateway/v1/chat/completions", "/openai/v1/chat/completions"):
        await running.request(
            "POST",
            path,
            json=CHAT,
            headers={
                "helicone-auth": "Bearer sk-plain-gateway-key",
                "helicone-target-url": "http://127.0.0.1:9",
                "helicone-openai-api-base": "http://127.0.0.1:9/v1",
            },
        )
    for sent, served in zip(running.provider.requests, running.exchanges, strict=True):
        assert served.route is not None
        assert str(served.route.targets[0].base_url).startswith("http://127.0.0.1:9")
        assert "authorization" not in sent.headers, "neither the kept one nor the operator's"


async def test_a_key_that_cannot_be_read_is_not_paid_for_by_the_operator(gateway: GatewayFactory, url: str) -> None:
    security = {"keys": {"plain": "sk-plain-gateway-key"}, "encryption_keys": [NEW.get_secret_value()]}
    config = {"database": {"url": url}, "providers": {"openai": {"api_key": "sk-of-the-operator"}}}
    async with gateway([{"security": security}], config=config) as running:
        await add(running, shared=True)
        answer = await ask(running, "sk-plain-gateway-key")
        assert answer.status == 401
        assert not running.provider.requests


def test_the_plugin_keeps_no_encryption_key_in_its_configuration() -> None:
    config = SecurityPlugin.Config.model_validate({"encryption_keys": OLD.get_secret_value()})
    plugin = SecurityPlugin(config, "security")
    assert plugin.config.encryption_keys == ()  # type: ignore[attr-defined]
    assert OLD.get_secret_value() not in str(vars(plugin))
