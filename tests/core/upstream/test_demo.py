"""The demo provider, as the real SDKs read it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.headers import Headers
from helicone_gw.model import Target, UpstreamRequest, UpstreamResponse
from helicone_gw.upstream.demo import MAX_BODY, DemoUpstream
from helicone_gw.upstream.demo_text import count_tokens, pieces, vector


class Naps:
    """A sleep that only counts."""

    def __init__(self) -> None:
        self.total = 0.0

    async def __call__(self, seconds: float) -> None:
        self.total += seconds


class Demo:
    """The demo provider as SDKs reach it without a network; the anthropic SDK has an httpx of its own."""

    def __init__(self) -> None:
        self.naps = Naps()
        self._answer = DemoUpstream(self.naps)

    async def openai(self, request: httpx.Request) -> httpx.Response:
        answer = await self._ask(request.method, str(request.url), request.headers.raw, await request.aread())
        return httpx.Response(answer.status, headers=answer.headers.raw, content=answer.body)

    async def anthropic(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._ask(request.method, str(request.url), request.headers.raw, await request.aread())
        return httpx2.Response(answer.status, headers=answer.headers.raw, content=answer.body)

    async def _ask(self, method: str, url: str, raw: list[tuple[bytes, bytes]], body: bytes) -> UpstreamResponse:
        return await self._answer(UpstreamRequest(method, url, Headers(raw), body, Target("demo")))


def openai_client(demo: Demo, strict: bool) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key="x",
        base_url="https://demo.invalid/v1",
        max_retries=0,
        _strict_response_validation=strict,
        http_client=httpx.AsyncClient(transport=httpx.MockTransport(demo.openai)),
    )


@pytest.fixture
def demo() -> Demo:
    return Demo()


@pytest.fixture
async def client(demo: Demo) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai_client(demo, strict=True) as made:
        yield made


@pytest.fixture
async def lenient(demo: Demo) -> AsyncIterator[openai.AsyncOpenAI]:
    """For what OpenAI itself answers against the SDK's types: base64 embeddings, unfinished completion choices."""
    async with openai_client(demo, strict=False) as made:
        yield made


@pytest.fixture
async def claude(demo: Demo) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        api_key="x",
        base_url="https://demo.invalid",
        max_retries=0,
        _strict_response_validation=True,
        http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(demo.anthropic)),
    ) as made:
        yield made


HELLO: list[Any] = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "What is a\n gateway?"}]
PROMPT_TOKENS = 2 + 5


async def test_chat(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="demo", messages=HELLO)
    text = answer.choices[0].message.content or ""
    assert "“What is a gateway?”" in text
    assert answer.model == "demo"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == PROMPT_TOKENS
    assert answer.usage.completion_tokens == count_tokens([text])
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_chat_streamed_says_the_same_as_unstreamed(client: openai.AsyncOpenAI, demo: Demo) -> None:
    unary = await client.chat.completions.create(model="demo-fast", messages=HELLO)
    stream = await client.chat.completions.create(
        model="demo-fast", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == unary.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == unary.usage
    assert len(chunks) > 5
    assert 0 < demo.naps.total <= 0.02


async def test_a_stream_carries_usage_only_if_asked(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="demo", messages=HELLO, stream=True)
    chunks = [chunk async for chunk in stream]
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


async def test_the_sdks_own_stream_helper_reads_it(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="demo", messages=HELLO) as stream:
        final = await stream.get_final_completion()
    assert "gateway" in (final.choices[0].message.content or "")


async def test_a_limit_on_tokens_cuts_the_answer(client: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic) -> None:
    chat = await client.chat.completions.create(model="demo", messages=HELLO, max_tokens=3)
    assert chat.choices[0].finish_reason == "length"
    assert chat.usage is not None
    assert chat.usage.completion_tokens == 3
    response = await client.responses.create(model="demo", input="hi", max_output_tokens=3)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    message = await claude.messages.create(model="demo", max_tokens=3, messages=[{"role": "user", "content": "hi"}])
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 3)


