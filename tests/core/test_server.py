"""The application in service: reloading swaps it whole or not at all; pages wait for their routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from quart import Blueprint
from structlog.testing import capture_logs

from helicone_gw import ConfigError, Gateway, GatewayConfig, Plugin, PluginConfig, hookimpl, server
from helicone_gw.server import Serving
from helicone_gw.sockets import listen


def config(**server: Any) -> GatewayConfig:
    return GatewayConfig.model_validate({"database": {"url": "sqlite://"}, "server": server})


class Unstartable(Plugin):
    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        raise RuntimeError("no database")


def serving(*builds: Callable[[], Gateway]) -> Serving:
    pending = list(builds)
    return Serving(lambda: pending.pop(0)())


@pytest.mark.virtual_time
async def test_a_reload_swaps_and_lets_the_old_one_finish() -> None:
    first, second = Gateway(config()), Gateway(config())
    service = serving(lambda: first, lambda: second)
    await service.start()
    first.entered()
    await service.reload()
    assert service.app.gateway is second
    assert second.ready
    await asyncio.sleep(1)
    assert not first.ready
    asyncio.get_running_loop().call_later(3, first.left)
    await service.stop()
    assert asyncio.get_running_loop().time() == pytest.approx(4)
    assert not second.ready


def faulty_configuration() -> Gateway:
    raise ConfigError(["gateway.yaml:1:1: wrong"])


def fault() -> Gateway:
    raise OSError("disk on fire")


def cannot_start() -> Gateway:
    return Gateway(config(), [Unstartable(PluginConfig(), "broken")])


class Unmountable(Plugin):
    """A plugin whose routes cannot be mounted."""

    log: list[str]

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Any:
        raise ValueError("no template")

    @hookimpl
    async def shutdown(self, gateway: Gateway) -> None:
        self.log.append("stopped")


@pytest.mark.parametrize("build", [faulty_configuration, fault, cannot_start])
async def test_a_reload_that_cannot_be_is_refused_and_nothing_changes(build: Callable[[], Gateway]) -> None:
    first = Gateway(config())
    service = serving(lambda: first, build)
    await service.start()
    with capture_logs() as logs:
        await service.reload()
    assert service.app.gateway is first
    assert first.ready
    assert logs[-1]["event"].startswith("not reloaded")
    await service.stop()


async def test_a_gateway_whose_routes_cannot_be_mounted_is_stopped_again() -> None:
    plugin = Unmountable(PluginConfig(), "pages")
    plugin.log = []
    service = serving(lambda: Gateway(config(), [plugin]))
    with pytest.raises(ConfigError, match="plugin 'pages' cannot mount its routes: no template"):
        await service.start()
    assert plugin.log == ["stopped"]
    await service.stop()


class Paged(Plugin):
    """A plugin with a page."""

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint:
        pages = Blueprint("paged", __name__)

        async def page() -> dict[str, bool]:
            return {"here": True}

        pages.add_url_rule("/paged", "page", page)
        return pages


async def get(port: int, path: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def test_pages_wait_for_their_routes_and_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SOON", 0.5)
    stop = asyncio.Event()
    order: list[str] = []

    async def ask(path: str) -> tuple[int, bytes]:
        answer = await get(port, path)
        order.append(path)
        return answer

    with listen(config(port=0)) as listener:
        port = listener.getsockname()[1]
        build = serving_once(Gateway(config(port=port), [Paged(PluginConfig(), "paged")]))
        running = asyncio.ensure_future(server.serve(build, listener, stop, lambda *_: None, mount_later=True))
        page, unknown = asyncio.ensure_future(ask("/paged")), asyncio.ensure_future(ask("/nowhere"))
        assert await ask("/healthz") == (200, b'{"status":"ok"}')
        assert (await ask("/v1/chat/completions"))[0] == 401  # a path of providers, who have no key here
        assert (await page)[0] == 200
        assert (await unknown)[0] == 404
        assert set(order[:2]) == {"/healthz", "/v1/chat/completions"}
        stop.set()
        await running


async def test_where_routes_cannot_be_mounted_the_server_ends() -> None:
    plugin = Unmountable(PluginConfig(), "pages")
    plugin.log = []
    with listen(config(port=0)) as listener:
        build = serving_once(Gateway(config(port=listener.getsockname()[1]), [plugin]))
        with pytest.raises(ConfigError, match="plugin 'pages' cannot mount its routes: no template"):
            await server.serve(build, listener, asyncio.Event(), lambda *_: None, mount_later=True)
    assert plugin.log == ["stopped"]


def serving_once(gateway: Gateway) -> Callable[[], Gateway]:
    return lambda: gateway
