"""openai's SDK, everything beside chat: embeddings, responses, files, audio, images, batches, models."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from helicone_gw.testing import ScriptedProvider, of_bytes, of_json
from helicone_gw.testing.dialects import ToolCall, embeddings, openai_completions, openai_responses
from tests.clients.gateways import Client, Connect, Running, ours

MODEL = "gpt-4o-mini"
FILE = {
    "id": "file-abc123",
    "object": "file",
    "bytes": 120000,
    "created_at": 1767225600,
    "filename": "training.jsonl",
    "purpose": "fine-tune",
    "status": "processed",
}
BATCH = {
    "id": "batch_abc123",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "input_file_id": "file-abc123",
    "completion_window": "24h",
    "status": "validating",
    "created_at": 1767225600,
    "request_counts": {"total": 0, "completed": 0, "failed": 0},
    "metadata": {"team": "blue"},
}
BINARY = hashlib.shake_128(b"audio").digest(300_000)
"""Bytes of every value: what decodes them on the way damages them."""


def parts_of(body: bytes, content_type: str | None) -> dict[str, bytes]:
    """The parts of a multipart body (RFC 7578) by field name, each with what follows its own header."""
    assert content_type is not None
    kind, _, boundary = content_type.partition("; boundary=")
    assert kind == "multipart/form-data"
    pieces = body.split(b"--" + boundary.strip('"').encode())
    assert pieces[-1].strip() == b"--"
    found = {}
    for piece in pieces[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = head.split(b'name="')[1].split(b'"')[0].decode()
        found[name] = content.removesuffix(b"\r\n")
    return found


async def test_embeddings_come_as_base64_by_default(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(embeddings.answer())
    answer = await chat.call(chat.sdk.embeddings.create, model="text-embedding-3-small", input="hello")
    request = provider.requests[0]
    assert request.target == "/openai/v1/embeddings"
    assert request.json()["encoding_format"] == "base64"
    assert answer.data[0].embedding == embeddings.vector(0)
    assert answer.usage.prompt_tokens > 0


async def test_embeddings_pass_untouched(chat: Client, provider: ScriptedProvider) -> None:
    packed = base64.b64encode(struct.pack("<3f", 0.1, 2.5e-30, -7.0)).decode()
    entry = {"object": "embedding", "index": 0, "embedding": packed}
    body = {"object": "list", "data": [entry], "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    provider.enqueue(of_json(body))
    create = chat.sdk.embeddings.with_raw_response.create
    raw = await chat.call(create, model="m", input=["a", "b"], encoding_format="base64", dimensions=3)
    assert json.loads(raw.content) == body
    assert provider.requests[0].json() == {
        "model": "m",
        "input": ["a", "b"],
        "encoding_format": "base64",
        "dimensions": 3,
    }


async def test_completions(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_completions.answer("One, two."), openai_completions.answer("One, two."))
    ask: dict[str, Any] = {"model": "gpt-3.5-turbo-instruct", "prompt": "Count."}
    whole = await chat.call(chat.sdk.completions.create, **ask)
    stream = await chat.call(chat.sdk.completions.create, **ask, stream=True)
    assert whole.choices[0].text == "One, two."
    assert "".join(chunk.choices[0].text for chunk in await chat.list(stream)) == "One, two."


async def test_responses(chat: Client, provider: ScriptedProvider) -> None:
    call = ToolCall("weather", {"city": "Bern"}, id="call_1")
    provider.enqueue(openai_responses.reply("Hello!", tools=[call]))
    raw = await chat.call(chat.sdk.responses.with_raw_response.create, model=MODEL, input="Say hello.", store=False)
    answer = raw.parse()
    assert answer.output_text == "Hello!"
    assert json.loads(answer.output[1].arguments) == {"city": "Bern"}
    assert provider.requests[0].target == "/openai/v1/responses"
    assert float(ours(raw.headers)["helicone-cost"]) > 0


async def test_responses_in_a_stream(chat: Client, provider: ScriptedProvider) -> None:
    call = ToolCall("weather", {"city": "Bern"}, id="call_1")
    provider.enqueue(openai_responses.stream("Hello, world!", tools=[call]).dripped(11))
    stream = await chat.call(chat.sdk.responses.create, model=MODEL, input="Say hello.", stream=True)
    events = await chat.list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Hello, world!"
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.total_tokens == 19


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_cut_stream_of_responses_is_an_error(chat: Client, provider: ScriptedProvider, how: Any) -> None:
    provider.enqueue(openai_responses.stream("one two three").framed("close").cut(events=5, how=how))
    stream = await chat.call(chat.sdk.responses.create, model=MODEL, input="Count.", stream=True)
    events: list[Any] = []

    def read() -> None:
        events.extend(stream)

    async def read_async() -> None:
        async for event in stream:
            events.append(event)  # noqa: PERF401 - what came before the break counts

    # The SDK hands these error events on; what it raises is the connection that breaks after them.
    with pytest.raises(openai.APIConnectionError):
        await (asyncio.to_thread(read) if chat.flavour == "sync" else read_async())
    assert "response.completed" not in [event.type for event in events]
    assert (events[-1].type, events[-1].code) == ("error", "upstream_protocol_error")
    assert events[-1].sequence_number == len(events) - 1


async def test_what_is_stored_is_fetched_and_deleted(chat: Client, provider: ScriptedProvider) -> None:
    stored = openai_responses.reply("Hello!")
    provider.enqueue(stored, of_json({"object": "list", "data": [], "has_more": False}), of_json({"id": "r"}), stored)
    await chat.call(chat.sdk.responses.retrieve, "resp_1")
    await chat.call(chat.sdk.responses.input_items.list, "resp_1", limit=2)
    await chat.call(chat.sdk.responses.delete, "resp_1")
    await chat.call(chat.sdk.responses.cancel, "resp_1")
    assert [(request.method, request.target) for request in provider.requests] == [
        ("GET", "/openai/v1/responses/resp_1"),
        ("GET", "/openai/v1/responses/resp_1/input_items?limit=2"),
        ("DELETE", "/openai/v1/responses/resp_1"),
        ("POST", "/openai/v1/responses/resp_1/cancel"),
    ]


async def test_files(chat: Client, provider: ScriptedProvider) -> None:
    listed = {"object": "list", "data": [FILE], "has_more": False, "first_id": FILE["id"], "last_id": FILE["id"]}
    deleted = {"id": FILE["id"], "object": "file", "deleted": True}
    provider.enqueue(
        of_json(FILE), of_json(FILE), of_json(listed), of_bytes(BINARY, "application/octet-stream"), of_json(deleted)
    )
    made = await chat.call(chat.sdk.files.create, file=("training.jsonl", io.BytesIO(BINARY)), purpose="fine-tune")
    got = await chat.call(chat.sdk.files.retrieve, made.id)
    page = await chat.call(chat.sdk.files.list, purpose="fine-tune", limit=5)
    content = await chat.call(chat.sdk.files.content, made.id)
    gone = await chat.call(chat.sdk.files.delete, made.id)
    upload = provider.requests[0]
    parts = parts_of(upload.body, upload.headers.get("content-type"))
    assert parts == {"purpose": b"fine-tune", "file": BINARY}
    assert (made.id, got.id, [file.id for file in page.data]) == (FILE["id"], FILE["id"], [FILE["id"]])
    assert content.content == BINARY
    assert gone.deleted
    assert [request.target for request in provider.requests[1:]] == [
        "/openai/v1/files/file-abc123",
        "/openai/v1/files?limit=5&purpose=fine-tune",
        "/openai/v1/files/file-abc123/content",
        "/openai/v1/files/file-abc123",
    ]


async def test_an_upload_is_the_same_bytes_at_the_provider(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(of_json(FILE))
    create = chat.sdk.files.with_raw_response.create
    raw = await chat.call(create, file=("ü 'x'.bin", BINARY, "application/x-y"), purpose="user_data")
    sent = raw.http_request
    received = provider.requests[0]
    assert received.headers.get("content-type") == sent.headers["content-type"]
    assert received.headers.get("content-length") == str(len(received.body))
    assert parts_of(received.body, received.headers.get("content-type"))["file"] == BINARY


async def test_an_upload_streams_through(connect: Connect, open_gateway: Running, provider: ScriptedProvider) -> None:
    """The provider has the beginning before the client has sent the end."""
    provider.enqueue(of_json({"id": "upload_1"}))
    client = connect("openai", f"{open_gateway.url}/v1").sdk

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        while not provider.requests:
            await asyncio.sleep(0.01)
        yield b"second"

    options = {"headers": {"Content-Type": "application/octet-stream"}}
    await client.post("/uploads/u/parts", content=pieces(), cast_to=object, options=options)
    request = provider.requests[0]
    assert request.body == b"firstsecond"
    assert request.headers.get("transfer-encoding") == "chunked"
    assert "content-length" not in request.headers


async def test_audio(chat: Client, provider: ScriptedProvider) -> None:
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 4, "total_tokens": 18}
    provider.enqueue(
        of_json({"text": "Hallo", "usage": usage}),
        of_bytes(b"1\n00:00 --> 00:01\nHallo\n", "text/plain; charset=utf-8"),
        of_bytes(BINARY, "audio/mpeg"),
    )
    recording = ("speech.wav", io.BytesIO(BINARY), "audio/wav")
    heard = await chat.call(chat.sdk.audio.transcriptions.create, file=recording, model="gpt-4o-mini-transcribe")
    recording = ("speech.wav", io.BytesIO(BINARY), "audio/wav")
    srt = await chat.call(
        chat.sdk.audio.transcriptions.create, file=recording, model="whisper-1", response_format="srt"
    )
    spoken = await chat.call(chat.sdk.audio.speech.create, input="Hallo", model="tts-1", voice="alloy")
    assert heard.text == "Hallo"
    assert srt == "1\n00:00 --> 00:01\nHallo\n"
    assert spoken.content == BINARY
    first = provider.requests[0]
    assert parts_of(first.body, first.headers.get("content-type"))["file"] == BINARY
    assert [request.path for request in provider.requests] == [
        "/openai/v1/audio/transcriptions",
        "/openai/v1/audio/transcriptions",
        "/openai/v1/audio/speech",
    ]


async def test_speech_arrives_while_it_is_made(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    speech = of_bytes(BINARY, "audio/mpeg").framed("chunked").dripped(100_000)
    provider.enqueue(speech.cut(bytes=200_000, how="hang"))
    client = connect("openai", f"{open_gateway.url}/v1").sdk
    create = client.audio.speech.with_streaming_response.create
    async with create(input="Hallo", model="tts-1", voice="alloy") as response:
        got = b""
        async for piece in response.iter_bytes():
            got += piece
            if len(got) == 200_000:
                break
    assert got == BINARY[:200_000]
    async with asyncio.timeout(1):
        await provider.closed_by_client.wait()


async def test_images(chat: Client, provider: ScriptedProvider) -> None:
    picture = base64.b64encode(BINARY).decode()
    answer = of_json({"created": 1767225600, "data": [{"b64_json": picture}]})
    provider.enqueue(answer, answer)
    made = await chat.call(chat.sdk.images.generate, model="gpt-image-1", prompt="a cat", size="1024x1024")
    edited = await chat.call(
        chat.sdk.images.edit, model="gpt-image-1", image=("cat.png", BINARY, "image/png"), prompt="a hat"
    )
    assert base64.b64decode(made.data[0].b64_json) == BINARY
    assert edited.data[0].b64_json == picture
    assert provider.requests[0].json()["prompt"] == "a cat"
    edit = provider.requests[1]
    parts = parts_of(edit.body, edit.headers.get("content-type"))
    assert (parts["image"], parts["prompt"]) == (BINARY, b"a hat")


async def test_batches(chat: Client, provider: ScriptedProvider) -> None:
    listed = {"object": "list", "data": [BATCH], "has_more": False, "first_id": "a", "last_id": "a"}
    provider.enqueue(of_json(BATCH), of_json(BATCH), of_json(listed), of_json({**BATCH, "status": "cancelling"}))
    made = await chat.call(
        chat.sdk.batches.create,
        endpoint="/v1/chat/completions",
        input_file_id="file-abc123",
        completion_window="24h",
        metadata={"team": "blue"},
    )
    await chat.call(chat.sdk.batches.retrieve, made.id)
    page = await chat.call(chat.sdk.batches.list, limit=1)
    cancelled = await chat.call(chat.sdk.batches.cancel, made.id)
    assert page.data[0].metadata == {"team": "blue"}
    assert cancelled.status == "cancelling"
    assert [(request.method, request.target) for request in provider.requests] == [
        ("POST", "/openai/v1/batches"),
        ("GET", "/openai/v1/batches/batch_abc123"),
        ("GET", "/openai/v1/batches?limit=1"),
        ("POST", "/openai/v1/batches/batch_abc123/cancel"),
    ]
    assert provider.requests[0].json()["metadata"] == {"team": "blue"}


async def test_models(chat: Client, provider: ScriptedProvider) -> None:
    models = [{"id": name, "object": "model", "created": 1767225600, "owned_by": "system"} for name in ("a", "b")]
    provider.enqueue(of_json({"object": "list", "data": models}), of_json(models[0]))
    names = [model.id for model in await chat.list(await chat.call(chat.sdk.models.list))]
    one = await chat.call(chat.sdk.models.retrieve, "a")
    assert {"a", "b"} <= set(names)
    assert one.id == "a"
    assert provider.requests[-1].target == "/openai/v1/models/a"


async def test_any_other_path_goes_to_the_provider(chat: Client, provider: ScriptedProvider) -> None:
    thread = {"id": "thread_1", "object": "thread", "created_at": 1767225600, "metadata": {}}
    moderation = {"id": "modr-1", "model": "omni-moderation-latest", "results": []}
    provider.enqueue(of_json(thread), of_json(moderation))
    await chat.call(chat.sdk.post, "/threads", cast_to=object, body={"messages": []})
    await chat.call(chat.sdk.moderations.create, input="hello", model="omni-moderation-latest")
    assert [request.target for request in provider.requests] == ["/openai/v1/threads", "/openai/v1/moderations"]
