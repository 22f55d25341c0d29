"""google-genai in front of providers that speak another dialect."""

from __future__ import annotations

import json
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from helicone_gw.model import Usage
from helicone_gw.testing import ScriptedProvider, of_json
from helicone_gw.testing.dialects import ToolCall, openai_chat
from helicone_gw.testing.dialects import anthropic as messages
from tests.clients.gateways import Ports, Running, Ways, configuration
from tests.program import gateway

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own, at import
    from google import genai
    from google.genai import errors, types

USAGE = Usage(input_tokens=20, output_tokens=9, cache_read_tokens=5, reasoning_tokens=0)
CALLS = [ToolCall("weather", {"city": "Zürich"}, id="call_1"), ToolCall("weather", {"city": "東京"}, id="call_2")]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ANSWERS: dict[str, Any] = {"chat": openai_chat, "claude": messages}


@pytest.fixture(scope="module")
def translating(ports: Ports, ways: Ways, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway whose models are at providers of OpenAI's and Anthropic's dialects."""
    directory = tmp_path_factory.mktemp("translating-gemini")
    config = configuration(ports, ways, directory)
    config["models"] = {
        "chat": {"providers": ["openai"], "model": "gpt-4o-mini"},
        "claude": {"providers": ["anthropic"], "model": "claude-sonnet-4-5"},
    }
    with gateway(config, directory) as url:
        yield Running(url, directory)


@pytest.fixture
async def models(translating: Running) -> AsyncIterator[Any]:
    """The asynchronous models of google-genai at the gateway."""
    async with httpx.AsyncClient() as http:
        options = types.HttpOptions(
            base_url=translating.url, retry_options=types.HttpRetryOptions(attempts=1), httpx_async_client=http
        )
        client = genai.Client(api_key="of-the-client", http_options=options)
        yield client.aio.models
        client.close()


def asked() -> dict[str, Any]:
    function = types.FunctionDeclaration(name="weather", parameters_json_schema=PARAMETERS)
    return {
        "contents": [
            types.Content(role="user", parts=[types.Part.from_text(text="Weather in Zürich?")]),
            types.Content(role="model", parts=[types.Part.from_function_call(name="weather", args={"city": "Bern"})]),
            types.Content(
                role="user", parts=[types.Part.from_function_response(name="weather", response={"result": "rain"})]
            ),
        ],
        "config": types.GenerateContentConfig(
            system_instruction="Be brief.",
            max_output_tokens=100,
            tools=[types.Tool(function_declarations=[function])],
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        ),
    }


@pytest.mark.parametrize("model", ANSWERS)
async def test_tools_elsewhere(models: Any, provider: ScriptedProvider, model: str) -> None:
    provider.enqueue(ANSWERS[model].reply("Wait.", tools=CALLS, usage=USAGE))
    answer = await models.generate_content(model=model, **asked())
    assert [part.text for part in answer.candidates[0].content.parts if part.text] == ["Wait."]
    assert [call.args for call in answer.function_calls] == [dict(call.arguments) for call in CALLS]
    assert [call.id for call in answer.function_calls] == ["call_1", "call_2"]
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count, usage.total_token_count) == (20, 5, 29)
    body = provider.requests[0].body.decode()
    assert "Be brief." in body
    assert "rain" in body


@pytest.mark.parametrize("model", ANSWERS)
async def test_streams_from_elsewhere(models: Any, provider: ScriptedProvider, model: str) -> None:
    provider.enqueue(ANSWERS[model].stream(["Wa", "it ☺"], tools=CALLS, usage=USAGE))
    chunks = [chunk async for chunk in await models.generate_content_stream(model=model, **asked())]
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text or "" for part in parts) == "Wait ☺"
    assert [part.function_call.args for part in parts if part.function_call] == [dict(call.arguments) for call in CALLS]
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.total_token_count == 29


async def test_a_stream_without_events_is_one_array(translating: Running, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.stream(["Wa", "it"]))
    async with httpx.AsyncClient(base_url=translating.url) as client:
        path = "/v1beta/models/chat:streamGenerateContent"
        answer = await client.post(path, json={"contents": [{"parts": [{"text": "Hi"}]}]})
    assert answer.headers["content-type"] == "application/json"
    texts = [
        part["text"] for chunk in json.loads(answer.content) for part in chunk["candidates"][0]["content"]["parts"]
    ]
    assert "".join(texts) == "Wait"


async def test_an_error_in_googles_shape(models: Any, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.error(429, "Slow down, please."))
    with pytest.raises(errors.ClientError, match="Slow down, please") as slow:
        await models.generate_content(model="chat", contents="Hi")
    assert (slow.value.code, slow.value.status) == (429, "RESOURCE_EXHAUSTED")


async def test_embeddings_elsewhere(models: Any, provider: ScriptedProvider) -> None:
    vectors = [{"object": "embedding", "index": index, "embedding": [float(index), 0.5]} for index in range(2)]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    provider.enqueue(of_json({"object": "list", "data": vectors, "model": "gpt-4o-mini", "usage": usage}))
    found = await models.embed_content(model="chat", contents=["one", "two"])
    assert [item.values for item in found.embeddings] == [[0.0, 0.5], [1.0, 0.5]]
    assert provider.requests[0].json()["input"] == ["one", "two"]


async def test_an_array_that_is_cut_ends_in_an_error_and_a_broken_connection(
    translating: Running, provider: ScriptedProvider
) -> None:
    provider.enqueue(openai_chat.stream(("one ", "two ", "three ")).framed("close").cut(events=3))
    url = f"{translating.url}/v1beta/models/chat:streamGenerateContent"
    pieces: list[bytes] = []
    async with (
        httpx.AsyncClient() as client,
        client.stream("POST", url, json={"contents": [{"role": "user", "parts": [{"text": "Count."}]}]}) as answer,
    ):
        assert answer.headers["content-type"] == "application/json"
        with pytest.raises(httpx.HTTPError):
            async for piece in answer.aiter_bytes():
                pieces.append(piece)  # noqa: PERF401 (what came before it broke is kept)
    *parts, last = json.loads(b"".join(pieces))
    words = [part["text"] for each in parts for part in each["candidates"][0]["content"]["parts"]]
    assert "".join(words) == "one two "
    assert last["error"]["code"] == 502
