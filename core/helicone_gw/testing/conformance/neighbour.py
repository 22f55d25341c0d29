"""A plugin to stand beside the one that is tested, and to fail when it is told to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from helicone_gw.errors import BadRequest, GatewayError
from helicone_gw.exchange import Exchange
from helicone_gw.hookspecs import hookimpl
from helicone_gw.model import Attempt, Chunk, Response
from helicone_gw.plugin import Plugin

FAULT = "a neighbour of the plugin failed, as it was told to"

Misbehaviour = Literal["fault", "refusal"]


@dataclass
class Plan:
    """Which neighbour misbehaves next, in which hook and how."""

    who: str = ""
    hook: str = ""
    how: Misbehaviour = "fault"

    def fail(self, who: str, hook: str, how: Misbehaviour) -> None:
        """From now on."""
        self.who, self.hook, self.how = who, hook, how

    def rest(self) -> None:
        """Nobody misbehaves any more."""
        self.who = ""


def neighbour(plan: Plan) -> type[Plugin]:
    """A plugin that has every hook, does nothing in any, and fails when ``plan`` says that it is its turn."""

    def now(plugin: Plugin, hook: str) -> None:
        if plan.who == plugin.name and plan.hook == hook:
            raise BadRequest(FAULT) if plan.how == "refusal" else RuntimeError(FAULT)

    class Neighbour(Plugin):
        @hookimpl
        async def pre_request(self, exchange: Exchange) -> None:
            now(self, "pre_request")

        @hookimpl
        async def route_model(self, exchange: Exchange) -> None:
            now(self, "route_model")

        @hookimpl
        async def on_attempt(self, exchange: Exchange, attempt: Attempt) -> None:
            now(self, "on_attempt")

        @hookimpl
        def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> None:
            now(self, "on_stream_chunk")

        @hookimpl
        def before_stream(self, exchange: Exchange) -> None:
            now(self, "before_stream")

        @hookimpl
        def before_end(self, exchange: Exchange) -> None:
            now(self, "before_end")

        @hookimpl
        async def on_response(self, exchange: Exchange, response: Response) -> None:
            now(self, "on_response")

        @hookimpl
        async def on_error(self, exchange: Exchange, error: GatewayError) -> None:
            now(self, "on_error")

        @hookimpl
        async def on_finish(self, exchange: Exchange) -> None:
            now(self, "on_finish")

    return Neighbour
