"""SDKs in front of providers of another dialect: whole answers, streams, tools and errors, each in its own way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from helicone_gw.model import Usage
from helicone_gw.testing import ScriptedProvider, of_json
from helicone_gw.testing.dialects import ToolCall, gemini, openai_chat
from helicone_gw.testing.dialects import anthropic as messages
from tests.clients.gateways import Connect, Ports, Running, Ways, configuration
from tests.program import gateway

USAGE = Usage(input_tokens=20, output_tokens=9, cache_read_tokens=5, reasoning_tokens=0)
CALLS = [ToolCall("weather", {"city": "Zürich"}, id="call_1"), ToolCall("weather", {"city": "東京"}, id="call_2")]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ANSWERS: dict[str, Any] = {"chat": openai_chat, "claude": messages, "gemini": gemini}
"""The dialect of the provider that each model is at."""
PROVIDERS = {
    "chat": "/openai/v1/chat/completions",
    "claude": "/anthropic/v1/messages",
    "gemini": "/gemini/v1beta/models",
}


@pytest.fixture(scope="module")
def translating(ports: Ports, ways: Ways, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway whose models are each at a provider of one dialect alone."""
    directory = tmp_path_factory.mktemp("translating")
    config = configuration(ports, ways, directory)
    config["providers"]["mistral"] = {"base_url": f"http://127.0.0.1:{ports.provider}/mistral/v1", "api_key": "k"}
    config["models"] = {
        "chat": {"providers": ["openai"], "model": "gpt-4o-mini"},
        "claude": {"providers": ["anthropic"], "model": "claude-sonnet-4-5"},
        "gemini": {"providers": ["gemini"], "model": "gemini-2.5-flash"},
        "mistral": {"providers": ["mistral"], "model": "mistral-large"},
    }
    with gateway(config, directory) as url:
        yield Running(url, directory)


@pytest.fixture
def chat(connect: Connect, translating: Running) -> openai.AsyncOpenAI:
    sdk: openai.AsyncOpenAI = connect("openai", f"{translating.url}/v1").sdk
    return sdk


@pytest.fixture
def claude(connect: Connect, translating: Running) -> anthropic.AsyncAnthropic:
    sdk: anthropic.AsyncAnthropic = connect("anthropic", translating.url).sdk
    return sdk


