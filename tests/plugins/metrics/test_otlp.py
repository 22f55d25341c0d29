"""OpenTelemetry: traces and metrics reach a real collector, and one that does not answer costs no client a thing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from tests.plugins.metrics.collector import Collector, attributes, collecting
from tests.plugins.metrics.reading import page, plugin

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


def config(collector: Collector, **otlp: Any) -> dict[str, Any]:
    settings = {"endpoint": collector.url, "interval": 0.01, "metrics_interval": 3600, "timeout": 5, **otlp}
    return {"metrics": {"otlp": settings}}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_exchange_with_its_attempts_is_a_trace(
    gateway: GatewayFactory, collector: Collector, stream: bool
) -> None:
    provider = ScriptedProvider(openai_chat.error(500), openai_chat.answer())
    plugins = [config(collector), {"retries": {"enabled": True, "num": 1, "min_timeout": 0}}, "cost"]
    async with gateway(plugins, provider=provider) as running:
        session = {"Helicone-Session-Id": "s-1", "Helicone-Session-Path": "/a/b"}
        await running.chat(stream=stream, headers=session, user="alice")
        await until(lambda: len(collector.spans) == 3)
        exchange = running.exchanges[0]
    root, failed, good = collector.spans
    assert (root.name, root.kind, root.parent_span_id) == ("chat gpt-4o-mini", 2, b"")
    assert root.trace_id.hex() == exchange.id.replace("-", "")
    assert root.end_time_unix_nano >= root.start_time_unix_nano > 0
    assert {failed.parent_span_id, good.parent_span_id} == {root.span_id}
    assert {failed.trace_id, good.trace_id} == {root.trace_id}
    assert len({root.span_id, failed.span_id, good.span_id}) == 3
    assert (failed.kind, failed.status.code) == (3, 2)
    assert attributes(failed)["http.response.status_code"] == 500
    said, asked = attributes(root), attributes(good)
    assert said["gen_ai.operation.name"] == asked["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == asked["gen_ai.provider.name"] == "openai"
    assert said["gen_ai.request.model"] == "gpt-4o-mini"
    assert said["gen_ai.response.model"] == asked["gen_ai.response.model"] == "gpt-4o-mini-2024-07-18"
    assert said["gen_ai.response.finish_reasons"] == ["stop"]
    assert (said["gen_ai.conversation.id"], said["helicone.session.path"]) == ("s-1", "/a/b")
    assert said["enduser.id"] == "alice"
    assert exchange.usage is not None
    assert said["gen_ai.usage.input_tokens"] == asked["gen_ai.usage.input_tokens"] == exchange.usage.input_tokens
    assert said["gen_ai.usage.output_tokens"] == exchange.usage.output_tokens
    assert ("helicone.time_to_first_token" in said) == stream
    assert (said["helicone.attempts"], said["helicone.outcome"]) == (2, "ok")
    assert "error.type" not in said
    assert collector.resources[0]["service.name"] == "helicone-gw"


async def test_a_refusal_is_a_span_with_an_error(gateway: GatewayFactory, collector: Collector) -> None:
    async with gateway([config(collector)]) as running:
        await running.request("POST", "/v1/chat/completions", content=b"{")
        await until(lambda: collector.spans)
    (root,) = collector.spans
    assert (root.status.code, root.status.message) == (2, "malformed_body")
    assert attributes(root)["error.type"] == "malformed_body"
    assert "gen_ai.provider.name" not in attributes(root)


async def test_the_clients_trace_goes_on(gateway: GatewayFactory, collector: Collector) -> None:
    async with gateway([config(collector, share=0)]) as running:
        await running.chat()  # nobody asked for its trace, and none of those is kept
        await running.chat(headers={"traceparent": PARENT, "tracestate": "vendor=1"})
        await until(lambda: len(collector.spans) == 2)
        sent = [request.headers for request in running.provider.requests]
    root, _ = collector.spans
    assert root.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert root.parent_span_id.hex() == "b7ad6b7169203331"
    assert "traceparent" not in sent[1]
    assert "tracestate" not in sent[1]


async def test_a_client_that_keeps_no_trace_is_heard(gateway: GatewayFactory, collector: Collector) -> None:
    async with gateway([config(collector)]) as running:
        await running.chat(headers={"traceparent": PARENT.removesuffix("01") + "00"})
    assert collector.spans == []


@pytest.mark.parametrize("brought", [PARENT, None, "00-nonsense"])
async def test_providers_are_told_of_the_trace_where_that_is_configured(
    gateway: GatewayFactory, collector: Collector, brought: str | None
) -> None:
    async with gateway([config(collector, propagate=True)]) as running:
        await running.chat(headers={} if brought is None else {"traceparent": brought, "tracestate": "vendor=1"})
        await until(lambda: collector.spans)
        headers = running.provider.requests[0].headers
    root = collector.spans[0]
    assert headers.get("traceparent") == f"00-{root.trace_id.hex()}-{root.span_id.hex()}-01"
    assert headers.get("tracestate") == ("vendor=1" if brought == PARENT else None)
    assert (root.trace_id.hex() in PARENT) == (brought == PARENT)


async def test_what_waits_is_sent_at_the_end_with_the_last_figures(
    gateway: GatewayFactory, collector: Collector
) -> None:
    async with gateway([config(collector, interval=3600, headers={"x-key": "secret-of-the-collector"})]) as running:
        for _ in range(3):
            await running.chat(stream=True)
        assert collector.spans == []
    assert len(collector.spans) == 6
    assert {fields["x-key"] for fields in collector.fields} == {"secret-of-the-collector"}
    metrics = {metric.name: metric for metric in collector.metrics[-1]}
    requests = metrics["helicone_gw_requests"].sum
    assert (requests.is_monotonic, requests.aggregation_temporality) == (True, 2)
    assert sum(point.as_double or point.as_int for point in requests.data_points) == 3
    for name in ("gen_ai.server.request.duration", "gen_ai.server.time_to_first_token"):
        (point,) = metrics[name].histogram.data_points
        assert (point.count, sum(point.bucket_counts)) == (3, 3)
        assert attributes(point)["gen_ai.provider.name"] == "openai"
        assert metrics[name].unit == "s"


async def test_who_sends_is_told_apart_across_machines(
    gateway: GatewayFactory, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two containers have a process of the same number, and one collector."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
    for host in ("pod-a", "pod-b"):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        async with gateway([config(collector, service_name="llm")]) as running:
            await running.chat()
    one, other = collector.resources
    assert one["service.instance.id"] != other["service.instance.id"]
    assert (one["host.name"], other["host.name"]) == ("pod-a", "pod-b")
    for resource in (one, other):
        assert (resource["service.name"], resource["deployment.environment.name"]) == ("llm", "staging")


async def test_a_collector_that_hangs_costs_traces_and_no_client(gateway: GatewayFactory, collector: Collector) -> None:
    collector.open.clear()
    settings = config(collector, queue=5, timeout=0.5, metrics=False)
    async with gateway([settings]) as running:
        await running.chat()
        await until(lambda: _counters(running).waiting == 0)
        for _ in range(8):
            assert (await running.chat()).status == 200
        await until(lambda: _counters(running).dropped)
        shown = await page(running)
        assert shown.sum("metrics_otlp_dropped_total") > 0
    counters = _counters(running)
    assert counters.exported + counters.failed + counters.dropped == 9
    assert counters.failed > 0
    assert counters.waiting == 0


async def test_a_collector_that_refuses_is_counted(gateway: GatewayFactory, collector: Collector) -> None:
    collector.status = 400
    async with gateway([config(collector)]) as running:
        await running.chat()
        await until(lambda: _counters(running).failed == 1)
    assert _counters(running).metrics_failed == 1


async def test_without_it_no_hook_runs_before_the_request(gateway: GatewayFactory, collector: Collector) -> None:
    async with gateway(["metrics"]) as running:
        assert running.gateway.chain.pre_request == ()
        await running.chat(headers={"traceparent": PARENT})
        assert running.provider.requests[0].headers.get("traceparent") == PARENT


def _counters(running: RunningGateway) -> Any:
    tracing = plugin(running)._tracing
    assert tracing is not None
    return tracing.counters
