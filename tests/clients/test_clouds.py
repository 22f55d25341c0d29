"""Official SDKs in front of clouds: Bedrock, Vertex, Azure, Cohere, Ollama and Replicate answer their questions.

The gateway is the real one, in memory; what the providers answer is written in their own dialects, byte by byte.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from helicone_gw.eventstream import encode_frame
from helicone_gw.model import Usage
from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider, ScriptedResponse, of_events, of_json
from helicone_gw.testing.dialects import anthropic as messages
from helicone_gw.testing.dialects import openai_chat

ACCOUNT = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret"}
CONFIG: dict[str, Any] = {
    "providers": {
        "bedrock": {"region": "eu-west-1", "aws": ACCOUNT},
        "vertex": {"api_key": "AIza-key"},
        "azure": {"base_url": "https://mine.openai.azure.com", "api_key": "az-key", "api_version": "2024-10-21"},
        "cohere": {"api_key": "co-key"},
        "house": {"base_url": "http://127.0.0.1:11434", "dialect": "ollama"},
        "replicate": {"api_key": "r8-key"},
    },
    "models": {
        "nova": {"providers": ["bedrock"], "model": "amazon.nova-pro-v1:0"},
        "claude": {"providers": ["bedrock"], "model": "anthropic.claude-sonnet-4-20250514-v1:0"},
        "titan": {"providers": ["bedrock"], "model": "amazon.titan-embed-text-v2:0"},
        "gemini": {"providers": ["vertex"], "model": "gemini-2.5-flash"},
        "gpt": {"providers": ["azure"], "model": "my-gpt"},
        "command": {"providers": ["cohere"], "model": "command-a-03-2025"},
        "qwen": {"providers": ["house"], "model": "qwen3:8b"},
        "llama": {"providers": ["replicate"], "model": "meta/meta-llama-3-8b-instruct"},
    },
}
FRAMES = {"Content-Type": "application/vnd.amazon.eventstream"}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
ASK: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather in Ulm?"}]


class Served:
    """A running gateway, with SDK clients of it."""

    def __init__(self, running: RunningGateway, http: httpx2.AsyncClient) -> None:
        self.running = running
        self.openai = openai.AsyncOpenAI(
            base_url="http://127.0.0.1:8787/v1", api_key="unused", http_client=http, max_retries=0
        )
        self.anthropic = anthropic.AsyncAnthropic(
            base_url="http://127.0.0.1:8787", api_key="unused", http_client=http, max_retries=0
        )

    @property
    def sent(self) -> Any:
        """The body of the last call of a provider."""
        return self.running.provider.requests[-1].json()

    @property
    def usage(self) -> Usage | None:
        """What the last exchange used, read from the provider's own bytes."""
        return self.running.exchanges[-1].usage

    @property
    def costs(self) -> bool:
        """Whether what the last exchange cost is known, and not nothing."""
        cost = self.running.exchanges[-1].cost
        return cost is not None and cost.nano_usd > 0


Serve = Callable[..., Any]


@pytest.fixture
def serve(gateway: GatewayFactory) -> Serve:
    """A gateway whose providers answer what is given, in order."""

    @asynccontextmanager
    async def served(*answers: Any) -> AsyncIterator[Served]:
        provider = ScriptedProvider(*answers)
        async with gateway(["cost"], provider=provider, config=CONFIG) as running:
            transport = httpx2.ASGITransport(app=running.app, client=("127.0.0.1", 5000))
            async with httpx2.AsyncClient(transport=transport) as http:
                yield Served(running, http)
        assert provider.remaining == 0, "answers that no request came for"
        assert not provider.unexpected, "requests beyond the script"

    return served


def frames(*events: tuple[str, Any]) -> ScriptedResponse:
    """An event stream of AWS's."""
    parts = [
        encode_frame(json.dumps(value).encode(), {":message-type": "event", ":event-type": name})
        for name, value in events
    ]
    return ScriptedResponse(headers=tuple(FRAMES.items()), parts=tuple(parts), framing="chunked")


def lines(*values: Any) -> ScriptedResponse:
    """A stream of JSON lines."""
    parts = tuple(json.dumps(value).encode() + b"\n" for value in values)
    return ScriptedResponse(headers=(("Content-Type", "application/x-ndjson"),), parts=parts, framing="chunked")


def named(value: dict[str, Any]) -> bytes:
    return b"event: " + value["type"].encode() + b"\ndata: " + json.dumps(value).encode() + b"\n\n"


