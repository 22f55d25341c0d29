"""Plugins that each break one rule that every plugin must hold."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, ClassVar

import structlog
import typer
from pydantic import ConfigDict
from quart import Blueprint
from sqlalchemy import text

from helicone_gw import Exchange, Gateway, GatewayError, Plugin, PluginConfig, Response, hookimpl


class Thawed(Plugin):
    class Config(PluginConfig):
        model_config = ConfigDict(frozen=False)
        setting: int = 1


class Lenient(Plugin):
    class Config(PluginConfig):
        model_config = ConfigDict(extra="ignore")


class Unready(Plugin):
    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        async with gateway.database.begin() as connection:
            await connection.execute(text("CREATE TABLE mine (id INTEGER)"))


class Singleton(Plugin):
    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint:
        return Blueprint("always-the-same", __name__)


class Untidy(Plugin):
    tasks: ClassVar[list[asyncio.Task[None]]] = []

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        self.tasks.append(asyncio.ensure_future(asyncio.sleep(3600)))


class Leaky(Plugin):
    files: ClassVar[list[Any]] = []

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        self.files.append(open("/dev/null"))  # noqa: ASYNC230, SIM115


class DeafAtStart(Plugin):
    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.01)


class Deaf(Plugin):
    @hookimpl
    async def on_finish(self, exchange: Exchange) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.01)


class Meddling(Plugin):
    @hookimpl
    async def on_response(self, exchange: Exchange, response: Response) -> Response:
        return response.replace(body=(response.body or b"") + b" ")


class Optimistic(Plugin):
    on_failure = "open"

    @hookimpl
    async def on_error(self, exchange: Exchange, error: GatewayError) -> None:
        raise KeyError("did not expect that")


class Assuming(Plugin):
    @hookimpl
    async def on_finish(self, exchange: Exchange) -> None:
        assert exchange.response is not None, "there is no response when the client left early"


class Optimist(Plugin):
    @hookimpl
    async def on_finish(self, exchange: Exchange) -> None:
        assert exchange.error is None, "a broken stream has an error"


class Hoarding(Plugin):
    kept: ClassVar[list[Exchange]] = []

    @hookimpl
    async def on_finish(self, exchange: Exchange) -> None:
        self.kept.append(exchange)


class Dependent(Plugin):
    @hookimpl
    async def on_finish(self, exchange: Exchange) -> None:
        if exchange.route is None:
            raise LookupError("nobody had routed it")


class Logging(Plugin):
    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        structlog.get_logger().info("a request", body=exchange.request.body)


class Printing(Plugin):
    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        print(exchange.original.headers.get("cookie"))


class BrokenPage(Plugin):
    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint:
        pages = Blueprint(self.name, __name__)
        pages.add_url_rule("/broken", view_func=self._page)
        return pages

    async def _page(self) -> tuple[str, int]:
        return "broken", 500


class CommandsNeedStartup(Plugin):
    gateway: Gateway

    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        cli.command(str(self.gateway))(lambda: None)


class NoCommands(Plugin):
    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        """Nothing."""
