"""Requests go down the list, answers come up; who answers or raises decides who sees it."""

from __future__ import annotations

from typing import ClassVar

import pytest
from onion import A, B, ListSink, exchange, gateway, handle, plugin, router

from helicone_gw import (
    Exchange,
    Fallback,
    Headers,
    PermissionDenied,
    Plugin,
    PluginConfig,
    Response,
    Retry,
    UpstreamError,
    hookimpl,
)
from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import openai_chat

HOOKS = ("pre_request", "route_model", "on_attempt", "on_response", "on_error", "on_finish", "on_stream_chunk")


class Trace:
    """Plugins that note which of their hooks were called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def plugin(self, name: str, **answers: object):
        def noting(hook: str):
            def function(exchange, *arguments):
                self.calls.append(f"{name}.{hook}")
                answer = answers.get(hook)
                return answer(exchange, *arguments) if callable(answer) else answer

            return function

        return plugin(name, **{hook: noting(hook) for hook in HOOKS})

    def of(self, *hooks: str) -> list[str]:
        return [call for call in self.calls if call.partition(".")[2] in hooks]


def refuse(exchange, *arguments):
    raise PermissionDenied("No.")


async def test_down_outermost_first_and_up_innermost_first() -> None:
    trace = Trace()
    layers = [trace.plugin("a"), trace.plugin("b"), trace.plugin("c")]
    sink = await handle(gateway(layers, ScriptedProvider(openai_chat.reply("Hello!"))), exchange())
    assert sink.status == 200
    assert trace.calls == [
        *["a.pre_request", "b.pre_request", "c.pre_request", "a.route_model", "b.route_model", "c.route_model"],
        *["c.on_attempt", "b.on_attempt", "a.on_attempt", "c.on_response", "b.on_response", "a.on_response"],
        *["c.on_finish", "b.on_finish", "a.on_finish"],
    ]


async def test_an_early_answer_is_seen_only_by_the_layers_outside_it() -> None:
    trace = Trace()
    early = Response.of_json({"early": True})
    layers = [trace.plugin("a"), trace.plugin("b", pre_request=lambda exchange: early), trace.plugin("c")]
    provider = ScriptedProvider()
    sink = await handle(gateway(layers, provider), exchange())
    assert sink.body == b'{"early":true}'
    assert trace.calls == ["a.pre_request", "b.pre_request", "a.on_response", "b.on_finish", "a.on_finish"]
    assert provider.requests == []


@pytest.mark.parametrize("others", [{}, {"x-layer": "1"}])
async def test_an_early_answer_may_say_what_the_gateway_has_no_word_of(others: dict[str, str]) -> None:
    def hit(exchange):
        exchange.headers.update(others)
        return Response(200, Headers({"helicone-cost": "0.1", "helicone-attempts": "7"}), b"{}")

    sink = await handle(gateway([plugin("cache", pre_request=hit)], ScriptedProvider()), exchange())
    assert sink.headers.get_all("helicone-cost") == ["0.1"]
    assert sink.headers.get_all("helicone-attempts") == ["0"]


async def test_a_refusal_is_asked_about_only_outside_the_layer_that_raised_it() -> None:
    trace = Trace()
    layers = [trace.plugin("a"), trace.plugin("b", pre_request=refuse), trace.plugin("c")]
    sink = await handle(gateway(layers, ScriptedProvider()), exchange())
    assert sink.status == 403
    assert trace.calls == ["a.pre_request", "b.pre_request", "a.on_error", "b.on_finish", "a.on_finish"]


async def test_an_error_raised_on_the_way_up_bubbles_outwards_only() -> None:
    trace = Trace()
    layers = [trace.plugin("a"), trace.plugin("b", on_response=refuse), trace.plugin("c")]
    sink = await handle(gateway(layers, ScriptedProvider(openai_chat.reply("Hello!"))), exchange())
    assert sink.status == 403
    assert trace.of("on_response", "on_error") == ["c.on_response", "b.on_response", "a.on_error"]


async def test_an_answer_to_an_error_ascends_from_the_layer_that_gave_it() -> None:
    trace = Trace()
    rescue = Response.of_json({"rescued": True})
    layers = [trace.plugin("a"), trace.plugin("b", on_error=lambda exchange, error: rescue), trace.plugin("c")]
    one = exchange()
    sink = await handle(gateway(layers, ScriptedProvider(openai_chat.error(500, "oops"))), one)
    assert (sink.status, sink.body) == (200, b'{"rescued":true}')
    assert trace.of("on_response", "on_error") == ["c.on_error", "b.on_error", "a.on_response"]
    assert one.outcome is not None
    assert one.outcome.kind == "ok"


async def test_retries_inside_fallbacks_try_each_target_to_its_end() -> None:
    tried: list[str] = []

    def retry_once(exchange, error):
        target = exchange.attempts[-1].target
        same = [attempt for attempt in exchange.attempts if attempt.target == target]
        return Retry() if len(same) < 2 else None

    layers = [
        router(A, B),
        plugin("fallbacks", on_error=lambda exchange, error: Fallback()),
        plugin("retries", on_error=retry_once),
        plugin("watch", on_attempt=lambda exchange, attempt: tried.append(str(attempt.target))),
    ]
    provider = ScriptedProvider(default=openai_chat.error(500, "oops"))
    one = exchange()
    sink = await handle(gateway(layers, provider), one)
    assert tried == [str(A), str(A), str(B), str(B)]
    assert sink.status == 500
    assert len(one.attempts) == 4


async def test_attempts_are_bounded() -> None:
    layers = [plugin("retries", on_error=lambda exchange, error: Retry())]
    provider = ScriptedProvider(default=openai_chat.error(500, "oops"))
    one = exchange()
    await handle(gateway(layers, provider, max_attempts=7), one)
    assert len(one.attempts) == 7


async def test_decisions_count_only_for_failed_attempts() -> None:
    layers = [plugin("retries", on_error=lambda exchange, error: Retry()), plugin("guard", pre_request=refuse)]
    provider = ScriptedProvider()
    sink = await handle(gateway(layers, provider), exchange())
    assert sink.status == 403
    assert provider.requests == []


@pytest.mark.parametrize("hook", ["pre_request", "on_response", "on_error", "on_attempt"])
async def test_a_fault_in_an_open_plugin_is_no_opinion(hook: str) -> None:
    def broken(exchange, *arguments):
        raise KeyError("bug")

    layers = [plugin("observer", on_failure="open", **{hook: broken})]
    reply = openai_chat.error(500, "oops") if hook == "on_error" else openai_chat.reply("Hello!")
    running = gateway(layers, ScriptedProvider(reply))
    sink = await handle(running, exchange())
    assert sink.status == (500 if hook == "on_error" else 200)
    assert running.pipeline.services.caller.faults == {("observer", hook): 1}


@pytest.mark.parametrize("hook", ["pre_request", "route_model", "on_response", "on_attempt"])
async def test_a_fault_in_a_closed_plugin_is_a_500_that_names_it(hook: str) -> None:
    def broken(exchange, *arguments):
        raise KeyError("bug")

    layers = [plugin("guard", on_failure="closed", **{hook: broken})]
    one = exchange()
    sink = await handle(gateway(layers, ScriptedProvider(openai_chat.reply("Hello!"))), one)
    assert sink.status == 500
    assert b"'guard'" in sink.body
    assert b"bug" not in sink.body
    assert one.outcome is not None
    assert one.outcome.kind == "internal_error"


async def test_a_value_of_the_wrong_type_is_a_fault_that_names_the_plugin() -> None:
    sink = await handle(gateway([plugin("odd", pre_request=lambda exchange: "yes")], ScriptedProvider()), exchange())
    assert sink.status == 500
    assert b"'odd'" in sink.body


async def test_a_refused_exchange_is_told_to_every_layer() -> None:
    trace = Trace()
    running = gateway([trace.plugin("a"), trace.plugin("b")], ScriptedProvider())
    sink = ListSink()
    await running.pipeline.refuse(exchange(), PermissionDenied("No."), sink)
    assert sink.status == 403
    assert trace.calls == ["b.on_finish", "a.on_finish"]


async def test_what_asked_no_provider_is_known_to_have_cost_nothing() -> None:
    one = exchange()
    await handle(gateway([plugin("guard", pre_request=refuse)], ScriptedProvider()), one)
    assert one.cost is not None
    assert one.cost.nano_usd == 0


async def test_an_error_replaced_in_on_error_is_what_the_layers_outside_see() -> None:
    seen: list[object] = []

    def replace(exchange, error):
        assert isinstance(error, UpstreamError)
        raise PermissionDenied("Not that one.")

    layers = [plugin("a", on_error=lambda exchange, error: seen.append(error)), plugin("b", on_error=replace)]
    sink = await handle(gateway(layers, ScriptedProvider(openai_chat.error(500, "oops"))), exchange())
    assert [type(error) for error in seen] == [PermissionDenied]
    assert sink.status == 403


class Plain(Plugin):
    """An ``on_finish`` that never waits."""

    seen: ClassVar[list[str]] = []

    @hookimpl
    def on_finish(self, exchange: Exchange) -> None:
        self.seen.append(f"{self.name} {exchange.outcome.kind}")
        raise RuntimeError("a fault of its own")


async def test_a_plain_on_finish_is_told_like_any_other_and_its_fault_is_counted() -> None:
    Plain.seen.clear()
    layers = [Plain(PluginConfig(), "a"), Plain(PluginConfig(), "b")]
    built = gateway(layers, ScriptedProvider(openai_chat.reply("Hello!")))
    sink = await handle(built, exchange())
    assert sink.status == 200
    assert Plain.seen == ["b ok", "a ok"]
    assert built.pipeline.services.caller.faults == {("b", "on_finish"): 1, ("a", "on_finish"): 1}


async def test_plain_and_waiting_ones_are_told_in_the_same_order() -> None:
    Plain.seen.clear()
    trace = Trace()
    layers = [Plain(PluginConfig(), "a"), trace.plugin("b"), Plain(PluginConfig(), "c")]
    await handle(gateway(layers, ScriptedProvider(openai_chat.reply("Hello!"))), exchange())
    assert Plain.seen == ["c ok", "a ok"]
    assert trace.of("on_finish") == ["b.on_finish"]
