"""The start-up compiler: from registered plugins to tuples of callables in the YAML's order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helicone_gw import Exchange, GatewayError, Plugin, PluginConfig, Response, Secret, hookimpl
from helicone_gw.chain import INWARDS, REQUEST_HOOKS, Chain, compile_chain, lifecycle_hooks, unsafe_orders
from helicone_gw.registry import new_manager


class Everything(Plugin):
    tick = 5.0
    on_failure = "open"
    timeout = 2.0

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        """Do nothing."""

    @hookimpl
    async def route_model(self, exchange: Exchange) -> None:
        """Do nothing."""

    @hookimpl
    async def on_attempt(self, exchange: Exchange, attempt: Any) -> None:
        """Do nothing."""

    @hookimpl
    def on_stream_chunk(self, exchange: Exchange, chunk: Any) -> None:
        """Do nothing."""

    @hookimpl
    def before_stream(self, exchange: Exchange) -> None:
        """Do nothing."""

    @hookimpl
    def before_end(self, exchange: Exchange) -> None:
        """Do nothing."""

    @hookimpl
    async def on_response(self, exchange: Exchange, response: Response) -> None:
        """Do nothing."""

    @hookimpl
    async def on_error(self, exchange: Exchange, error: GatewayError) -> None:
        """Do nothing."""

    @hookimpl
    async def on_finish(self, exchange: Exchange) -> None:
        """Do nothing."""


class Settings(PluginConfig):
    limit: int = 1
    key: Secret = Secret("")


def compiled(*plugins: Plugin) -> Chain:
    manager = new_manager()
    for plugin in reversed(plugins):  # the order of registration says nothing
        manager.register(plugin, name=plugin.name)
    return compile_chain(plugins, manager)


def named(*names: str, cls: type[Plugin] = Everything) -> list[Plugin]:
    return [cls(PluginConfig(), name) for name in names]


@pytest.mark.parametrize("hook", REQUEST_HOOKS)
def test_hooks_stand_in_calling_order(hook: str) -> None:
    chain = compiled(*named("outer", "middle", "inner"))
    order = ["outer", "middle", "inner"]
    hooks = chain.hooks()[hook]
    assert [each.plugin for each in hooks] == (order if hook in INWARDS else order[::-1])
    assert [order[each.index] for each in hooks] == [each.plugin for each in hooks]
    assert all(each.name == hook for each in hooks)


def test_a_hook_that_nobody_implements_is_empty() -> None:
    chain = compiled(Plugin(PluginConfig(), "idle"))
    assert chain.layers == ("idle",)
    assert chain.depth == 1
    assert set(chain.hooks().values()) == {()}
    assert compiled().depth == 0


def test_failure_mode_timeout_and_ticks_are_the_instances() -> None:
    open_one, closed_one = named("open", "closed")
    closed_one.on_failure, closed_one.timeout = "closed", None
    inner, outer = compiled(open_one, closed_one).on_finish
    assert (inner.plugin, inner.closed, inner.timeout) == ("closed", True, None)
    assert (outer.plugin, outer.closed, outer.timeout) == ("open", False, 2.0)
    calm = type("Calm", (Everything,), {"tick": None})(PluginConfig(), "calm")
    assert [hook.plugin for hook in compiled(open_one, calm).ticks] == ["open"]


def test_a_hook_that_an_instance_does_without_is_not_called() -> None:
    does, does_not = named("does", "does_not")
    does_not.unused_hooks = ("before_end",)
    chain = compiled(does, does_not)
    assert [hook.plugin for hook in chain.before_end] == ["does"]
    assert [hook.plugin for hook in chain.on_finish] == ["does_not", "does"]


def test_the_largest_wish_for_captures_holds() -> None:
    small, large = named("small", "large")
    small.capture_bytes, large.capture_bytes = 10, 1000
    assert compiled(small, large).capture_bytes == 1000
    assert compiled().capture_bytes == 0


class Choosy(Plugin):
    seen: list[Any]

    @hookimpl
    async def on_error(self, error: GatewayError) -> None:
        self.seen.append(error)

    @hookimpl
    async def on_response(self, response: Response, exchange: Exchange) -> None:
        self.seen.append((exchange, response))

    @hookimpl
    async def on_finish(self) -> None:
        self.seen.append("finished")

    @hookimpl
    async def startup(self) -> None:
        self.seen.append("started")


def test_an_implementation_names_only_the_arguments_that_it_needs() -> None:
    plugin = Choosy(PluginConfig(), "choosy")
    plugin.seen = []
    chain = compiled(plugin)

    async def call() -> None:
        await chain.on_error[0].call("exchange", "error")
        await chain.on_response[0].call("exchange", "response")
        await chain.on_finish[0].call("exchange")
        manager = new_manager()
        manager.register(plugin)
        for _, startup in lifecycle_hooks([plugin], manager, "startup"):
            await startup("gateway")

    asyncio.run(call())
    assert plugin.seen == ["error", ("exchange", "response"), "finished", "started"]


def test_lifecycle_hooks_stand_outermost_first() -> None:
    plugins = [
        Choosy(PluginConfig(), "one"),
        Everything(PluginConfig(), "without"),
        Choosy(PluginConfig(), "two"),
    ]
    manager = new_manager()
    for plugin in reversed(plugins):
        manager.register(plugin, name=plugin.name)
    assert [plugin.name for plugin, _ in lifecycle_hooks(plugins, manager, "startup")] == ["one", "two"]
    assert lifecycle_hooks(plugins, manager, "register_routes") == []


def fingerprint(*inside: Plugin, of: str = "cache") -> str:
    return compiled(Plugin(PluginConfig(), "cache"), *inside).fingerprint(of)


def test_a_fingerprint_tells_what_lies_inside() -> None:
    a, b = Everything(Settings(limit=1), "guard"), Everything(Settings(limit=2), "guard")
    outer = Everything(Settings(limit=2), "outer")
    assert fingerprint(a) == fingerprint(Everything(Settings(limit=1), "guard"))
    assert fingerprint(a) != fingerprint(b)
    other = Everything(Settings(limit=1), "other")
    assert fingerprint(a, other) != fingerprint(other, a)
    assert fingerprint(a) != fingerprint(Choosy(Settings(limit=1), "guard"))
    assert fingerprint(a) != fingerprint()
    outside = compiled(outer, Plugin(PluginConfig(), "cache"), a)
    assert outside.fingerprint("cache") == fingerprint(a), "what lies outside does not count"


def test_a_secret_is_no_policy() -> None:
    one = Everything(Settings(key=Secret("sk-one")), "guard")
    other = Everything(Settings(key=Secret("sk-other")), "guard")
    assert fingerprint(one) == fingerprint(other)


def test_an_unknown_plugin_has_no_fingerprint() -> None:
    with pytest.raises(ValueError, match="tuple"):
        fingerprint(of="missing")


@pytest.mark.parametrize(
    ("order", "warned"),
    [
        (("logging", "security", "cache"), []),
        (("security", "logging"), ["logging"]),
        (("cache", "security"), ["security"]),
        (("cache",), []),
        (("retries", "fallbacks", "ratelimit"), ["ratelimit", "fallbacks"]),
    ],
)
def test_unsafe_orders(order: tuple[str, ...], warned: list[str]) -> None:
    warnings = unsafe_orders(named(*order, cls=Plugin))
    assert [warning.split("'")[1] for warning in warnings] == warned


def test_what_plugins_ask_for_themselves_is_checked_and_does_not_sort() -> None:
    class Wishful(Plugin):
        after = ("first",)
        before = ("last",)

    wishful = Wishful(PluginConfig(), "mine")
    first, last = named("first", "last", cls=Plugin)
    assert unsafe_orders([first, wishful, last]) == []
    warnings = unsafe_orders([last, wishful, first])
    assert warnings == [
        "'first' should stand before (outside) 'mine': the plugin asks for it",
        "'mine' should stand before (outside) 'last': the plugin asks for it",
    ]
    assert compiled(last, wishful, first).layers == ("last", "mine", "first")


def test_a_renamed_instance_is_judged_by_what_it_is() -> None:
    plugins = named("answers", "audit", cls=Plugin)
    assert unsafe_orders(plugins) == []
    (warning,) = unsafe_orders(plugins, {"answers": "cache", "audit": "logging"})
    assert "cache hits would not be logged" in warning