NOVA = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"text": "Let me look."},
                {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Ulm"}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15, "cacheReadInputTokens": 2},
    "metrics": {"latencyMs": 1},
}
NOVA_STREAM = (
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Let me "}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "look."}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    (
        "contentBlockStart",
        {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "tooluse_1", "name": "weather"}}},
    ),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"city":'}}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '"Ulm"}'}}}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": NOVA["usage"], "metrics": {"latencyMs": 1}}),
)
NOVA_USAGE = Usage(12, 5, cache_read_tokens=2)


async def test_openais_client_and_a_model_of_bedrocks(serve: Serve) -> None:
    async with serve(of_json(NOVA)) as served:
        found = await served.openai.chat.completions.create(model="nova", messages=ASK, tools=[WEATHER], max_tokens=99)
        (choice,) = found.choices
        assert (choice.message.content, choice.finish_reason) == ("Let me look.", "tool_calls")
        (call,) = choice.message.tool_calls
        assert (call.id, call.function.name, json.loads(call.function.arguments)) == (
            "tooluse_1",
            "weather",
            {"city": "Ulm"},
        )
        assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (12, 5)
        assert found.usage.prompt_tokens_details.cached_tokens == 2
        assert served.usage == NOVA_USAGE
        assert served.costs
        (request,) = served.running.provider.requests
        assert request.target == "/model/amazon.nova-pro-v1%3A0/converse"
        assert request.headers.get("host", "") in ("", "bedrock-runtime.eu-west-1.amazonaws.com")
        assert re.match(
            r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-west-1/bedrock/aws4_request, ",
            request.headers.get("authorization") or "",
        )
        assert served.sent["system"] == [{"text": "Be brief."}]
        assert served.sent["inferenceConfig"] == {"maxTokens": 99}


async def test_anthropics_client_and_a_stream_of_bedrocks(serve: Serve) -> None:
    tool = {"name": "weather", "input_schema": {"type": "object"}}
    for answer in (frames(*NOVA_STREAM), frames(*NOVA_STREAM).dripped(7)):
        async with serve(answer) as served:
            async with served.anthropic.messages.stream(
                model="nova", max_tokens=99, messages=[{"role": "user", "content": "Weather in Ulm?"}], tools=[tool]
            ) as stream:
                texts = [text async for text in stream.text_stream]
                message = await stream.get_final_message()
            assert texts == ["Let me ", "look."]
            assert [block.type for block in message.content] == ["text", "tool_use"]
            assert (message.content[1].id, message.content[1].input) == ("tooluse_1", {"city": "Ulm"})
            assert message.stop_reason == "tool_use"
            assert (message.usage.input_tokens, message.usage.output_tokens) == (10, 5)
            assert served.usage == NOVA_USAGE
            assert served.running.provider.requests[0].target.endswith("/converse-stream")


