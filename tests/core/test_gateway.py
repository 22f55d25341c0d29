"""The composition root: what starts and stops in which order, and what a gateway refuses to start with."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from helicone_gw import (
    ConfigError,
    Exchange,
    Gateway,
    GatewayConfig,
    GatewayKey,
    Headers,
    Plugin,
    PluginConfig,
    Secret,
    Target,
    UpstreamConnectError,
    hookimpl,
)
from helicone_gw.app import App
from helicone_gw.config import PluginSpec
from helicone_gw.model import UpstreamRequest, UpstreamResponse
from helicone_gw.store import MemoryStore
from helicone_gw.testing import GatewayFactory, ScriptedProvider, VirtualClock
from helicone_gw.testing.dialects import openai_chat


class Noted(Plugin):
    """Notes when it is started and stopped; ``breaks`` names what it fails in."""

    log: list[str]
    breaks = ""

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        self.log.append(f"start {self.name}")
        if self.breaks == "startup":
            raise RuntimeError("no database")

    @hookimpl
    async def shutdown(self, gateway: Gateway) -> None:
        self.log.append(f"stop {self.name}")
        if self.breaks == "shutdown":
            raise RuntimeError("stuck")
        if self.breaks == "hang":
            await asyncio.Event().wait()


def config(**server: Any) -> GatewayConfig:
    return GatewayConfig.model_validate({"database": {"url": "sqlite://"}, "server": server})


def noted(log: list[str], **breaks: str) -> list[Plugin]:
    plugins: list[Plugin] = []
    for name in ("outer", "middle", "inner"):
        plugin = Noted(PluginConfig(), name)
        plugin.log, plugin.breaks = log, breaks.get(name, "")
        plugins.append(plugin)
    return plugins


async def test_plugins_start_outermost_first_and_stop_innermost_first() -> None:
    log: list[str] = []
    gateway = Gateway(config(), noted(log))
    assert not gateway.ready
    await gateway.start()
    assert gateway.ready
    await gateway.stop()
    assert not gateway.ready
    assert log == ["start outer", "start middle", "start inner", "stop inner", "stop middle", "stop outer"]


async def test_stopping_twice_settles_once() -> None:
    log: list[str] = []
    gateway = Gateway(config(), noted(log))
    await gateway.start()
    await gateway.stop()
    await gateway.stop()
    assert log[3:] == ["stop inner", "stop middle", "stop outer"]


async def test_a_plugin_that_cannot_start_is_named_and_those_before_it_are_stopped() -> None:
    log: list[str] = []
    gateway = Gateway(config(), noted(log, middle="startup"))
    with pytest.raises(ConfigError, match="plugin 'middle' could not start: no database"):
        await gateway.start()
    assert log == ["start outer", "start middle", "stop outer"]
    assert not gateway.ready


@pytest.mark.virtual_time
@pytest.mark.parametrize("how", ["shutdown", "hang"])
async def test_a_plugin_that_cannot_stop_is_logged_and_the_others_are_stopped_all_the_same(how: str) -> None:
    log: list[str] = []
    gateway = Gateway(config(drain_timeout=7), noted(log, middle=how))
    await gateway.start()
    with capture_logs() as logs:
        await gateway.stop()
    assert log[3:] == ["stop inner", "stop middle", "stop outer"]
    assert [(entry["event"], entry["plugin"]) for entry in logs] == [("plugin did not shut down", "middle")]
    assert asyncio.get_running_loop().time() == pytest.approx(7 if how == "hang" else 0)


@pytest.mark.virtual_time
async def test_stopping_waits_for_exchanges_and_then_no_longer() -> None:
    gateway = Gateway(config(drain_timeout=10))
    await gateway.start()
    loop = asyncio.get_running_loop()
    gateway.entered()
    gateway.entered()
    loop.call_later(2, gateway.left)
    loop.call_later(4, gateway.left)
    await gateway.stop()
    assert loop.time() == pytest.approx(4)

    gateway = Gateway(config(drain_timeout=10))
    await gateway.start()
    gateway.entered()
    with capture_logs() as logs:
        await gateway.stop()
    assert loop.time() == pytest.approx(14)
    assert [entry["count"] for entry in logs] == [1]


@pytest.mark.virtual_time
async def test_background_tasks_are_waited_for_after_the_plugins_stopped() -> None:
    log: list[str] = []
    gateway = Gateway(config(), noted(log))
    await gateway.start()

    async def work() -> None:
        await asyncio.sleep(3)
        log.append("worked")

    gateway.background.spawn(work(), "work")
    await gateway.stop()
    assert log[-2:] == ["stop outer", "worked"]


# Keys and binding


class Keys(Plugin):
    """A plugin that brings keys."""

    configured = True

    async def lookup(self, secret: str) -> GatewayKey | None:
        return GatewayKey("1", "one", "ann") if secret == "hk" else None

    async def knows(self, secret: str) -> bool:
        return secret == "hk"

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        gateway.keys.register(self)


async def test_a_gateway_without_keys_listens_on_this_machine_only() -> None:
    log: list[str] = []
    gateway = Gateway(config(host="0.0.0.0"), noted(log))
    with pytest.raises(ConfigError, match=r"server\.host"):
        await gateway.start()
    assert log[3:] == ["stop inner", "stop middle", "stop outer"]
    for settings, plugins in (
        ({"host": "0.0.0.0", "open": True}, []),
        ({"host": "0.0.0.0"}, [Keys(PluginConfig(), "keys")]),
    ):
        gateway = Gateway(config(**settings), plugins)
        await gateway.start()
        await gateway.stop()


def test_a_wrong_allowed_target_is_told_at_once() -> None:
    with pytest.raises(ConfigError, match="allowed_targets"):
        Gateway(
            config().model_copy(update={"server": config().server.model_copy(update={"allowed_targets": ("a b",)})})
        )


class SecretConfig(PluginConfig):
    key: Secret = Secret("")


class Forgetful(Plugin):
    """Drops its secrets as soon as it has read them."""

    Config = SecretConfig

    def __init__(self, config: PluginConfig, name: str) -> None:
        super().__init__(SecretConfig(), name)


def test_the_configuration_keeps_no_secret_that_a_plugin_dropped() -> None:
    spec = PluginSpec(plugin="forgetful", name="mine", config=SecretConfig(key=Secret("sk-dropped")))
    given = config().model_copy(update={"plugins": (spec,)})
    gateway = Gateway(given, [Forgetful(spec.config, "mine")])
    kept = gateway.config.plugins[0].config
    assert isinstance(kept, SecretConfig)
    assert kept.key.get_secret_value() == ""


# Where calls go


async def test_demo_and_the_own_list_are_answered_inside_and_everything_else_outside() -> None:
    outside: list[str] = []

    async def upstream(request: UpstreamRequest) -> UpstreamResponse:
        outside.append(request.target.provider)
        raise UpstreamConnectError("away")

    demo = config().model_copy(
        update={"providers": GatewayConfig.model_validate({"providers": {"demo": {}}}).providers}
    )
    gateway = Gateway(demo, upstream=upstream, clock=VirtualClock())

    def call(provider: str, path: str, base_url: str | None = None) -> UpstreamRequest:
        return UpstreamRequest("GET", f"http://x{path}", Headers(), b"", Target(provider, base_url=base_url))

    for provider, path in (("demo", "/v1/models"), ("helicone-gw", "/openai/v1/models")):
        answer = await gateway.call(call(provider, path))
        assert answer.status == 200
        await answer.close()
    for target in (call("openai", "/v1/models"), call("demo", "/v1/models", "http://elsewhere")):
        with pytest.raises(UpstreamConnectError):
            await gateway.call(target)
    assert outside == ["openai", "demo"]
    await gateway.stop()


async def test_plugins_calls_follow_no_redirects_and_share_the_pool() -> None:
    gateway = Gateway(config())
    provider = ScriptedProvider(openai_chat.error(302, "moved").with_headers({"Location": "/elsewhere"}))
    async with provider.serve() as base:
        answer = await gateway.http.get(base)
        assert answer.status_code == 302
    await gateway.stop()


# The kit's gateway, for what only a request shows


class Observer(Plugin):
    @hookimpl
    async def on_finish(self, exchange: Exchange) -> None:
        exchange.annotate("observer.seen", True)


async def test_what_plugins_find_on_a_gateway(gateway: GatewayFactory) -> None:
    async with gateway(["observer"], classes={"observer": Observer}) as running:
        one = running.gateway
        for name in [
            "config",
            "clock",
            "database",
            "store",
            "prices",
            "catalogue",
            "http",
            "health",
            "routing",
            "keys",
            "background",
            "log",
            "chain",
            "plugins",
        ]:
            assert getattr(one, name) is not None
        await running.chat()
        assert running.exchanges[0].annotations == {"observer.seen": True}
        assert one.active == 0
        assert isinstance(running.app, App)


class Between:
    """A store between workers, as far as health needs one. ``down``: it cannot be reached."""

    def __init__(self, clock: VirtualClock) -> None:
        self._inner = MemoryStore(clock)
        self.down = False

    async def connect(self) -> None:
        return None

    async def get(self, key: str) -> bytes | None:
        if self.down:
            raise OSError("no store")
        return await self._inner.get(key)

    async def compare_and_set(self, key: str, expected: bytes | None, value: bytes, ttl: float | None = None) -> bool:
        return await self._inner.compare_and_set(key, expected, value, ttl)

    async def close(self) -> None:
        return None


async def test_workers_share_the_health_of_their_targets(gateway: GatewayFactory, virtual_time: VirtualClock) -> None:
    store = Between(virtual_time)
    one, other = (gateway.build([], provider=ScriptedProvider(), http=ScriptedProvider()) for _ in range(2))
    for each in (one, other):
        each.store = store  # type: ignore[assignment]
        await each.start()
    target = Target("openai", "m")
    store.down = True
    one.health.cool_down(target, 60, "because")
    await asyncio.sleep(2.5)
    assert other.health.available(target), "each knows what it saw itself"
    store.down = False
    await asyncio.sleep(2.5)
    assert other.health.resting() == {"openai/m": "because, for another 55 s"}
    for each in (one, other):
        await each.stop()
