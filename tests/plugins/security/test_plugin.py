"""The hooks of ``security``."""

from collections.abc import AsyncIterator
from inspect import isawaitable
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from helicone_gw import (
    Audit,
    AuthenticationFailed,
    Database,
    Exchange,
    GatewayKey,
    Headers,
    HeliconeHeaders,
    KeyRing,
    PermissionDenied,
    Permits,
    Request,
    Unavailable,
)
from helicone_gw.registry import load
from helicone_gw.store import MemoryStore
from helicone_gw.testing import VirtualClock
from helicone_gw_security.config import SecurityConfig
from helicone_gw_security.plugin import SecurityPlugin
from helicone_gw_security.store import KeyTable

KEY = GatewayKey(id="1", name="ci", owner="o", permits=Permits(models=("gpt-4*",), paths=("/v1/chat/*",)))


def plugin(**keys: Any) -> SecurityPlugin:
    return SecurityPlugin(SecurityConfig.model_validate({"keys": keys}), "security")


def exchange(path: str = "/v1/chat/completions", key: GatewayKey | None = None) -> Exchange:
    request = Request(
        method="POST",
        path=path,
        query="",
        headers=Headers(),
        body=b"{}",
        dialect="openai",
        operation="chat",
        helicone=HeliconeHeaders(),
    )
    made = Exchange("id", request, 0.0)
    made.key = key
    return made


async def asked(security: SecurityPlugin, exchange: Exchange) -> Any:
    """What its ``pre_request`` comes to, at once or later."""
    said = security.pre_request(exchange)
    return await said if isawaitable(said) else said


@pytest.fixture
async def gateway(url: str, clock: VirtualClock) -> AsyncIterator[Any]:
    database = Database(url)
    log = structlog.get_logger()
    yield SimpleNamespace(
        database=database,
        clock=clock,
        keys=KeyRing(),
        log=log,
        catalogue=SimpleNamespace(),
        chain=SimpleNamespace(route_model=()),
        store=MemoryStore(clock),
        audit=Audit(clock.now, log),
    )
    await database.close()


def test_it_is_offered_as_a_plugin_and_closes_when_it_fails() -> None:
    assert load("security") is SecurityPlugin
    assert plugin().on_failure == "closed"


async def test_startup_offers_the_keys_of_the_configuration(gateway: Any) -> None:
    security = plugin(alice="s3cret-value")
    await security.startup(gateway)
    assert gateway.keys.configured
    assert (await gateway.keys.lookup("s3cret-value")).name == "alice"
    assert await gateway.keys.lookup("wrong") is None
    await security.shutdown(gateway)


async def test_startup_finds_keys_of_the_database_at_once(gateway: Any) -> None:
    first = plugin()
    await first.startup(gateway)
    assert not gateway.keys.configured
    secret, _ = await KeyTable(gateway.database).create("ci", now=0)
    await first.shutdown(gateway)

    gateway.keys = KeyRing()
    second = plugin()
    await second.startup(gateway)
    assert gateway.keys.configured
    assert (await gateway.keys.lookup(secret)).name == "ci"
    await second.shutdown(gateway)


async def test_the_plain_secret_is_dropped(gateway: Any) -> None:
    security = plugin(alice="s3cret-value")
    await security.startup(gateway)
    assert isinstance(security.config, SecurityConfig)
    assert security.config.keys["alice"].key.get_secret_value() == ""
    assert "s3cret-value" not in str(vars(security))
    await security.shutdown(gateway)


async def test_the_permits_of_the_key_are_put_on_the_exchange(gateway: Any) -> None:
    security = plugin(alice="s")
    await security.startup(gateway)
    allowed = exchange(key=KEY)
    await asked(security, allowed)
    assert allowed.permits is KEY.permits
    await security.shutdown(gateway)


@pytest.mark.parametrize("path", ["/v1/files", "/v1/chat", "/v1/Chat/completions", "/v1beta/models/m:generateContent"])
async def test_a_path_that_the_key_may_not_ask_for_is_refused(gateway: Any, path: str) -> None:
    security = plugin(alice="s")
    await security.startup(gateway)
    with pytest.raises(PermissionDenied) as refusal:
        await asked(security, exchange(path, KEY))
    assert refusal.value.status == 403
    assert "'ci'" in refusal.value.message
    assert path in refusal.value.message
    await security.shutdown(gateway)


async def test_the_path_is_the_clients_whatever_a_plugin_made_of_it(gateway: Any) -> None:
    security = plugin(alice="s")
    await security.startup(gateway)
    rewritten = exchange("/v1/files", KEY)
    rewritten.request = rewritten.request.replace(path="/v1/chat/completions")
    with pytest.raises(PermissionDenied):
        await asked(security, rewritten)
    await security.shutdown(gateway)


async def test_without_a_key_nothing_passes_while_keys_are_configured(gateway: Any) -> None:
    security = plugin(alice="s")
    await security.startup(gateway)
    with pytest.raises(AuthenticationFailed):
        await asked(security, exchange())
    await security.shutdown(gateway)


async def test_keys_of_another_source_count_as_well(gateway: Any) -> None:
    class Other:
        configured = True

        async def lookup(self, secret: str) -> GatewayKey | None:
            return None

        async def knows(self, secret: str) -> bool:
            return False

    security = plugin()
    await security.startup(gateway)
    gateway.keys.register(Other())
    with pytest.raises(AuthenticationFailed):
        await asked(security, exchange())
    await security.shutdown(gateway)


async def test_before_it_was_started_nothing_passes() -> None:
    with pytest.raises(AuthenticationFailed):
        await asked(plugin(), exchange())


async def test_with_no_key_anywhere_the_gateway_is_open(gateway: Any) -> None:
    security = plugin()
    await security.startup(gateway)
    open_exchange = exchange()
    await asked(security, open_exchange)
    assert open_exchange.permits is None
    await security.shutdown(gateway)


@pytest.mark.parametrize("given", [{"limits": ("1;w=60",)}, {"budgets": ("1/day",)}])
async def test_a_key_that_nobody_holds_to_its_limits_is_not_served(gateway: Any, given: dict[str, Any]) -> None:
    security = plugin(alice="s")
    await security.startup(gateway)
    limited = GatewayKey(id="1", name="ci", owner="o", **given)
    with pytest.raises(Unavailable, match="nothing in this gateway enforces"):
        await asked(security, exchange(key=limited))
    gateway.keys.limits_enforced = gateway.keys.budgets_enforced = True
    await asked(security, exchange(key=limited))
    await security.shutdown(gateway)


def test_keys_that_nobody_holds_to_their_limits_are_warned_of() -> None:
    keys = {
        "ci": {"key": "one", "limits": ["10;w=60"]},
        "lab": {"key": "two", "budgets": ["5/day"]},
        "free": {"key": "three"},
    }

    def warned(*plugins: Any) -> list[str]:
        config: Any = SimpleNamespace(plugins=plugins)
        return list(plugin(**keys).warnings(config))

    def limiting(budgets: bool) -> Any:
        return SimpleNamespace(plugin="ratelimit", config=SimpleNamespace(key_budgets=budgets))

    without = warned(SimpleNamespace(plugin="cost", config=None))
    assert ["ci" in line for line in without] == [True, False]
    assert "key_budgets: lab" in without[1]
    (left,) = warned(limiting(False))
    assert "lab" in left
    assert warned(limiting(True)) == []
    assert "free" not in str(without)
