"""What the core says of itself in figures, and how it asks plugins for theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from helicone_gw import Exchange, Gateway, GatewayConfig, Measurement, Plugin, PluginConfig, Target, hookimpl
from helicone_gw.engines.http1.lane import Lane
from helicone_gw.server import Serving
from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat

pytestmark = pytest.mark.virtual_time


class Counting(Plugin):
    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        raise ValueError("a fault")

    def measurements(self) -> Iterator[Measurement]:
        yield Measurement(f"{self.name}_seen", "counter", "Seen.", 7)


class Broken(Plugin):
    on_failure = "open"

    def measurements(self) -> Iterator[Measurement]:
        raise OSError("nothing to be read")
        yield


def figures(gateway: Gateway) -> dict[tuple[str, ...], float]:
    return {(figure.name, *figure.labels.values()): figure.value for figure in gateway.measurements()}


async def test_the_cores_own(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=openai_chat.answer())
    async with gateway(provider=provider) as running:
        await running.chat()
        running.gateway.health.cool_down(Target("openai", "a"), 10, "because")
        held = figures(running.gateway)
    assert held["exchanges_active",] == 0
    assert held["upstream_connections_open",] == 0
    assert held["store_calls",] == 0
    assert (held["targets_set_aside",], held["targets_resting",]) == (1, 1)
    assert held["target_state", "openai/a", "resting"] == 1
    assert held["prices_unknown", "openai", "gpt-4o-mini-2024-07-18"] == 1
    assert held["background_tasks", "plugins"] == 0


async def test_plugins_own_and_their_faults(gateway: GatewayFactory) -> None:
    classes = {"counting": Counting, "broken": Broken}
    plugins = ["broken", {"counting": {"on_failure": "open"}}]
    async with gateway(plugins, classes=classes) as running:
        await running.chat()
        with capture_logs() as logs:
            held = figures(running.gateway)
    assert held["counting_seen",] == 7
    assert held["plugin_faults", "counting", "pre_request"] == 1
    assert [entry["event"] for entry in logs] == ["some measurements cannot be had"]


def test_a_plugin_that_was_not_started_is_not_asked() -> None:
    config = GatewayConfig.model_validate({"database": {"url": "sqlite://"}})
    one = Gateway(config, [Counting(PluginConfig(), "counting")])
    assert ("counting_seen",) not in figures(one)
    asyncio.run(one.stop())


async def test_the_connections_of_its_own_server_and_no_other() -> None:
    one = Gateway(GatewayConfig.model_validate({"database": {"url": "sqlite://"}}))
    service = Serving(lambda: one)
    await service.start()
    loop = asyncio.get_running_loop()
    ours, other = (Lane(app, loop, lambda transport, data: None) for app in (service, Serving(lambda: one)))
    ours.counters.requests, other.counters.requests = 5, 1000
    held = figures(one)
    assert (held["clients_requests",], held["clients_connected",]) == (5, 0)
    await service.stop()