async def test_completions(client: openai.AsyncOpenAI, lenient: openai.AsyncOpenAI) -> None:
    unary = await client.completions.create(model="demo", prompt="Once upon a time")
    assert "Once upon a time" in unary.choices[0].text
    stream = await lenient.completions.create(
        model="demo", prompt="Once upon a time", stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == unary.choices[0].text
    assert chunks[-1].usage == unary.usage


async def test_responses(client: openai.AsyncOpenAI) -> None:
    answer = await client.responses.create(model="demo", input="What is a gateway?", instructions="Be kind.")
    assert "What is a gateway?" in answer.output_text
    assert answer.status == "completed"
    assert answer.usage is not None
    assert answer.usage.input_tokens == PROMPT_TOKENS
    assert answer.usage.output_tokens == count_tokens([answer.output_text])


async def test_responses_streamed(client: openai.AsyncOpenAI) -> None:
    asked: list[Any] = [{"role": "user", "content": [{"type": "input_text", "text": "What is a gateway?"}]}]
    unary = await client.responses.create(model="demo", input=asked)
    stream = await client.responses.create(model="demo", input=asked, stream=True)
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == unary.output_text
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.usage == unary.usage
    assert last.response.output_text == unary.output_text
    async with client.responses.stream(model="demo", input=asked) as helper:
        assert (await helper.get_final_response()).output_text == unary.output_text


async def test_embeddings_in_base64_and_in_floats_are_the_same_unit_vectors(
    client: openai.AsyncOpenAI, lenient: openai.AsyncOpenAI
) -> None:
    packed = await lenient.embeddings.create(model="demo-embedding", input=["one", "two"])
    plain = await client.embeddings.create(model="demo-embedding", input=["one", "two"], encoding_format="float")
    for first, second in zip(packed.data, plain.data, strict=True):
        assert first.embedding == pytest.approx(second.embedding, abs=1e-6)
        assert sum(value * value for value in second.embedding) == pytest.approx(1)
    assert packed.data[0].embedding != packed.data[1].embedding
    assert packed.usage.prompt_tokens == 2
    small = await lenient.embeddings.create(model="demo-embedding", input="one", dimensions=3)
    assert len(small.data[0].embedding) == 3
    tokens = await lenient.embeddings.create(model="demo-embedding", input=[1, 2, 3])
    assert len(tokens.data) == 1


async def test_models(client: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic) -> None:
    assert [model.id async for model in client.models.list()] == ["demo", "demo-embedding"]
    assert (await client.models.retrieve("demo-x")).id == "demo-x"
    assert [model.id async for model in claude.models.list()] == ["demo", "demo-embedding"]
    assert (await claude.models.retrieve("demo")).type == "model"


async def test_messages(claude: anthropic.AsyncAnthropic) -> None:
    asked: list[Any] = [
        {"role": "user", "content": "First."},
        {"role": "assistant", "content": "Second."},
        {"role": "user", "content": [{"type": "text", "text": "What is a gateway?"}]},
    ]
    message = await claude.messages.create(model="demo", max_tokens=100, system="Be kind.", messages=asked)
    (block,) = message.content
    assert block.type == "text"
    assert "“What is a gateway?”" in block.text
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens == 2 + 2 + 2 + 5
    counted = await claude.messages.count_tokens(model="demo", system="Be kind.", messages=asked)
    assert counted.input_tokens == message.usage.input_tokens


async def test_messages_streamed_say_the_same(claude: anthropic.AsyncAnthropic) -> None:
    asked: list[Any] = [{"role": "user", "content": "What is a gateway?"}]
    unary = await claude.messages.create(model="demo", max_tokens=100, messages=asked)
    async with claude.messages.stream(model="demo", max_tokens=100, messages=asked) as stream:
        final = await stream.get_final_message()
    assert final.content[0].type == unary.content[0].type == "text"
    assert final.content[0].text == unary.content[0].text
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == unary.usage.output_tokens
    assert final.usage.input_tokens == unary.usage.input_tokens


async def test_a_model_of_another_name_is_not_invented(
    client: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic
) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await client.chat.completions.create(model="gpt-5", messages=HELLO)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-5")
    with pytest.raises(anthropic.NotFoundError) as absent:
        await claude.messages.create(model="claude-opus-5", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
    assert absent.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]


async def test_bad_requests(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="messages"):
        await client.chat.completions.create(model="demo", messages=[])
    with pytest.raises(openai.BadRequestError, match="max_tokens"):
        await client.chat.completions.create(model="demo", messages=HELLO, max_tokens=0)
    with pytest.raises(openai.BadRequestError, match="dimensions"):
        await client.embeddings.create(model="demo", input="x", dimensions=100_000)
    with pytest.raises(openai.NotFoundError):
        await client.moderations.create(model="demo", input="x")


async def call(method: str, path: str, body: bytes | AsyncIterator[bytes] | None) -> tuple[int, bytes]:
    request = UpstreamRequest(method, f"https://demo.invalid{path}", Headers(), body, Target("demo"))
    answer = await DemoUpstream(Naps())(request)
    data = b"".join([piece async for piece in answer.body])
    await answer.close()
    return answer.status, data


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, None])
async def test_bodies_that_are_no_json_object(body: bytes | None) -> None:
    status, data = await call("POST", "/v1/chat/completions", body)
    assert status == 400
    assert json.loads(data)["error"]["type"] == "invalid_request_error"


async def test_methods_and_sizes() -> None:
    assert (await call("GET", "/v1/chat/completions", None))[0] == 405
    assert (await call("DELETE", "/v1/models/demo", None))[0] == 405

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 2**20

    assert (await call("POST", "/v1/messages", endless()))[0] == 413
    assert (await call("POST", "/v1/chat/completions", b" " * (MAX_BODY + 1)))[0] == 413


async def test_equal_requests_get_equal_bytes_and_different_ones_different_ids() -> None:
    def body(text: str, stream: bool) -> bytes:
        return json.dumps({"model": "demo", "stream": stream, "messages": [{"role": "user", "content": text}]}).encode()

    for stream in (False, True):
        first = await call("POST", "/v1/chat/completions", body("a", stream))
        assert first == await call("POST", "/v1/chat/completions", body("a", stream))
        assert first != await call("POST", "/v1/chat/completions", body("b", stream))


async def test_a_body_that_streams_is_read() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b'{"model":"demo",'
        yield b'"messages":[{"role":"user","content":"hi"}]}'

    assert (await call("POST", "/v1/chat/completions", parts()))[0] == 200


async def test_a_stream_that_nobody_reads_can_be_closed() -> None:
    body = b'{"model":"demo","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    request = UpstreamRequest("POST", "https://demo.invalid/v1/chat/completions", Headers(), body, Target("demo"))
    answer = await DemoUpstream(Naps())(request)
    await answer.close()
    assert [piece async for piece in answer.body] == []


@given(st.text())
def test_pieces_give_the_text_again(text: str) -> None:
    assert "".join(pieces(text)) == text
    assert len(pieces(text)) <= 12


@given(st.text(), st.integers(1, 64))
def test_vectors_depend_on_the_text_alone(text: str, dimensions: int) -> None:
    assert vector(text, dimensions) == vector(text, dimensions)
    assert len(vector(text, dimensions)) == dimensions
