"""What the tests of the ASGI side share: a source of gateway keys, and plugins that watch."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import Exchange, Gateway, GatewayKey, Permits, Plugin, PluginConfig, hookimpl

KEYS = {
    "hk-all": GatewayKey("1", "all", "ann", "acme"),
    "hk-few": GatewayKey("2", "few", "bob", permits=Permits(models=("gpt-4o-mini",), paths=("/v1/*", "/pages/open"))),
    "hk-narrow": GatewayKey("3", "narrow", "cyd", permits=Permits(paths=("/v1/chat/*",))),
}


class Doorman(Plugin):
    """Knows the gateway keys of these tests; ``hk-old`` was one once."""

    @property
    def configured(self) -> bool:
        return True

    async def lookup(self, secret: str) -> GatewayKey | None:
        return KEYS.get(secret)

    async def knows(self, secret: str) -> bool:
        return secret in KEYS or secret == "hk-old"

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        gateway.keys.register(self)


class Watcher(Plugin):
    """Sees what comes in, and how it ends."""

    def __init__(self, config: PluginConfig, name: str) -> None:
        super().__init__(config, name)
        self.entered: list[Exchange] = []
        self.ended: list[Exchange] = []

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        self.entered.append(exchange)

    @hookimpl
    async def on_finish(self, exchange: Exchange) -> None:
        self.ended.append(exchange)


@pytest.fixture
def classes() -> dict[str, type[Plugin]]:
    """The plugins of these tests, for `helicone_gw.testing.GatewayFactory`."""
    return {"doorman": Doorman, "watcher": Watcher}


@pytest.fixture
def keyed(classes: dict[str, type[Plugin]]) -> dict[str, Any]:
    """A gateway that asks for keys."""
    return {"plugins": ["watcher", "doorman"], "classes": classes}
