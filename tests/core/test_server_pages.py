"""A server that stops, and pages that follow what happens."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

from quart import Blueprint, Response

from helicone_gw import Gateway, GatewayConfig, Plugin, PluginConfig, hookimpl
from helicone_gw.server import serve
from helicone_gw.sockets import listen


class Following(Plugin):
    """A page that goes on until it is told to end."""

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint:
        pages = Blueprint("following", __name__)

        @pages.get("/dashboard/news")
        async def news() -> Response:
            async def events() -> AsyncIterator[bytes]:
                while not gateway.pages.closing:
                    yield b":\n\n"
                    await asyncio.sleep(0.01)

            return Response(events(), content_type="text/event-stream")

        return pages


async def test_pages_that_follow_what_happens_end_when_the_server_stops() -> None:
    config = GatewayConfig.model_validate(
        {"database": {"url": "sqlite://"}, "server": {"host": "127.0.0.1", "port": 0, "drain_timeout": 60}}
    )
    listener: socket.socket = listen(config)
    address = listener.getsockname()[:2]
    stop, started = asyncio.Event(), asyncio.Event()
    gateway = Gateway(config, [Following(PluginConfig(), "following")])
    serving = asyncio.ensure_future(serve(lambda: gateway, listener, stop, lambda gateway, url: started.set()))
    await started.wait()
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET /dashboard/news HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b" 200 " in await reader.readline()
    stop.set()
    async with asyncio.timeout(30):  # which is half of what the server would wait for it
        assert (await reader.read()).endswith(b"0\r\n\r\n")
        await serving
    writer.close()