async def test_openais_stream_from_bedrock(serve: Serve) -> None:
    async with serve(frames(*NOVA_STREAM)) as served:
        stream = await served.openai.chat.completions.create(
            model="nova", messages=ASK, tools=[WEATHER], stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == "Let me look."
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert "".join(call.function.arguments or "" for call in calls) == '{"city":"Ulm"}'
    assert chunks[-1].usage.prompt_tokens == 12


@pytest.mark.parametrize("cut", [1, 5, 60])
async def test_a_stream_of_bedrocks_that_is_cut_does_not_look_complete(serve: Serve, cut: int) -> None:
    whole = frames(*NOVA_STREAM[:-2])
    answer = whole.cut(bytes=len(whole.body) - cut)
    async with serve(answer) as served:
        reply = await served.running.chat("Weather?", model="nova", stream=True)
        assert reply.aborted
        assert b"Let me " in reply.body
        assert b'"error"' in reply.body
        assert b"[DONE]" not in reply.body


async def test_an_exception_in_a_stream_of_bedrocks(serve: Serve) -> None:
    exception = encode_frame(
        b'{"message":"slow down"}', {":message-type": "exception", ":exception-type": "throttlingException"}
    )
    answer = ScriptedResponse(headers=tuple(FRAMES.items()), parts=(exception,), framing="chunked")
    async with serve(answer) as served:
        with pytest.raises(openai.APIError, match="slow down"):
            stream = await served.openai.chat.completions.create(model="nova", messages=ASK, stream=True)
            assert [chunk async for chunk in stream]


async def test_errors_of_bedrocks_keep_their_status_and_words(serve: Serve) -> None:
    error = of_json({"message": "The model is not there."}, 404)
    async with serve(error) as served:
        with pytest.raises(openai.NotFoundError, match="The model is not there"):
            await served.openai.chat.completions.create(model="nova", messages=ASK)


async def test_anthropics_client_and_its_own_model_on_bedrock(serve: Serve) -> None:
    answer = messages.reply("Hello!")
    async with serve(answer) as served:
        raw = await served.anthropic.messages.with_raw_response.create(
            model="claude",
            max_tokens=99,
            messages=[{"role": "user", "content": "Hi"}],
            extra_headers={"anthropic-beta": "b-1"},
        )
        assert raw.http_response.content == answer.body
        assert served.sent == {
            "anthropic_version": "bedrock-2023-05-31",
            "anthropic_beta": ["b-1"],
            "max_tokens": 99,
            "messages": [{"role": "user", "content": "Hi"}],
        }
        assert served.usage is not None


CLAUDE_STREAM: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4",
            "content": [],
            "usage": {"input_tokens": 9, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello ☺"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 9}},
]


def claude_frames() -> ScriptedResponse:
    """A stream of InvokeModelWithResponseStream: Anthropic's events in base64 in AWS's chunks."""
    return frames(
        *(("chunk", {"bytes": base64.b64encode(json.dumps(value).encode()).decode()}) for value in CLAUDE_STREAM)
    )


async def test_anthropics_stream_from_bedrock_is_its_own(serve: Serve) -> None:
    async with serve(claude_frames().dripped(11)) as served:
        reply = await served.running.message("Hi", model="claude", stream=True)
        assert reply.body == b"".join(map(named, CLAUDE_STREAM))
        assert served.usage == Usage(9, 4)


async def test_openais_client_and_claude_on_bedrock(serve: Serve) -> None:
    async with serve(claude_frames()) as served:
        stream = await served.openai.chat.completions.create(model="claude", messages=ASK, stream=True)
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello ☺"
        assert served.usage == Usage(9, 4)
        assert served.costs
        assert served.running.provider.requests[0].target.endswith("/invoke-with-response-stream")


async def test_embeddings_on_bedrock(serve: Serve) -> None:
    async with serve(of_json({"embedding": [0.5, 1.0], "inputTextTokenCount": 3})) as served:
        found = await served.openai.embeddings.create(model="titan", input="Hi")
        assert found.data[0].embedding == [0.5, 1.0]
        assert found.usage.prompt_tokens == 3
        assert served.usage == Usage(3, 0)
        assert served.costs


async def test_gemini_on_vertex(serve: Serve) -> None:
    candidate = {"content": {"role": "model", "parts": [{"text": "Sunny."}]}, "finishReason": "STOP", "index": 0}
    counts = {"promptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 9}
    answer = of_json({"candidates": [candidate], "usageMetadata": counts, "modelVersion": "gemini-2.5-flash"})
    async with serve(answer) as served:
        found = await served.openai.chat.completions.create(model="gemini", messages=ASK)
        assert found.choices[0].message.content == "Sunny."
        assert served.usage == Usage(7, 2)
        assert served.costs
        (request,) = served.running.provider.requests
        assert request.target == "/v1/publishers/google/models/gemini-2.5-flash:generateContent"
        assert request.headers.get("x-goog-api-key") == "AIza-key"


async def test_azures_dated_api_for_both_clients(serve: Serve) -> None:
    async with serve(openai_chat.reply("Hi!"), openai_chat.reply("Hi!")) as served:
        await served.openai.chat.completions.create(model="gpt", messages=ASK)
        message = await served.anthropic.messages.create(
            model="gpt", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
        )
        assert message.content[0].text == "Hi!"
        targets = {request.target for request in served.running.provider.requests}
        assert targets == {"/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"}


COHERE_USAGE = {"billed_units": {"input_tokens": 5, "output_tokens": 2}, "tokens": {"input_tokens": 70}}


async def test_cohere_unary_and_streamed(serve: Serve) -> None:
    content = [{"type": "text", "text": "Sunny."}]
    whole = {"id": "c1", "finish_reason": "COMPLETE", "message": {"content": content}, "usage": COHERE_USAGE}
    text = {"message": {"content": {"type": "text", "text": "Sunny."}}}
    streamed = [
        {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-delta", "index": 0, "delta": text},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": COHERE_USAGE}},
    ]
    async with serve(of_json(whole), of_events(*map(named, streamed))) as served:
        found = await served.openai.chat.completions.create(model="command", messages=ASK)
        assert (found.id, found.choices[0].message.content) == ("c1", "Sunny.")
        assert served.usage == Usage(5, 2)
        assert served.costs
        stream = await served.openai.chat.completions.create(model="command", messages=ASK, stream=True)
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Sunny."
        assert served.usage == Usage(5, 2)


OLLAMA = {"model": "qwen3:8b", "created_at": "2026-11-26T12:00:00Z"}
OLLAMA_DONE = {"done": True, "done_reason": "stop", "prompt_eval_count": 6, "eval_count": 3}


async def test_ollamas_own_api_unary_and_streamed(serve: Serve) -> None:
    whole = {**OLLAMA, "message": {"role": "assistant", "content": "Sunny.", "thinking": "hm"}, **OLLAMA_DONE}
    streamed = [
        {**OLLAMA, "message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
        {**OLLAMA, "message": {"role": "assistant", "content": "Sun"}, "done": False},
        {**OLLAMA, "message": {"role": "assistant", "content": "ny."}, "done": False},
        {**OLLAMA, "message": {"role": "assistant", "content": ""}, **OLLAMA_DONE},
    ]
    async with serve(of_json(whole), lines(*streamed).dripped(9)) as served:
        found = await served.openai.chat.completions.create(model="qwen", messages=ASK)
        assert found.choices[0].message.content == "Sunny."
        assert found.choices[0].message.reasoning_content == "hm"
        assert served.usage == Usage(6, 3)
        stream = await served.openai.chat.completions.create(model="qwen", messages=ASK, stream=True)
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Sunny."
        assert served.usage == Usage(6, 3)


PREDICTION = {
    "id": "p1",
    "model": "meta/meta-llama-3-8b-instruct",
    "urls": {
        "get": "https://api.replicate.com/v1/predictions/p1",
        "stream": "https://stream.replicate.com/v1/files/abc",
    },
}
METRICS = {"input_token_count": 4, "output_token_count": 2}


async def test_replicates_predictions_are_waited_for_and_streamed(serve: Serve, virtual_time: Any) -> None:
    done = {**PREDICTION, "status": "succeeded", "output": ["Sun", "ny."], "metrics": METRICS}
    output = [b"event: output\ndata: Sun\n\n", b"event: output\ndata: ny.\n\n", b"event: done\ndata: {}\n\n"]
    starting = of_json({**PREDICTION, "status": "starting"}, 201)
    async with serve(
        starting,
        of_json({**PREDICTION, "status": "processing"}),
        of_json(done),
        starting,
        of_events(*output),
        of_json(done),
    ) as served:
        found = await served.openai.chat.completions.create(model="llama", messages=ASK)
        assert found.choices[0].message.content == "Sunny."
        assert served.usage == Usage(4, 2)
        stream = await served.openai.chat.completions.create(model="llama", messages=ASK, stream=True)
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Sunny."
        assert served.usage == Usage(4, 2)
        targets = [(request.method, request.target) for request in served.running.provider.requests]
        assert targets == [
            ("POST", "/v1/models/meta/meta-llama-3-8b-instruct/predictions"),
            ("GET", "/v1/predictions/p1"),
            ("GET", "/v1/predictions/p1"),
            ("POST", "/v1/models/meta/meta-llama-3-8b-instruct/predictions"),
            ("GET", "/v1/files/abc"),
            ("GET", "/v1/predictions/p1"),
        ]


async def test_what_a_prediction_that_failed_says(serve: Serve) -> None:
    failed = {**PREDICTION, "status": "failed", "error": "CUDA out of memory"}
    async with serve(of_json(failed, 201)) as served:
        with pytest.raises(openai.InternalServerError, match="CUDA out of memory"):
            await served.openai.chat.completions.create(model="llama", messages=ASK)


async def test_embeddings_that_a_provider_does_not_offer_are_refused_before_any_call(serve: Serve) -> None:
    async with serve() as served:
        with pytest.raises(openai.BadRequestError) as refusal:
            await served.openai.embeddings.create(model="llama", input="Hi")
        assert refusal.value.code == "operation_not_offered"
        assert served.running.provider.requests == []
