"""What the kit writes is what the providers' own SDKs read, over a real socket."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from anthropic import APIStatusError, AsyncAnthropic
from openai import AsyncOpenAI

from helicone_gw.model import Usage
from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import (
    ToolCall,
    anthropic,
    embeddings,
    openai_chat,
    openai_completions,
    openai_responses,
)
from helicone_gw.testing.provider import Answer

TOOL = ToolCall("get_weather", {"city": "Köln", "days": [1, 2]})
MESSAGES: Any = [{"role": "user", "content": "hi"}]


@asynccontextmanager
async def openai_client(*script: Answer) -> AsyncIterator[Any]:
    async with (
        ScriptedProvider(*script).serve() as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client,
    ):
        yield client


@asynccontextmanager
async def anthropic_client(*script: Answer) -> AsyncIterator[Any]:
    async with (
        ScriptedProvider(*script).serve() as url,
        AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client,
    ):
        yield client


async def test_chat() -> None:
    answer = openai_chat.answer("Hello there", tools=[TOOL], usage=Usage(input_tokens=3, output_tokens=4))
    async with openai_client(answer, answer, answer) as client:
        reply = await client.chat.completions.create(model="m", messages=MESSAGES)
        assert reply.choices[0].message.content == "Hello there"
        (call,) = reply.choices[0].message.tool_calls or []
        assert json.loads(call.function.arguments) == TOOL.arguments
        assert reply.usage is not None
        assert reply.usage.total_tokens == 7

        async with client.chat.completions.stream(
            model="m",
            messages=MESSAGES,
            stream_options={"include_usage": True},
        ) as stream:
            final = await stream.get_final_completion()
        assert final.choices[0].message.content == "Hello there"
        assert final.choices[0].finish_reason == "tool_calls"
        (streamed_call,) = final.choices[0].message.tool_calls or []
        assert json.loads(streamed_call.function.arguments) == TOOL.arguments
        assert final.usage is not None
        assert final.usage.total_tokens == 7

        chunks = [
            chunk async for chunk in await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        ]
        assert all(chunk.usage is None and chunk.choices for chunk in chunks)


async def test_chat_errors() -> None:
    async with openai_client(
        openai_chat.error(429, "slow down", headers={"Retry-After": "7"}),
        openai_chat.stream("Hello there").interrupted(openai_chat.error_event("went wrong"), events=2),
    ) as client:
        with pytest.raises(openai.RateLimitError, match="slow down") as problem:
            await client.chat.completions.create(model="m", messages=MESSAGES)
        assert problem.value.response.headers["retry-after"] == "7"
        assert problem.value.code == "rate_limit_exceeded"
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError, match="went wrong"):
            _ = [chunk async for chunk in stream]


async def test_completions() -> None:
    answer = openai_completions.answer("Once upon a time")
    async with openai_client(answer, answer) as client:
        assert (await client.completions.create(model="m", prompt="p")).choices[0].text == "Once upon a time"
        stream = await client.completions.create(model="m", prompt="p", stream=True)
        assert "".join([chunk.choices[0].text async for chunk in stream]) == "Once upon a time"


async def test_responses() -> None:
    answer = openai_responses.answer("Hello there", tools=[TOOL], usage=Usage(input_tokens=3, output_tokens=4))
    async with openai_client(answer, answer) as client:
        reply = await client.responses.create(model="m", input="hi")
        assert reply.output_text == "Hello there"
        async with client.responses.stream(model="m", input="hi") as stream:
            final = await stream.get_final_response()
        assert final.output_text == "Hello there"
        assert json.loads(final.output[1].arguments) == TOOL.arguments
        assert final.usage is not None
        assert final.usage.total_tokens == reply.usage.total_tokens == 7


async def test_embeddings() -> None:
    async with openai_client(embeddings.answer(), embeddings.answer()) as client:
        packed = await client.embeddings.create(model="m", input=["a", "b"])
        plain = await client.embeddings.create(model="m", input="a", encoding_format="float")
    assert [item.embedding for item in packed.data] == [embeddings.vector(0), embeddings.vector(1)]
    assert plain.data[0].embedding == embeddings.vector(0)


async def test_messages() -> None:
    usage = Usage(input_tokens=10, output_tokens=4, cache_read_tokens=6)
    answer = anthropic.answer("Hello there", tools=[TOOL], usage=usage)
    async with anthropic_client(answer, answer) as client:
        reply = await client.messages.create(model="m", max_tokens=10, messages=MESSAGES)
        async with client.messages.stream(model="m", max_tokens=10, messages=MESSAGES) as stream:
            final = await stream.get_final_message()
    for message in (reply, final):
        assert message.content[0].text == "Hello there"
        assert message.content[1].input == TOOL.arguments
        assert message.stop_reason == "tool_use"
        assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (4, 6)
        assert message.usage.output_tokens == 4


async def test_messages_errors() -> None:
    async with anthropic_client(anthropic.error(529, "Overloaded")) as client:
        with pytest.raises(APIStatusError, match="overloaded_error") as problem:
            await client.messages.create(model="m", max_tokens=10, messages=MESSAGES)
        assert problem.value.request_id == anthropic.REQUEST_ID
