"""anthropic's SDK: the base URL is swapped and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import pytest

from helicone_gw.testing import ScriptedProvider, ScriptedResponse, event, of_bytes, of_events, of_json
from helicone_gw.testing.dialects import ToolCall
from helicone_gw.testing.dialects import anthropic as messages
from tests.clients.gateways import Client, Connect, Flavour, Running, ours, sent_to_provider

ASK: dict[str, Any] = {
    "model": "claude-test",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Say hello."}],
}
CALLS = [ToolCall("weather", {"city": "Zürich"}, id="toolu_1"), ToolCall("weather", {"city": "東京"}, id="toolu_2")]
BATCH = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "ended",
    "request_counts": {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0},
    "created_at": "2026-01-01T00:00:00Z",
    "expires_at": "2026-01-02T00:00:00Z",
    "ended_at": "2026-01-01T01:00:00Z",
    "archived_at": None,
    "cancel_initiated_at": None,
    "results_url": None,
}


def thinking_stream() -> ScriptedResponse:
    """A stream with a block of thinking, its signature, and an event that nobody knows yet."""
    usage = {"input_tokens": 12, "output_tokens": 1}
    message = {"id": messages.ID, "type": "message", "role": "assistant", "model": messages.MODEL, "content": []}
    block = {"type": "thinking", "thinking": "", "signature": ""}
    steps: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Let me "}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "see."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "EqQB+/=="}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hello ☺"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]
    return of_events(*(event(step, step["type"]) for step in steps), headers=messages.HEADERS)


async def test_a_message(claude: Client, provider: ScriptedProvider) -> None:
    answer = messages.reply("Hello!", tools=CALLS)
    provider.enqueue(answer)
    raw = await claude.call(claude.sdk.messages.with_raw_response.create, **ASK)
    assert raw.http_response.content == answer.body
    message = await claude.call(raw.parse)
    assert message.content[0].text == "Hello!"
    assert [(block.id, block.input) for block in message.content[1:]] == [(c.id, c.arguments) for c in CALLS]
    assert message.stop_reason == "tool_use"
    assert message._request_id == messages.REQUEST_ID
    assert {name: raw.headers.get(name) for name in messages.HEADERS} == messages.HEADERS
    outcome = ours(raw.headers)
    assert (outcome["helicone-provider"], outcome["helicone-model"]) == ("anthropic", messages.MODEL)
    assert float(outcome["helicone-cost"]) > 0
    (request,) = provider.requests
    assert (request.method, request.target) == ("POST", "/anthropic/v1/messages")
    assert request.json() == ASK
    assert request.body == raw.http_request.content


async def test_a_stream_of_text_and_tools(claude: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(messages.answer(["Hel", "lo ☺"], tools=CALLS))
    events = await claude.list(await claude.call(claude.sdk.messages.create, **ASK, stream=True))
    assert [events[0].type, events[-2].type, events[-1].type] == ["message_start", "message_delta", "message_stop"]
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    assert "".join(delta.text for delta in deltas if delta.type == "text_delta") == "Hello ☺"
    written: dict[int, str] = {}
    for each in events:
        if each.type == "content_block_delta" and each.delta.type == "input_json_delta":
            written[each.index] = written.get(each.index, "") + each.delta.partial_json
    assert [json.loads(text) for text in written.values()] == [dict(call.arguments) for call in CALLS]
    assert events[-2].usage.output_tokens == 7


async def test_the_stream_helper_with_thinking(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    provider.enqueue(thinking_stream().dripped(13))
    client = connect("anthropic", open_gateway.url).sdk
    async with client.messages.stream(**ASK) as stream:
        kinds = [event.type async for event in stream]
        message = await stream.get_final_message()
    assert {"thinking", "signature", "text"} <= set(kinds)
    thought, said = message.content
    assert (thought.thinking, thought.signature, said.text) == ("Let me see.", "EqQB+/==", "Hello ☺")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (12, 9)


async def test_a_gzip_stream(claude: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(messages.stream("Hello! " * 200).gzipped())
    events = await claude.list(await claude.call(claude.sdk.messages.create, **ASK, stream=True))
    texts = [each.delta.text for each in events if each.type == "content_block_delta"]
    assert "".join(texts) == "Hello! " * 200


async def test_count_tokens(claude: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(of_json({"input_tokens": 2095}))
    asked = {name: value for name, value in ASK.items() if name != "max_tokens"}
    counted = await claude.call(claude.sdk.messages.count_tokens, **asked)
    assert counted.input_tokens == 2095
    assert provider.requests[0].target == "/anthropic/v1/messages/count_tokens"


async def test_models(claude: Client, provider: ScriptedProvider) -> None:
    model = {"id": "claude-a", "type": "model", "display_name": "A", "created_at": "2026-01-01T00:00:00Z"}
    provider.enqueue(
        of_json({"data": [model], "has_more": False, "first_id": "claude-a", "last_id": "claude-a"}), of_json(model)
    )
    page = await claude.call(claude.sdk.models.list, limit=5)
    one = await claude.call(claude.sdk.models.retrieve, "claude-a")
    assert "claude-a" in [model.id for model in page.data]
    assert page.data[0].type == "model"
    assert one.display_name == "A"
    assert provider.requests[-1].target == "/anthropic/v1/models/claude-a"


async def test_batches(claude: Client, provider: ScriptedProvider, open_gateway: Running) -> None:
    result = {"type": "succeeded", "message": json.loads(messages.reply("Hello!").body)}
    lines = b"".join(json.dumps({"custom_id": f"r{n}", "result": result}).encode() + b"\n" for n in range(3))
    # The SDK goes wherever this URL says. Anthropic's names its own host, around any gateway.
    results_url = f"{open_gateway.url}/v1/messages/batches/msgbatch_1/results"
    provider.enqueue(
        of_json({**BATCH, "processing_status": "in_progress"}),
        of_json({"data": [BATCH], "has_more": False, "first_id": "a", "last_id": "a"}),
        of_json({**BATCH, "processing_status": "canceling"}),
        of_json({**BATCH, "results_url": results_url}),
        of_bytes(lines, "application/x-jsonl"),
    )
    batches = claude.sdk.messages.batches
    requests = [{"custom_id": "r0", "params": ASK}]
    made = await claude.call(batches.create, requests=requests)
    page = await claude.call(batches.list, limit=3)
    await claude.call(batches.cancel, made.id)
    results = await claude.list(await claude.call(batches.results, made.id))
    assert [batch.id for batch in page.data] == ["msgbatch_1"]
    assert [entry.custom_id for entry in results] == ["r0", "r1", "r2"]
    assert provider.requests[0].json() == {"requests": requests}
    assert [request.target for request in provider.requests] == [
        "/anthropic/v1/messages/batches",
        "/anthropic/v1/messages/batches?limit=3",
        "/anthropic/v1/messages/batches/msgbatch_1/cancel",
        "/anthropic/v1/messages/batches/msgbatch_1",
        "/anthropic/v1/messages/batches/msgbatch_1/results",
    ]


async def test_files_of_anthropic(claude: Client, provider: ScriptedProvider) -> None:
    made = {"id": "file_1", "type": "file", "filename": "a.bin", "mime_type": "x/y", "size_bytes": 3, "created_at": "x"}
    provider.enqueue(of_json(made))
    content = bytes(range(256))
    file = await claude.call(claude.sdk.beta.files.upload, file=("a.bin", content, "x/y"), betas=["of-tomorrow"])
    assert file.id == "file_1"
    request = provider.requests[0]
    assert request.path == "/anthropic/v1/files"
    assert content in request.body
    assert "of-tomorrow" in (request.headers.get("anthropic-beta") or "")


EXCEPTIONS = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    413: anthropic.RequestTooLargeError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    529: anthropic.OverloadedError,
}


@pytest.mark.parametrize("status", EXCEPTIONS)
async def test_the_providers_error_is_the_sdks_exception(
    claude: Client, provider: ScriptedProvider, status: int
) -> None:
    answer = messages.error(status, "No. ☹", headers={"retry-after": "7"})
    provider.enqueue(answer)
    with pytest.raises(EXCEPTIONS[status]) as caught:
        await claude.call(claude.sdk.messages.create, **ASK)
    error = caught.value
    assert error.status_code == status
    assert error.response.content == answer.body
    assert error.request_id == messages.REQUEST_ID
    assert error.response.headers["retry-after"] == "7"
    assert ours(error.response.headers)["helicone-provider"] == "anthropic"


async def test_the_sdks_own_retries(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider, flavour: Flavour
) -> None:
    provider.enqueue(messages.error(529, headers={"retry-after-ms": "20"}), messages.reply("Hello!"))
    client = connect("anthropic", open_gateway.url, flavour, max_retries=2)
    message = await client.call(client.sdk.messages.create, **ASK)
    assert message.content[0].text == "Hello!"
    assert len(provider.requests) == 2


@pytest.mark.parametrize("prefix", ["", "/anthropic"])
async def test_credentials_reach_the_provider_as_they_were_sent(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider, prefix: str
) -> None:
    provider.enqueue(messages.reply(), messages.reply())
    by_key = connect("anthropic", open_gateway.url + prefix, api_key="sk-ant-mine")
    by_token = connect("anthropic", open_gateway.url + prefix, auth_token="oauth-token")
    # Unset: the environment of whoever runs the tests must not add the other kind.
    by_key.sdk.auth_token = by_token.sdk.api_key = None
    await by_key.call(by_key.sdk.messages.create, **ASK)
    await by_token.call(by_token.sdk.messages.create, **ASK)
    first, second = provider.requests
    if by_key.sdk.auth_headers.get("X-Api-Key"):
        assert (first.headers.get("x-api-key"), first.headers.get("authorization")) == ("sk-ant-mine", None)
    else:
        assert (first.headers.get("x-api-key"), first.headers.get("authorization")) == (None, "Bearer sk-ant-mine")
    assert (second.headers.get("x-api-key"), second.headers.get("authorization")) == (None, "Bearer oauth-token")
    assert first.headers.get("anthropic-version") == by_key.sdk.default_headers["anthropic-version"]


@pytest.mark.parametrize(("name", "value"), [("x-api-key", "sk-ant-mine"), ("authorization", "Bearer sk-ant-mine")])
async def test_either_header_is_passed_as_it_is(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider, name: str, value: str
) -> None:
    provider.enqueue(messages.reply())
    client = connect("anthropic", open_gateway.url).sdk
    without = {"X-Api-Key": anthropic.omit, "Authorization": anthropic.omit}
    headers = {field: content for field, content in without.items() if field.lower() != name} | {name: value}
    await client.messages.create(**ASK, extra_headers=headers)
    sent = {field: provider.requests[0].headers.get(field) for field in ("x-api-key", "authorization")}
    assert sent == {"x-api-key": None, "authorization": None, name: value}


CUTS = {
    "a chunked body that ends without its last chunk": messages.stream("one two three").cut(events=5),
    "a reset": messages.stream("one two three").cut(events=5, how="reset"),
    "an end that HTTP takes for complete": messages.stream("one two three").framed("close").cut(events=5),
    "an end in the middle of an event": messages.stream("one two three").framed("close").cut(bytes=700),
    "an end before the stop": messages.stream("one").framed("close").cut(events=3),
}


@pytest.mark.parametrize("cut", CUTS)
async def test_a_cut_stream_raises(claude: Client, provider: ScriptedProvider, cut: str) -> None:
    provider.enqueue(CUTS[cut])
    stream = await claude.call(claude.sdk.messages.create, **ASK, stream=True)
    with pytest.raises(anthropic.APIError, match=r"(?s)cut|broke"):
        await claude.list(stream)
    provider.enqueue(messages.reply("Hello!"))
    await claude.call(claude.sdk.messages.create, **ASK)


async def test_an_error_inside_a_stream(claude: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(messages.stream("one two").interrupted(messages.error_event("Overloaded"), events=4))
    stream = await claude.call(claude.sdk.messages.create, **ASK, stream=True)
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        await claude.list(stream)


async def test_closing_a_stream_cancels_upstream_within_a_second(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    provider.enqueue(messages.stream("one two three").cut(events=5, how="hang"))
    client = connect("anthropic", open_gateway.url).sdk
    async with client.messages.stream(**ASK) as stream:
        await anext(stream)
    async with asyncio.timeout(1):
        await provider.closed_by_client.wait()


async def test_twenty_parallel_streams_stay_intact(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    provider.default = lambda request: messages.stream(
        [f"{request.json()['messages'][0]['content']}-{n} " for n in range(20)]
    ).paced(0.002)
    client = connect("anthropic", open_gateway.url).sdk

    async def one(number: int) -> str:
        async with client.messages.stream(**{**ASK, "messages": [{"role": "user", "content": f"s{number}"}]}) as stream:
            return await stream.get_final_text()

    texts = await asyncio.gather(*(one(number) for number in range(20)))
    assert texts == ["".join(f"s{number}-{n} " for n in range(20)) for number in range(20)]


async def test_nothing_of_the_gateways_reaches_the_provider(claude: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(messages.reply())
    fields = {"Helicone-User-Id": "someone", "Helicone-Session-Id": "s", "Helicone-Property-App": "mine"}
    await claude.call(claude.sdk.messages.create, **ASK, extra_headers=fields)
    assert b"helicone" not in sent_to_provider(provider.requests[0]).lower()
