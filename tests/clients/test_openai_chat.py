"""openai's SDK, chat completions: the base URL is swapped and nothing else."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

import openai
import pytest

from helicone_gw.testing import ScriptedProvider, of_json
from helicone_gw.testing.dialects import ToolCall, openai_chat
from tests.clients.gateways import Client, Connect, Running, ours, sent_to_provider, texts

MODEL = "gpt-4o-mini"
MESSAGES = [{"role": "user", "content": "Say hello."}]
TOOLS = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
]
CALLS = [
    ToolCall("weather", {"city": "Zürich"}, id="call_1"),
    ToolCall("weather", {"city": "東京", "days": 3}, id="call_2"),
]
UNICODE = 'Grüße, 世界! 👩‍🚀 \u2028 «naïve» \\n "quoted"'


async def test_a_completion(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.reply("Hello!"))
    completion = await chat.call(chat.sdk.chat.completions.create, model=MODEL, messages=MESSAGES)
    assert completion.choices[0].message.content == "Hello!"
    assert completion.usage.total_tokens == 19
    assert completion._request_id == openai_chat.HEADERS["x-request-id"]
    (request,) = provider.requests
    assert (request.method, request.target) == ("POST", "/openai/v1/chat/completions")
    assert request.json() == {"model": MODEL, "messages": MESSAGES}
    assert request.headers.get("authorization") == "Bearer sk-of-the-client"


async def test_the_bodies_are_the_same_bytes_on_both_sides(chat: Client, provider: ScriptedProvider) -> None:
    answer = openai_chat.reply(UNICODE)
    provider.enqueue(answer)
    create = chat.sdk.chat.completions.with_raw_response.create
    raw = await chat.call(create, model=MODEL, messages=[{"role": "user", "content": UNICODE}], user=None)
    assert raw.content == answer.body
    sent = raw.http_request.content
    assert provider.requests[0].body == sent
    assert json.loads(sent)["messages"][0]["content"] == UNICODE


async def test_a_stream(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.answer(["Hel", "lo, ", UNICODE]))
    stream = await chat.call(chat.sdk.chat.completions.create, model=MODEL, messages=MESSAGES, stream=True)
    chunks = await chat.list(stream)
    assert texts(chunks) == "Hello, " + UNICODE
    assert chunks[-1].choices[0].finish_reason == "stop"
    # The gateway asks for usage so that it can tell the cost; who did not ask for it does not see it.
    assert provider.requests[0].json()["stream_options"] == {"include_usage": True}
    assert all(chunk.choices for chunk in chunks)


async def test_a_stream_with_usage_for_who_asks(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.answer("Hello!"))
    stream = await chat.call(
        chat.sdk.chat.completions.create,
        model=MODEL,
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = await chat.list(stream)
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 19


async def test_parallel_tool_calls(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.reply(None, tools=CALLS))
    completion = await chat.call(chat.sdk.chat.completions.create, model=MODEL, messages=MESSAGES, tools=TOOLS)
    calls = completion.choices[0].message.tool_calls
    assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in calls] == [
        (call.id, call.name, call.arguments) for call in CALLS
    ]
    assert provider.requests[0].json()["tools"] == TOOLS


async def test_parallel_tool_calls_in_a_stream(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.stream(None, tools=CALLS).dripped(7))
    stream = await chat.call(chat.sdk.chat.completions.create, model=MODEL, messages=MESSAGES, tools=TOOLS, stream=True)
    gathered: dict[int, dict[str, str]] = {}
    for chunk in await chat.list(stream):
        for choice in chunk.choices:
            for piece in choice.delta.tool_calls or ():
                call = gathered.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
                call["id"] += piece.id or ""
                call["name"] += piece.function.name or ""
                call["arguments"] += piece.function.arguments or ""
    assert [(call["id"], call["name"], json.loads(call["arguments"])) for call in gathered.values()] == [
        (call.id, call.name, call.arguments) for call in CALLS
    ]


async def test_the_stream_helper(connect: Connect, open_gateway: Running, provider: ScriptedProvider) -> None:
    client = connect("openai", f"{open_gateway.url}/v1").sdk
    provider.enqueue(openai_chat.answer("Hello, world!", tools=CALLS))
    async with client.chat.completions.stream(model=MODEL, messages=MESSAGES) as stream:
        events = [event.type async for event in stream]
        final = await stream.get_final_completion()
    assert "content.delta" in events
    assert "tool_calls.function.arguments.done" in events
    assert final.choices[0].message.content == "Hello, world!"
    assert len(final.choices[0].message.tool_calls) == 2


async def test_headers_reach_the_client(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.reply(headers={"x-ratelimit-reset-requests": "8.64s", "x-of-tomorrow": "kept"}))
    create = chat.sdk.chat.completions.with_raw_response.create
    raw = await chat.call(create, model=MODEL, messages=MESSAGES)
    expected = {**openai_chat.HEADERS, "x-ratelimit-reset-requests": "8.64s", "x-of-tomorrow": "kept"}
    assert {name: raw.headers.get(name) for name in expected} == expected
    outcome = ours(raw.headers)
    assert outcome["helicone-id"]
    assert outcome["helicone-provider"] == "openai"
    assert outcome["helicone-model"] == openai_chat.MODEL
    assert outcome["helicone-attempts"] == "1"
    assert outcome["helicone-status"] == "success"
    assert float(outcome["helicone-cost"]) > 0
    assert float(outcome["helicone-overhead-ms"]) >= 0


async def test_headers_of_a_stream(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.stream("Hello!"))
    create = chat.sdk.chat.completions.with_raw_response.create
    raw = await chat.call(create, model=MODEL, messages=MESSAGES, stream=True)
    assert raw.headers["x-request-id"] == openai_chat.HEADERS["x-request-id"]
    assert ours(raw.headers)["helicone-provider"] == "openai"
    # What a stream costs is known when it is over.
    assert "helicone-cost" not in raw.headers
    assert texts(await chat.list(raw.parse())) == "Hello!"


async def test_unknown_fields_are_kept_both_ways(chat: Client, provider: ScriptedProvider) -> None:
    answer = openai_chat.reply("Hello!")
    body = json.loads(answer.body) | {"of_tomorrow": {"deep": [1, None, 1e400, "ü"]}}
    body["choices"][0]["message"]["reasoning_content"] = "hm"
    provider.enqueue(of_json(body))
    completion = await chat.call(
        chat.sdk.chat.completions.create,
        model=MODEL,
        messages=MESSAGES,
        temperature=None,
        extra_body={"of_tomorrow": {"x": [None, 0.1, 12345678901234567890]}},
        extra_headers={"X-Of-Tomorrow": "yes"},
        extra_query={"beta": "a b&c"},
    )
    assert completion.choices[0].message.reasoning_content == "hm"
    assert completion.of_tomorrow["deep"][3] == "ü"
    request = provider.requests[0]
    assert b'"of_tomorrow":{"x":[null,0.1,12345678901234567890]}' in request.body
    assert request.json()["temperature"] is None
    assert request.headers.get("x-of-tomorrow") == "yes"
    assert request.query == "beta=a+b%26c"


@pytest.mark.parametrize("stream", [False, True])
async def test_gzip_answers(chat: Client, provider: ScriptedProvider, stream: bool) -> None:
    made = openai_chat.stream if stream else openai_chat.reply
    provider.enqueue(made(UNICODE * 100).gzipped())
    answer = await chat.call(chat.sdk.chat.completions.create, model=MODEL, messages=MESSAGES, stream=stream)
    text = texts(await chat.list(answer)) if stream else answer.choices[0].message.content
    assert text == UNICODE * 100


async def test_a_gzip_request(connect: Connect, open_gateway: Running, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.reply("Hello!"))
    client = connect("openai", f"{open_gateway.url}/v1").sdk
    squeeze = zlib.compressobj(wbits=31)
    plain = json.dumps({"model": MODEL, "messages": MESSAGES}).encode()
    body = squeeze.compress(plain) + squeeze.flush()
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    await client.post("/chat/completions", content=body, cast_to=object, options={"headers": headers})
    assert provider.requests[0].body == plain
    assert "content-encoding" not in provider.requests[0].headers


async def test_fifty_parallel_streams_stay_intact(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    def answer(request: Any) -> Any:
        mine = request.json()["messages"][0]["content"]
        return openai_chat.stream([f"{mine}-{number} " for number in range(40)], model=mine).paced(0.002)

    provider.default = answer
    client = connect("openai", f"{open_gateway.url}/v1")

    async def one(number: int) -> tuple[str, set[str]]:
        stream = await client.sdk.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": f"stream{number}"}], stream=True
        )
        chunks = await client.list(stream)
        return texts(chunks), {chunk.model for chunk in chunks}

    got = await asyncio.gather(*(one(number) for number in range(50)))
    for number, (text, models) in enumerate(got):
        assert text == "".join(f"stream{number}-{piece} " for piece in range(40))
        assert models == {f"stream{number}"}
    assert len(provider.requests) == 50


async def test_a_request_of_four_mebibytes(chat: Client, provider: ScriptedProvider) -> None:
    text = "".join(f"{number:07} " for number in range(4 << 17))
    assert len(text) == 4 << 20
    provider.enqueue(openai_chat.answer(text))
    completion = await chat.call(
        chat.sdk.chat.completions.create, model=MODEL, messages=[{"role": "user", "content": text}]
    )
    assert provider.requests[0].json()["messages"][0]["content"] == text
    assert completion.choices[0].message.content == text


CUTS = {
    "a chunked body that ends without its last chunk": openai_chat.stream("one two three four").cut(events=3),
    "a reset": openai_chat.stream("one two three four").cut(events=3, how="reset"),
    "an end that HTTP takes for complete": openai_chat.stream("one two three four").framed("close").cut(events=3),
    "an end in the middle of an event": openai_chat.stream("one two three four").framed("close").cut(bytes=900),
    "a gzip body cut short": openai_chat.stream("one two three four").framed("close").gzipped().cut(events=3),
}


@pytest.mark.parametrize("cut", CUTS)
async def test_a_cut_stream_raises(chat: Client, provider: ScriptedProvider, cut: str) -> None:
    provider.enqueue(CUTS[cut])
    stream = await chat.call(chat.sdk.chat.completions.create, model=MODEL, messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIError):
        await chat.list(stream)
    # The client lives on.
    provider.enqueue(openai_chat.reply("Hello!"))
    await chat.call(chat.sdk.chat.completions.create, model=MODEL, messages=MESSAGES)


async def test_a_cut_stream_ends_without_done_on_a_broken_connection(
    open_gateway: Running, provider: ScriptedProvider
) -> None:
    provider.enqueue(openai_chat.stream("one two three four").framed("close").cut(events=3))
    host, port = open_gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps({"model": MODEL, "messages": MESSAGES, "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{head}Authorization: Bearer sk\r\nContent-Type: application/json\r\n\r\n".encode() + body)
    received = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b"two" in received
    assert b'"code":"upstream_protocol_error"' in received
    assert b"[DONE]" not in received
    assert not received.endswith(b"0\r\n\r\n"), "the answer must not look complete to HTTP either"


async def test_a_cut_reply_raises(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.reply("Hello!").cut(bytes=20))
    with pytest.raises(openai.InternalServerError) as caught:
        await chat.call(chat.sdk.chat.completions.create, model=MODEL, messages=MESSAGES)
    assert caught.value.status_code == 502
    assert caught.value.code == "upstream_protocol_error"


async def test_an_error_inside_a_stream_raises_the_providers_words(chat: Client, provider: ScriptedProvider) -> None:
    broken = openai_chat.stream("one two three").interrupted(openai_chat.error_event("Out of capacity."), events=2)
    provider.enqueue(broken)
    stream = await chat.call(chat.sdk.chat.completions.create, model=MODEL, messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIError, match="Out of capacity"):
        await chat.list(stream)


@pytest.mark.parametrize("after", [0, 3])
async def test_closing_a_stream_cancels_upstream_within_a_second(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider, after: int
) -> None:
    client = connect("openai", f"{open_gateway.url}/v1").sdk
    provider.enqueue(openai_chat.stream("one two three four").cut(events=4, how="hang"))
    stream = await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
    for _ in range(after):
        await anext(stream)
    await stream.close()
    async with asyncio.timeout(1):
        await provider.closed_by_client.wait()


async def test_giving_up_before_the_answer_cancels_upstream(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    client = connect("openai", f"{open_gateway.url}/v1").sdk
    provider.enqueue(openai_chat.reply().delayed(60))
    asking = asyncio.ensure_future(client.chat.completions.create(model=MODEL, messages=MESSAGES))
    await provider.received()
    asking.cancel()
    async with asyncio.timeout(1):
        await provider.closed_by_client.wait()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_nothing_of_the_gateways_reaches_the_provider(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.reply())
    fields = {"Helicone-User-Id": "someone", "Helicone-Property-App": "mine", "Cookie": "helicone_gw=1; theirs=2"}
    await chat.call(chat.sdk.chat.completions.create, model=MODEL, messages=MESSAGES, extra_headers=fields)
    sent = sent_to_provider(provider.requests[0]).lower()
    assert b"helicone" not in sent
    assert provider.requests[0].headers.get("cookie") == "theirs=2"
