"""A plugin's own questions to models: how they are asked, what they cost, and how they fail."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import (
    DeadlineExceeded,
    Exchange,
    NotFound,
    Plugin,
    Response,
    Target,
    UpstreamConnectError,
    UpstreamProtocolError,
    UpstreamStatus,
    Usage,
    hookimpl,
)
from helicone_gw.testing import (
    GatewayFactory,
    RecordedRequest,
    RunningGateway,
    ScriptedProvider,
    ScriptedResponse,
    of_bytes,
    of_events,
)
from helicone_gw.testing.dialects import embeddings, gemini, openai_chat

PRICES = {"models": {"judge": {"providers": ["openai"], "price": {"input_mtok": 1, "output_mtok": 10}}}}
CHAT = {"model": "judge", "messages": [{"role": "user", "content": "Is this safe?"}]}


def no_connection(request: RecordedRequest) -> ScriptedResponse:
    raise UpstreamConnectError("No connection.")


async def ask(running: RunningGateway, **options: Any) -> Any:
    """A chat for a purpose of these tests, within ten seconds."""
    return await running.gateway.ask("chat", CHAT, **{"purpose": "tests.judge", "timeout": 10, **options})


async def test_a_model_is_asked_with_the_gateways_key_and_answers(gateway: GatewayFactory) -> None:
    usage = Usage(input_tokens=100, output_tokens=3)
    provider = ScriptedProvider(openai_chat.reply("safe", usage=usage))
    async with gateway(["cost"], provider=provider, config=PRICES) as running:
        asked = await ask(running)
    assert asked.json()["choices"][0]["message"]["content"] == "safe"
    assert (asked.target, asked.streamed) == (Target("openai", "judge"), False)
    assert asked.usage.input_tokens == 100
    assert asked.cost.nano_usd == 130_000
    [request] = provider.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers.get("authorization") == "Bearer sk-of-openai-in-the-test-kit"
    assert request.json() == CHAT


async def test_a_named_provider_of_another_dialect_gets_a_translation(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(gemini.reply("safe"))
    async with gateway(provider=provider) as running:
        asked = await ask(running, provider="gemini")
    assert asked.json()["choices"][0]["message"]["content"] == "safe"
    assert provider.requests[0].path.endswith("/models/judge:generateContent")


async def test_a_stream_arrives_whole(gateway: GatewayFactory) -> None:
    answer = openai_chat.stream("safe")
    async with gateway(provider=ScriptedProvider(answer)) as running:
        body = {**CHAT, "stream": True}
        asked = await running.gateway.ask("chat", body, purpose="tests.judge", timeout=10)
    assert asked.streamed
    assert asked.body.endswith(b"data: [DONE]\n\n")


async def test_a_compressed_answer_is_read(gateway: GatewayFactory) -> None:
    async with gateway(provider=ScriptedProvider(openai_chat.reply("safe").gzipped())) as running:
        asked = await ask(running)
    assert asked.json()["choices"][0]["message"]["content"] == "safe"


async def test_embeddings_are_asked_at_their_own_path(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=embeddings.answer())
    async with gateway(provider=provider) as running:
        body = {"model": "text-embedding-3-small", "input": ["one", "two"]}
        asked = await running.gateway.ask("embeddings", body, purpose="tests.vectors", timeout=1)
    assert len(asked.json()["data"]) == 2
    assert provider.requests[0].path == "/v1/embeddings"


class Asker(Plugin):
    """Asks in every hook that it can, which would never end if a question went through the plugins."""

    asked = 0

    @hookimpl
    async def startup(self, gateway: Any) -> None:
        self.gateway = gateway

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        self.asked += 1
        for _ in range(2):
            await self.gateway.ask("chat", CHAT, purpose="asker.judge", timeout=10, exchange=exchange)

    @hookimpl
    async def on_response(self, exchange: Exchange, response: Response) -> None:
        self.asked += 1

    @hookimpl
    async def on_finish(self, exchange: Exchange) -> None:
        self.asked += 1


async def test_a_question_goes_through_no_plugin(gateway: GatewayFactory) -> None:
    async with gateway(["asker"], classes={"asker": Asker}) as running:
        assert (await running.chat()).status == 200
        [plugin] = running.gateway.plugins
    assert isinstance(plugin, Asker)
    assert plugin.asked == 3  # the exchange's own hooks, once each
    assert len(running.provider.requests) == 3
    assert len(running.exchanges) == 1


async def test_what_it_cost_is_told_apart_from_the_exchange_s_own_cost(gateway: GatewayFactory) -> None:
    usage = Usage(input_tokens=10, output_tokens=1)
    provider = ScriptedProvider(default=openai_chat.answer(usage=usage))
    async with gateway(["asker", "cost"], classes={"asker": Asker}, provider=provider, config=PRICES) as running:
        await running.chat(model="judge")
    [exchange] = running.exchanges
    noted = exchange.annotations["asker.judge"]
    assert (noted["calls"], noted["nano_usd"]) == (2, 40_000)
    assert exchange.cost is not None
    assert exchange.cost.nano_usd == 20_000
    total = running.gateway.ask.totals["asker.judge"]
    assert (total.calls, total.nano_usd, total.input_tokens, total.output_tokens) == (2, 40_000, 20, 2)
    assert (total.failed, total.unpriced) == (0, 0)


async def test_a_cost_that_nobody_knows_stays_unknown(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=openai_chat.answer())
    async with gateway(["asker"], classes={"asker": Asker}, provider=provider) as running:
        await running.chat()
    assert running.exchanges[0].annotations["asker.judge"]["nano_usd"] is None
    assert running.gateway.ask.totals["asker.judge"].unpriced == 2


@pytest.mark.virtual_time
async def test_a_slow_answer_is_given_up_in_time_and_its_cost_is_unknown(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.reply().delayed(60))
    async with gateway(provider=provider) as running:
        clock = running.gateway.clock
        began = clock.monotonic()
        with pytest.raises(DeadlineExceeded):
            await ask(running, timeout=0.3)
        assert clock.monotonic() - began == pytest.approx(0.3)
        assert provider.requests[0].closed_by_client.is_set()
    total = running.gateway.ask.totals["tests.judge"]
    assert (total.calls, total.failed, total.late, total.unpriced) == (1, 1, 1, 1)


@pytest.mark.virtual_time
async def test_so_is_a_stream_that_never_ends(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.stream("a long answer").cut(events=2, how="hang"))
    async with gateway(provider=provider) as running:
        with pytest.raises(DeadlineExceeded):
            await running.gateway.ask("chat", {**CHAT, "stream": True}, purpose="tests.judge", timeout=5)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (openai_chat.error(429, "slow down"), UpstreamStatus),
        (no_connection, UpstreamConnectError),
        (openai_chat.reply().cut(bytes=10), UpstreamProtocolError),
    ],
)
async def test_a_failure_is_the_error_that_the_call_ended_with(
    gateway: GatewayFactory, answer: Any, error: type[Exception]
) -> None:
    async with gateway(["retries", "fallbacks"], provider=ScriptedProvider(answer)) as running:
        with pytest.raises(error):
            await ask(running)
        assert len(running.provider.requests) == 1  # nobody tries again for the plugin
        assert running.gateway.ask.totals["tests.judge"].failed == 1


async def test_failures_count_for_the_health_of_what_was_asked(gateway: GatewayFactory) -> None:
    async with gateway(provider=ScriptedProvider(default=openai_chat.error(500))) as running:
        for _ in range(running.gateway.health.policy.failures):
            with pytest.raises(UpstreamStatus):
                await ask(running)
        assert not running.gateway.health.available(Target("openai", "judge"))


async def test_a_cut_stream_is_a_failure_too(gateway: GatewayFactory) -> None:
    async with gateway(provider=ScriptedProvider(openai_chat.stream("safe").cut(events=2))) as running:
        with pytest.raises(UpstreamProtocolError):
            await running.gateway.ask("chat", {**CHAT, "stream": True}, purpose="tests.judge", timeout=5)


@pytest.mark.parametrize("answer", [of_bytes(b"x" * 3000, "text/plain"), of_events(b"data: " + b"x" * 500 + b"\n\n")])
async def test_an_answer_beyond_the_bound_is_not_kept(gateway: GatewayFactory, answer: ScriptedResponse) -> None:
    many = ScriptedResponse(headers=answer.headers, parts=answer.parts * 8, framing="chunked")
    async with gateway(provider=ScriptedProvider(many), config={"server": {"max_body": 2048}}) as running:
        with pytest.raises(UpstreamProtocolError, match="too large"):
            await ask(running)


async def test_an_answer_that_is_no_json_says_so_when_it_is_read(gateway: GatewayFactory) -> None:
    async with gateway(provider=ScriptedProvider(of_bytes(b"<html>", "text/html"))) as running:
        asked = await ask(running)
        with pytest.raises(UpstreamProtocolError, match="not JSON"):
            asked.json()


async def test_an_operation_that_no_table_knows_is_nobody_s(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        with pytest.raises(NotFound):
            await running.gateway.ask("palmistry", CHAT, purpose="tests.judge", timeout=1)
        with pytest.raises(NotFound):
            await ask(running, dialect="klingon")
    assert running.gateway.ask.totals["tests.judge"].failed == 2


async def test_a_model_leads_where_the_router_says(gateway: GatewayFactory) -> None:
    async with gateway(["router"]) as running:
        asked = await running.gateway.ask(
            "chat", {**CHAT, "model": "claude-sonnet-4-5/anthropic"}, purpose="tests.judge", timeout=5
        )
    assert asked.target.provider == "anthropic"


async def test_purposes_beyond_the_bound_are_counted_together(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        running.gateway.ask.totals.update({f"tests.{n}": running.gateway.ask._total("x") for n in range(300)})
        await ask(running, purpose="one.more")
        assert "one.more" not in running.gateway.ask.totals
        assert running.gateway.ask.totals["other"].calls == 1
