"""The conformance suite can fail: for each thing that a plugin must hold, a plugin that does not hold it is caught."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any, ClassVar

import pytest
import typer
from quart import Blueprint

from helicone_gw import (
    ConfigError,
    Exchange,
    Gateway,
    PermissionDenied,
    Plugin,
    PluginConfig,
    Response,
    hookimpl,
)
from helicone_gw.testing import GatewayFactory, PluginConformance
from tests.core.testing.rule_breakers import (
    Assuming,
    BrokenPage,
    CommandsNeedStartup,
    Deaf,
    DeafAtStart,
    Dependent,
    Hoarding,
    Leaky,
    Lenient,
    Logging,
    Meddling,
    NoCommands,
    Optimist,
    Optimistic,
    Printing,
    Singleton,
    Thawed,
    Unready,
    Untidy,
)

pytest_plugins = ["pytester"]

FIXTURES = {"gateway", "tmp_path", "capfd"}


class Exemplary(Plugin):
    """Has a little of everything and does nothing wrong."""

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        self.beating = gateway.background.spawn(asyncio.sleep(0), "beat")

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        await asyncio.sleep(0)
        exchange.headers["x-exemplary"] = "yes"

    @hookimpl
    async def on_response(self, exchange: Exchange, response: Response) -> None:
        await asyncio.sleep(0)

    @hookimpl
    async def on_finish(self, exchange: Exchange) -> None:
        await asyncio.sleep(0)

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint:
        pages = Blueprint(self.name, __name__)
        pages.add_url_rule(f"/{self.name}/page", view_func=self._page)
        return pages

    async def _page(self) -> str:
        return "a page"

    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        @cli.command("exemplify")
        def exemplify() -> None:
            """Do it."""


class TestExemplary(PluginConformance):
    plugin = Exemplary


class Refusing(Plugin):
    """Lets nobody in without a token."""

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        if exchange.request.headers.get("x-token") == "open sesame 0123456789":
            return
        raise PermissionDenied("no token")


class TestRefusing(PluginConformance):
    plugin = Refusing
    headers: ClassVar[dict[str, str]] = {"x-token": "open sesame 0123456789"}


class Canned(Plugin):
    """Answers everything itself."""

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> Response:
        return Response.of_json({})


class TestCanned(PluginConformance):
    plugin = Canned
    changes_answers = True


@pytest.mark.parametrize(
    ("plugin", "test", "options", "told"),
    [
        (Thawed, "the_registry_accepts_it", {}, "must stay frozen"),
        (Thawed, "its_configuration_is_frozen", {}, None),
        (Lenient, "an_unknown_key_is_refused", {}, "forbid extra keys"),
        (Unready, "it_starts_and_stops_twice_in_a_row", {}, "already exists"),
        (Singleton, "two_instances_live_side_by_side", {}, "always-the-same"),
        (Untidy, "it_leaves_nothing_behind", {}, "left behind: task"),
        (Leaky, "it_leaves_nothing_behind", {}, "open files"),
        (DeafAtStart, "it_can_be_interrupted_while_it_starts", {"turns": 8}, "swallowed"),
        (Deaf, "a_hook_never_swallows_a_cancellation", {"hook": "on_finish"}, "on_finish swallowed"),
        (Meddling, "the_client_gets_what_the_provider_sent", {"kind": "chat"}, None),
        (Optimistic, "it_lives_with_a_provider_that_fails", {"kind": "chat", "failure": "overloaded"}, "on_error"),
        (Assuming, "it_lives_with_a_client_that_leaves", {"when": "before the answer"}, "on_finish"),
        (Optimist, "it_lives_with_a_stream_that_breaks", {"how": "reset"}, "on_finish"),
        (Hoarding, "it_lets_go_of_an_exchange_that_ended", {}, "still held"),
        (Dependent, "it_lives_with_neighbours_that_fail", {"hook": "pre_request"}, "on_finish"),
        (Logging, "no_secret_gets_into_the_log", {}, "planted-words"),
        (Printing, "no_secret_gets_into_the_log", {}, "planted-cookie"),
        (BrokenPage, "its_pages_answer", {}, "/broken answers 500"),
        (CommandsNeedStartup, "its_commands_explain_themselves", {}, "gateway"),
        (NoCommands, "its_commands_explain_themselves", {}, "added no command"),
    ],
)
async def test_who_breaks_a_rule_is_caught(
    plugin: type[Plugin], test: str, options: dict[str, Any], told: str | None, request: pytest.FixtureRequest
) -> None:
    function = getattr(type("Suite", (PluginConformance,), {"plugin": plugin})(), f"test_{test}")
    wanted = FIXTURES.intersection(inspect.signature(function).parameters)
    fixtures = {name: request.getfixturevalue(name) for name in wanted}

    async def run() -> None:
        result = function(**fixtures, **options)
        if inspect.isawaitable(result):
            await result

    try:
        with pytest.raises((AssertionError, ConfigError, pytest.fail.Exception, AttributeError), match=told):
            await run()
    finally:
        for task in Untidy.tasks:
            task.cancel()
        for file in Leaky.files:
            file.close()
        for kept in (Untidy.tasks, Leaky.files, Hoarding.kept):
            kept.clear()


@pytest.mark.parametrize(
    ("cls", "name"),
    [("AuditTrailPlugin", "audit-trail"), ("Cost", "cost"), ("Plugin", "plugin"), ("GeoIP2Plugin", "geo-ip2")],
)
def test_the_name_is_the_class_in_small_letters(cls: str, name: str) -> None:
    suite = type("Suite", (PluginConformance,), {"plugin": type(cls, (Plugin,), {})})()
    assert suite._name == name


async def test_the_configuration_is_the_plugins_own(gateway: GatewayFactory, tmp_path: Path) -> None:
    seen = []

    class Configured(Plugin):
        class Config(PluginConfig):
            size: int

        @hookimpl
        async def startup(self, gateway: Gateway) -> None:
            seen.append(self.config)

    class Suite(PluginConformance):
        plugin = Configured
        config: ClassVar[dict[str, Any]] = {"size": 3}

    await Suite().test_it_starts_and_stops_twice_in_a_row(gateway, tmp_path)
    assert [config.model_dump() for config in seen] == [{"size": 3}] * 2


SUITE = """
    from helicone_gw import Plugin, hookimpl
    from helicone_gw.testing import PluginConformance

    class Mine(Plugin):
        @hookimpl
        async def pre_request(self, exchange): ...

    class TestMine(PluginConformance):
        plugin = Mine
"""


@pytest.mark.parametrize("mode", ["auto", pytest.param("strict", marks=pytest.mark.full)])
def test_a_foreign_project_runs_it_with_one_class(pytester: pytest.Pytester, mode: str) -> None:
    pytester.makepyfile(SUITE)
    pytester.makeini(
        f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
        "addopts = --strict-markers\n"
    )
    result = pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "-p", "no:xdist", "-k", "not neighbours and not fails"
    )
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) == outcomes.get("errors", 0) == 0
    assert outcomes["passed"] > 20


@pytest.mark.virtual_time
class TestInVirtualTime(PluginConformance):
    """The whole suite also runs where time only jumps."""

    plugin = Exemplary