OPENAI_ASK: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather in Zürich?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_0", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_0", "content": "rain"},
    ],
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}],
}
ANTHROPIC_ASK: dict[str, Any] = {
    "max_tokens": 100,
    "system": "Be brief.",
    "messages": [
        {"role": "user", "content": "Weather in Zürich?"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "call_0", "name": "weather", "input": {"city": "Bern"}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_0", "content": "rain"}]},
    ],
    "tools": [{"name": "weather", "input_schema": PARAMETERS}],
}


@pytest.mark.parametrize("model", ["claude", "gemini"])
async def test_the_openai_sdk_calls_tools_elsewhere(
    chat: openai.AsyncOpenAI, provider: ScriptedProvider, model: str
) -> None:
    provider.enqueue(ANSWERS[model].reply("Wait.", tools=CALLS, usage=USAGE))
    raw = await chat.chat.completions.with_raw_response.create(model=model, **OPENAI_ASK)
    completion = raw.parse()
    (choice,) = completion.choices
    assert choice.message.content == "Wait."
    assert choice.finish_reason == "tool_calls"
    calls = choice.message.tool_calls or []
    assert [json.loads(call.function.arguments) for call in calls] == [dict(call.arguments) for call in CALLS]
    assert len({call.id for call in calls}) == 2
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (20, 9)
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == 5
    assert completion.created > 0
    assert "helicone-translation-loss" not in raw.headers
    assert float(raw.headers["helicone-cost"]) > 0
    (request,) = provider.requests
    assert request.target.startswith(PROVIDERS[model])
    assert b"Be brief." in request.body
    assert "rain" in request.body.decode()
    assert request.headers.get("authorization") is None


@pytest.mark.parametrize("model", ["claude", "gemini"])
async def test_the_openai_sdk_streams_from_elsewhere(
    chat: openai.AsyncOpenAI, provider: ScriptedProvider, model: str
) -> None:
    provider.enqueue(ANSWERS[model].stream(["Wa", "it ☺"], tools=CALLS, usage=USAGE))
    async with chat.chat.completions.stream(
        model=model, stream_options={"include_usage": True}, **OPENAI_ASK
    ) as stream:
        final = await stream.get_final_completion()
    message = final.choices[0].message
    assert message.content == "Wait ☺"
    assert [json.loads(call.function.arguments) for call in message.tool_calls or []] == [
        dict(call.arguments) for call in CALLS
    ]
    assert final.choices[0].finish_reason == "tool_calls"
    assert final.usage is not None
    assert (final.usage.prompt_tokens, final.usage.completion_tokens) == (20, 9)


@pytest.mark.parametrize("model", ["chat", "claude", "gemini"])
async def test_responses_of_other_dialects(chat: openai.AsyncOpenAI, provider: ScriptedProvider, model: str) -> None:
    if model == "chat":
        model, kind = "mistral", openai_chat
    else:
        kind = ANSWERS[model]
    tools: Any = [{"type": "function", "name": "weather", "parameters": PARAMETERS}]
    provider.enqueue(
        kind.reply("Wait.", tools=CALLS, usage=USAGE), kind.stream(["Wa", "it."], tools=CALLS, usage=USAGE)
    )
    response = await chat.responses.create(model=model, instructions="Be brief.", input="Weather?", tools=tools)
    assert response.output_text == "Wait."
    assert response.status == "completed"
    assert [json.loads(item.arguments) for item in response.output if item.type == "function_call"] == [
        dict(call.arguments) for call in CALLS
    ]
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (20, 9)
    async with chat.responses.stream(model=model, instructions="Be brief.", input="Weather?", tools=tools) as stream:
        final = await stream.get_final_response()
    assert final.output_text == "Wait."
    assert [item.type for item in final.output] == [item.type for item in response.output]
    assert final.usage == response.usage


@pytest.mark.parametrize("model", ["chat", "gemini"])
async def test_the_anthropic_sdk_calls_tools_elsewhere(
    claude: anthropic.AsyncAnthropic, provider: ScriptedProvider, model: str
) -> None:
    provider.enqueue(ANSWERS[model].reply("Wait.", tools=CALLS, usage=USAGE))
    message = await claude.messages.create(model=model, **ANTHROPIC_ASK)
    assert message.content[0].text == "Wait."  # type: ignore[union-attr]
    assert [block.input for block in message.content if block.type == "tool_use"] == [
        dict(call.arguments) for call in CALLS
    ]
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (15, 5)
    assert message.usage.output_tokens == 9
    (request,) = provider.requests
    assert request.target.startswith(PROVIDERS[model])
    assert request.headers.get("anthropic-version") is None
    assert request.headers.get("x-api-key") is None


@pytest.mark.parametrize("model", ["chat", "gemini"])
async def test_the_anthropic_sdk_streams_from_elsewhere(
    claude: anthropic.AsyncAnthropic, provider: ScriptedProvider, model: str
) -> None:
    provider.enqueue(ANSWERS[model].stream(["Wa", "it ☺"], tools=CALLS, usage=USAGE))
    async with claude.messages.stream(model=model, **ANTHROPIC_ASK) as stream:
        final = await stream.get_final_message()
    assert final.content[0].text == "Wait ☺"  # type: ignore[union-attr]
    assert [block.input for block in final.content if block.type == "tool_use"] == [
        dict(call.arguments) for call in CALLS
    ]
    assert final.stop_reason == "tool_use"
    assert final.usage.output_tokens == 9


async def test_legacy_completions_elsewhere(chat: openai.AsyncOpenAI, provider: ScriptedProvider) -> None:
    provider.enqueue(messages.reply("Hello!"), messages.stream(["Hel", "lo!"]))
    completion = await chat.completions.create(model="claude", prompt="Say hello.", max_tokens=9)
    assert (completion.choices[0].text, completion.choices[0].finish_reason) == ("Hello!", "stop")
    stream = await chat.completions.create(model="claude", prompt="Say hello.", max_tokens=9, stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "Hello!"


async def test_embeddings_elsewhere(chat: openai.AsyncOpenAI, provider: ScriptedProvider) -> None:
    provider.enqueue(of_json({"embeddings": [{"values": [0.5, -0.25]}, {"values": [1.0, 0.0]}]}))
    found = await chat.embeddings.create(model="gemini", input=["one", "two"])
    assert [item.embedding for item in found.data] == [[0.5, -0.25], [1.0, 0.0]]
    assert provider.requests[0].path.endswith(":batchEmbedContents")


async def test_what_a_provider_does_not_offer_is_refused_before_any_call(
    chat: openai.AsyncOpenAI, provider: ScriptedProvider
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await chat.embeddings.create(model="claude", input="one")
    assert refused.value.code == "operation_not_offered"
    assert provider.requests == []


async def test_an_error_keeps_its_status_and_words_in_the_clients_shape(
    chat: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic, provider: ScriptedProvider
) -> None:
    provider.enqueue(messages.error(429, "Slow down, Claude.", headers={"retry-after": "7"}))
    with pytest.raises(openai.RateLimitError, match="Slow down, Claude") as slow:
        await chat.chat.completions.create(model="claude", **OPENAI_ASK)
    assert slow.value.response.headers["retry-after"] == "7"
    provider.enqueue(openai_chat.error(400, "That is too long."))
    with pytest.raises(anthropic.BadRequestError, match="That is too long"):
        await claude.messages.create(model="chat", **ANTHROPIC_ASK)


async def test_a_broken_stream_is_an_error_of_the_clients_dialect(
    chat: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic, provider: ScriptedProvider
) -> None:
    whole = messages.stream(["Hel", "lo"])
    provider.enqueue(whole.interrupted(messages.error_event("Overloaded, sorry."), events=4))
    stream = await chat.chat.completions.create(model="claude", stream=True, **OPENAI_ASK)
    with pytest.raises(openai.APIError, match="Overloaded, sorry"):
        [chunk async for chunk in stream]
    provider.enqueue(openai_chat.stream(["Hel", "lo"]).cut(events=2))
    with pytest.raises(anthropic.APIError):
        async with claude.messages.stream(model="chat", **ANTHROPIC_ASK) as events:
            await events.get_final_message()


async def test_what_is_lost_is_told_or_refused(chat: openai.AsyncOpenAI, provider: ScriptedProvider) -> None:
    provider.enqueue(messages.reply("Hello!"))
    ask: dict[str, Any] = {"model": "claude", "messages": OPENAI_ASK["messages"][:2], "seed": 7, "temperature": 1.5}
    raw = await chat.chat.completions.with_raw_response.create(**ask)
    assert raw.headers["helicone-translation-loss"] == "temperature, seed"
    assert provider.requests[0].json()["temperature"] == 1.0
    with pytest.raises(openai.BadRequestError, match="'temperature'") as refused:
        await chat.chat.completions.create(**ask, extra_headers={"Helicone-Translation-Strict": "true"})
    assert refused.value.code == "translation_loss"
    assert len(provider.requests) == 1


async def test_the_log_has_the_providers_own_figures(
    translating: Running, chat: openai.AsyncOpenAI, provider: ScriptedProvider
) -> None:
    provider.enqueue(messages.reply("Hello!", usage=USAGE), messages.stream("Hello!", usage=USAGE))
    user = {"Helicone-User-Id": "translated"}
    ask: dict[str, Any] = {"model": "claude", "messages": OPENAI_ASK["messages"][:2]}
    await chat.chat.completions.create(**ask, extra_headers=user)
    stream = await chat.chat.completions.create(**ask, stream=True, extra_headers=user)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Hello!"
    streamed, unary = await translating.rows("translated", 2)
    for row in (streamed, unary):
        assert (row["provider"], row["status"]) == ("anthropic", 200)
    for name in ("prompt_tokens", "completion_tokens", "cost", "model"):
        if name in unary:
            assert streamed[name] == unary[name], name
