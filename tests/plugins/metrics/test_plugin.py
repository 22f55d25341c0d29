"""The hooks of ``metrics``: every exchange is counted once, whatever becomes of it, streamed or not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from helicone_gw import Exchange, Measurement, Plugin, Response, Usage, hookimpl
from helicone_gw.registry import load
from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.dialects import anthropic, openai_chat
from helicone_gw_metrics.plugin import MetricsPlugin
from tests.plugins.metrics.reading import config, page, plugin

pytestmark = pytest.mark.virtual_time

PRICES = {"models": {"gpt-4o-mini-2024-07-18": {"price": {"input_mtok": 1, "output_mtok": 10}}}}
MODEL = {"provider": "openai", "model": "gpt-4o-mini-2024-07-18"}
KEY = "sk-helicone-of-the-metrics-tests-01"


class Answering(Plugin):
    """Answers by itself, as a cache does."""

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> Response:
        exchange.annotate("cache.status", "hit")
        exchange.annotate("cache.saved_nano_usd", 2_000_000_000)
        exchange.annotate("cache.saved_ms", 1500)
        exchange.annotate("cache.saved_prompt_tokens", 12)
        exchange.annotate("cache.saved_completion_tokens", 30)
        return Response.of_json({"cached": True})


class Figures(Plugin):
    """Tells figures, some of which would make the page unreadable."""

    def measurements(self) -> Iterator[Measurement]:
        yield Measurement("queue_waiting", "gauge", "Waiting.", 3, {"queue": 'a "quoted"\nname'})
        yield Measurement("queue_waiting", "counter", "The same name, another kind.", 3, {"queue": "b"})
        yield Measurement("queue_waiting", "gauge", "The same name, other labels.", 3, {"other": "b"})
        yield Measurement("requests", "counter", "A name that is taken.", 3)
        yield Measurement("queue_total", "counter", "With the ending of counters.", 4)
        yield Measurement("No name", "gauge", "No name.", 3)
        yield Measurement("queue_surrogate", "gauge", "No text.", 5, {"queue": "\ud800"})
        wrong: Any = "many"
        yield Measurement("queue_wrong", "gauge", "No number.", wrong)
        yield Measurement("queue_endless", "gauge", "No number either.", float("nan"))


def test_it_is_offered_as_a_plugin() -> None:
    assert load("metrics") is MetricsPlugin
    assert MetricsPlugin.on_failure == "open"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_an_exchange_is_the_same_streamed_or_not(gateway: GatewayFactory, stream: bool, dialect: str) -> None:
    async with gateway(["metrics"]) as running:
        reply = await (running.chat if dialect == "openai" else running.message)(stream=stream)
        assert reply.status == 200
        shown = await page(running)
        exchange = running.exchanges[0]
    place = {"provider": dialect, "model": exchange.model or ""}
    streamed = "true" if stream else "false"
    assert shown.sum("requests_total", **place, outcome="ok", status="200", stream=streamed) == 1
    assert shown.sum("requests_total") == 1
    assert shown.sum("attempts_total", **place, status="200") == 1
    assert exchange.usage is not None
    assert shown.of("tokens_total", **place, **{"class": "input"}) == {(): exchange.usage.input_tokens}
    assert shown.of("tokens_total", **place, **{"class": "output"}) == {(): exchange.usage.output_tokens}
    assert shown.sum("request_duration_seconds_count", **place) == 1
    assert shown.sum("time_to_first_token_seconds_count", **place) == stream


@pytest.mark.parametrize("stream", [False, True])
async def test_what_it_cost_is_what_the_exchange_says(gateway: GatewayFactory, stream: bool) -> None:
    async with gateway(["metrics", "cost"], config=PRICES) as running:
        await running.chat(stream=stream)
        await running.chat(stream=stream)
        shown = await page(running)
        cost = running.exchanges[0].cost
    assert cost is not None
    assert shown.of("cost_dollars_total", **MODEL) == {(): pytest.approx(2 * cost.nano_usd / 1e9, abs=1e-12)}
    assert shown.sum("cost_unknown_requests_total") == 0


async def test_an_unknown_price_is_unknown_and_not_nothing(gateway: GatewayFactory) -> None:
    async with gateway(["metrics"]) as running:
        await running.chat()
        shown = await page(running)
    assert shown.of("cost_unknown_requests_total", **MODEL) == {(): 1}
    assert shown.of("cost_dollars_total") == {}


async def test_latency_and_first_token_fall_into_their_buckets(gateway: GatewayFactory) -> None:
    slow = openai_chat.stream("One two").delayed(0.6)
    async with gateway(config(latency_buckets=[0.5, 1], first_token_buckets=[0.1, 2])) as running:
        running.provider.enqueue(slow)
        await running.chat(stream=True)
        shown = await page(running)
    assert shown.of("request_duration_seconds_bucket", **MODEL) == {("0.5",): 0, ("1.0",): 1, ("+Inf",): 1}
    assert shown.of("time_to_first_token_seconds_bucket", **MODEL) == {("0.1",): 0, ("2.0",): 1, ("+Inf",): 1}
    assert shown.of("request_duration_seconds_sum", **MODEL) == {(): pytest.approx(0.6)}


async def test_failures_and_refusals_by_their_codes(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.error(500), openai_chat.stream("One two three").cut(events=2, how="reset"))
    async with gateway(["metrics"], provider=provider) as running:
        await running.chat()
        cut = await running.chat(stream=True)
        assert cut.aborted
        await running.request("POST", "/v1/chat/completions", content=b"{")
        shown = await page(running)
    assert shown.sum("requests_total", outcome="upstream_error", status="500") == 1
    assert shown.sum("requests_total", outcome="stream_broken", status="200", stream="true") == 1
    assert shown.sum("requests_total", outcome="refused", status="400", provider="") == 1
    assert shown.of("errors_total", outcome="refused") == {("malformed_body",): 1}
    assert shown.sum("errors_total") == 3
    assert shown.sum("attempts_total", status="500") == 1
    assert shown.sum("attempts_total") == 2


async def test_every_attempt_counts_and_the_exchange_once(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.error(500), openai_chat.answer())
    plugins = ["metrics", {"retries": {"enabled": True, "num": 1}}]
    async with gateway(plugins, provider=provider) as running:
        await running.chat()
        shown = await page(running)
    assert shown.sum("requests_total") == shown.sum("requests_total", outcome="ok") == 1
    assert shown.of("attempts_total", provider="openai", status="500") != {}
    assert shown.sum("attempts_total") == 2


async def test_a_client_that_left(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.stream("One two three").delayed(5))
    async with gateway(["metrics"], provider=provider) as running:
        body = {"model": "gpt-4o-mini", "messages": [], "stream": True}
        async with running.stream("POST", "/v1/chat/completions", json=body):
            await asyncio.sleep(1)
        shown = await page(running)
    assert shown.sum("requests_total", outcome="client_disconnected") == 1


async def test_what_a_cache_did_and_saved(gateway: GatewayFactory) -> None:
    async with gateway(["metrics", "answering"], classes={"answering": Answering}) as running:
        await running.chat()
        await running.chat()
        shown = await page(running)
    assert shown.of("cache_requests_total") == {("hit",): 2}
    assert shown.of("cache_saved_dollars_total") == {(): 4}
    assert shown.of("cache_saved_seconds_total") == {(): 3}
    assert shown.of("cache_saved_tokens_total") == {(): 84}
    assert shown.of("tokens_unknown_requests_total") == shown.of("cost_unknown_requests_total") == {}


async def test_classes_of_tokens(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(anthropic.reply(usage=Usage(input_tokens=100, output_tokens=5, cache_read_tokens=90)))
    async with gateway(["metrics"], provider=provider) as running:
        await running.message()
        shown = await page(running)
        model = running.exchanges[0].model
    assert shown.of("tokens_total", provider="anthropic", model=model or "") == {
        ("input",): 100,
        ("output",): 5,
        ("cache_read",): 90,
    }


async def test_models_beyond_the_bound_are_counted_together(gateway: GatewayFactory) -> None:
    async with gateway(config(max_values=2)) as running:
        running.provider.default = lambda request: openai_chat.reply("Hi", model=request.json()["model"])
        for number in range(5):
            await running.chat(model=f"gpt-{number}")
        shown = await page(running)
    assert shown.sum("requests_total") == 5
    assert shown.sum("requests_total", model="gpt-1") == 1
    assert shown.sum("requests_total", model="(other)") == 3
    assert shown.sum("metrics_overflowed_total", label="model") > 0


async def test_series_beyond_the_bound_are_counted_together(gateway: GatewayFactory) -> None:
    async with gateway(config(max_series=2)) as running:
        running.provider.default = lambda request: openai_chat.reply("Hi", model=request.json()["model"])
        for number in range(6):
            await running.chat(model=f"gpt-{number}")
        shown = await page(running)
    assert shown.sum("requests_total") == shown.sum("attempts_total") == 6
    assert shown.sum("requests_total", provider="(other)", operation="(other)") == 4
    assert shown.sum("metrics_series_overflowed_total") == 4


async def test_figures_of_the_core_and_of_plugins_and_what_is_none_of_them(gateway: GatewayFactory) -> None:
    async with gateway(["metrics", "figures"], classes={"figures": Figures}) as running:
        await running.chat()
        shown = await page(running)
    assert shown.of("queue_waiting") == {('a "quoted"\nname',): 3}
    assert shown.of("queue_total") == {(): 4}
    assert shown.of("queue_surrogate") == {("?",): 5}
    assert shown.of("queue_wrong") == shown.of("queue_endless") == {}
    assert shown.sum("requests_total") == 1
    assert shown.of("exchanges_active") == {(): 0}


async def test_whoever_prefers_openmetrics_gets_it(gateway: GatewayFactory) -> None:
    async with gateway(["metrics", "cost"]) as running:
        await running.chat()
        accept = "application/openmetrics-text;version=1.0.0"
        reply = await running.request("GET", "/metrics", headers={"accept": accept})
        assert (reply.headers.get("content-type") or "").startswith("application/openmetrics-text")
        assert (await page(running, accept=accept)).sum("requests_total") == 1
        plain = await running.request("GET", "/metrics")
    assert (plain.headers.get("content-type") or "").startswith("text/plain")


async def test_a_key_is_needed_where_there_are_keys(gateway: GatewayFactory) -> None:
    plugins = ["metrics", {"security": {"keys": {"mine": KEY}}}]
    async with gateway(plugins) as running:
        assert (await running.request("GET", "/metrics")).status == 401
        reply = await running.request("GET", "/metrics", headers={"authorization": f"Bearer {KEY}"})
    assert reply.status == 200
    assert KEY not in reply.body.decode()


async def test_the_outermost_of_two_is_shown(gateway: GatewayFactory) -> None:
    plugins = ["metrics", {"metrics": {"name": "inner", "max_values": 1}}]
    async with gateway(plugins) as running:
        await running.chat()
        shown = await page(running)
        assert plugin(running).name == "metrics"
    assert shown.sum("requests_total") == 1
    assert shown.of("inner_series_overflowed_total") == {(): 0}


async def test_nothing_is_asked_of_the_streams_events(gateway: GatewayFactory) -> None:
    async with gateway(["metrics"]) as running:
        assert running.gateway.chain.on_stream_chunk == ()
        assert running.gateway.chain.on_response == ()
        assert [hook.plain for hook in running.gateway.chain.on_finish] == [True]


async def test_what_the_official_plugins_count_is_shown(gateway: GatewayFactory) -> None:
    plugins = ["logging", "metrics", "ratelimit", "cache", "semantic-cache", {"retries": {"enabled": True}}]
    async with gateway(plugins) as running:
        await running.chat(headers={"Helicone-Cache-Enabled": "true", "Helicone-RateLimit-Policy": "10;w=60"})
        await asyncio.sleep(5)
        shown = await page(running)
    assert shown.of("logging_rows_written_total") == {(): 1}
    assert shown.of("logging_queue_rows") == {(): 0}
    assert shown.of("cache_backend_stored_total") == {(): 1}
    assert shown.of("cache_flights_led_total") == {(): 1}
    assert shown.of("semantic_cache_hits_total") == {(): 0}
    assert shown.sum("ratelimit_decisions_total", what="admitted") == 1
    assert shown.sum("retries_refused_total") == 0
