"""The same exchange streamed and unary, over every client's dialect and every provider's: the rows say the same."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import Exchange, Plugin, Usage, hookimpl
from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat, openai_responses
from helicone_gw.testing.record import RecordedRequest
from helicone_gw_logging import RequestDetail, get_request, list_requests
from helicone_gw_logging.plugin import LoggingPlugin

pytestmark = pytest.mark.virtual_time

PRICE = {"input_mtok": 3, "cache_read_mtok": 0.3, "cache_write_mtok": 3.75, "output_mtok": 15}
CONFIG: dict[str, Any] = {
    "providers": {name: {"api_key": f"sk-{name}"} for name in ("openai", "anthropic", "gemini", "groq")},
    "models": {
        f"m-{name}": {"providers": [name], "price": PRICE} for name in ("openai", "anthropic", "gemini", "groq")
    },
}
USAGE = {
    "openai": Usage(120, 45, cache_read_tokens=64, reasoning_tokens=20),
    "groq": Usage(120, 45, cache_read_tokens=64, reasoning_tokens=20),
    "anthropic": Usage(120, 45, cache_read_tokens=64, cache_write_tokens=16, cache_write_1h_tokens=6),
    "gemini": Usage(120, 45, cache_read_tokens=64, reasoning_tokens=20),
}
SESSION = {
    "Helicone-User-Id": "u-1",
    "Helicone-Session-Id": "s-1",
    "Helicone-Session-Path": "/a/b",
    "Helicone-Session-Name": "Course",
    "Helicone-Property-App": "shop",
    "Helicone-Property-Env": "prod",
}
MESSAGES = [{"role": "user", "content": "Say hello."}]
DIALECTS = ("openai chat", "openai responses", "anthropic", "gemini")
DIFFERENT = {
    *("seq", "id", "request_id", "received_at", "hour", "first_byte_at", "first_token_at", "ended_at", "latency"),
    *("time_to_first_token", "stream", "path", "operation", "request_size", "response_size", "target_url"),
}
"""What of two exchanges cannot be the same: Gemini's clients ask elsewhere for a stream, and so are clouds asked."""


def answered(provider: str) -> Any:
    """Answers each provider's requests in its own dialect, with `USAGE`."""

    def answer(request: RecordedRequest) -> Any:
        usage = USAGE[provider]
        if "generateContent" in request.path or "streamGenerateContent" in request.path:
            return gemini.answer("Hello!", usage=usage)(request)
        if request.path.endswith("/messages"):
            return anthropic.answer("Hello!", usage=usage)(request)
        if request.path.endswith("/responses"):
            return openai_responses.answer("Hello!", usage=usage)(request)
        return openai_chat.answer("Hello!", usage=usage)(request)

    return answer


async def ask(running: RunningGateway, dialect: str, model: str, stream: bool) -> Any:
    if dialect == "gemini":
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        body = {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}
        return await running.request("POST", f"/v1beta/models/{model}:{verb}", json=body, headers=SESSION)
    body = {"model": model, "stream": stream}
    path, more = {
        "openai chat": ("/v1/chat/completions", {"messages": MESSAGES}),
        "openai responses": ("/v1/responses", {"input": "Say hello."}),
        "anthropic": ("/v1/messages", {"messages": MESSAGES, "max_tokens": 100}),
    }[dialect]
    return await running.request("POST", path, json={**body, **more}, headers=SESSION)


async def logged(running: RunningGateway) -> list[RequestDetail]:
    """The rows of the log, in the order of writing."""
    for plugin in running.gateway.plugins:
        if isinstance(plugin, LoggingPlugin):
            await plugin.flush()
    details = [
        await get_request(running.gateway.database, each.row.id)
        for each in await list_requests(running.gateway.database)
    ]
    return sorted((each for each in details if each is not None), key=lambda each: each.request.row.seq or 0)


def same(detail: RequestDetail) -> dict[str, Any]:
    """What the row of an exchange, and those of its attempts, say whichever way it travelled."""
    row = {name: value for name, value in detail.request.row.model_dump().items() if name not in DIFFERENT}
    times = {"seq", "received_at", "started_at", "first_byte_at", "ended_at"}
    attempts = [attempt.model_dump(exclude=times) for attempt in detail.attempts]
    return {**row, "properties": dict(detail.request.properties), "attempts": attempts}


@pytest.mark.parametrize("provider", list(USAGE))
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer(gateway: GatewayFactory, dialect: str, provider: str) -> None:
    scripted = ScriptedProvider(default=answered(provider))
    async with gateway(["logging", "cost", "router"], provider=scripted, config=CONFIG) as running:
        for stream in (False, True):
            reply = await ask(running, dialect, f"m-{provider}", stream)
            assert reply.status == 200, reply.body
        unary, streamed = await logged(running)
    assert (unary.request.row.stream, streamed.request.row.stream) == (False, True)
    assert same(unary) == same(streamed)
    row, usage = unary.request.row, USAGE[provider]
    assert (row.prompt_tokens, row.completion_tokens, row.total_tokens) == (120, 45, 165)
    assert (row.prompt_cache_read_tokens, row.reasoning_tokens) == (64, usage.reasoning_tokens)
    assert row.cost_nano_usd is not None
    assert row.cost_nano_usd > 0
    assert (row.session_id, row.session_path, row.session_name, row.user_id) == ("s-1", "/a/b", "Course", "u-1")
    assert (row.provider, row.outcome, row.status) == (provider, "ok", 200)
    assert unary.request.properties["app"] == "shop"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_refusal(gateway: GatewayFactory, dialect: str) -> None:
    scripted = ScriptedProvider(default=openai_chat.error(429))
    async with gateway(["logging", "cost", "router"], provider=scripted, config=CONFIG) as running:
        for stream in (False, True):
            assert (await ask(running, dialect, "m-groq", stream)).status == 429
        unary, streamed = await logged(running)
    assert same(unary) == same(streamed)
    row = unary.request.row
    assert (row.outcome, row.status, row.cost_nano_usd) == ("upstream_error", 429, 0)


@pytest.mark.parametrize("provider", list(USAGE))
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_an_answer_used_is_known_before_its_client_has_it(
    gateway: GatewayFactory, dialect: str, provider: str
) -> None:
    def told(exchange: Exchange) -> tuple[Any, ...]:
        capture, outcome = exchange.response_capture, exchange.outcome
        return (exchange.usage, exchange.cost, exchange.stop_reason, exchange.model, capture, outcome, len(moments))

    moments: list[tuple[Any, ...]] = []

    class Keeping(Plugin):
        capture_bytes = 1 << 20

        @hookimpl
        def before_end(self, exchange: Exchange) -> None:
            moments.append(told(exchange))

        @hookimpl
        def on_finish(self, exchange: Exchange) -> None:
            moments.append(told(exchange))

    scripted, classes = ScriptedProvider(default=answered(provider)), {"keeping": Keeping}
    async with gateway(["keeping", "cost", "router"], provider=scripted, config=CONFIG, classes=classes) as running:
        for stream in (False, True):
            assert (await ask(running, dialect, f"m-{provider}", stream)).status == 200
    assert len(moments) == 4
    for before, after in (moments[:2], moments[2:]):
        assert before[:-1] == after[:-1]
        assert before[0] is not None
        assert before[1] is not None
