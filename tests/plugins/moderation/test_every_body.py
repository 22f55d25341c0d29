"""Whatever the operation: what a model may read is looked through, in every member, part, file and spelling."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, NamedTuple

import msgspec
import pytest

from helicone_gw import Headers, Request, every_text, parse_helicone_headers
from helicone_gw.eventstream import CONTENT_TYPE, FrameDecoder, encode_frame
from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.script import ScriptedResponse, of_events, of_json
from helicone_gw_moderation.intake import for_judges
from tests.plugins.moderation.finding import ADDRESS, CLASSES, KEY, PHRASE
from tests.plugins.moderation.test_native_paths import MESSAGES, PROVIDERS, VERTEX, frame_headers
from tests.plugins.moderation.test_plugin import check, moderation, notes

pytestmark = pytest.mark.virtual_time
CONFIG = {"providers": {**PROVIDERS, "anthropic": {"api_key": "sk-a"}, "gemini": {"api_key": "g"}}}
INVOKE = "/bedrock/model/m/invoke-with-response-stream"
THREAD = "/v1/threads/t/runs"
BOTH = [check("injection"), check("pii", action="redact"), check("secret", action="redact", on="output")]

# Requests

ASKED: dict[str, tuple[str, Any]] = {
    "cohere v1": ("/cohere/v1/chat", {"message": "Hi", "chat_history": [{"role": "USER", "message": "TEXT"}]}),
    "cohere v1 documents": ("/cohere/v1/chat", {"message": "Hi", "documents": [{"title": "t", "snippet": "TEXT"}]}),
    "cohere v1 generate": ("/cohere/v1/generate", {"prompt": "TEXT"}),
    "assistant": ("/v1/assistants", {"model": "gpt-4o", "instructions": "TEXT"}),
    "thread": ("/v1/threads", {"messages": [{"role": "user", "content": "TEXT"}]}),
    "message of a thread": ("/v1/threads/t/messages", {"role": "user", "content": [{"type": "text", "text": "TEXT"}]}),
    "run": (THREAD, {"assistant_id": "a", "additional_messages": [{"role": "user", "content": "TEXT"}]}),
    "outputs of tools": (
        f"{THREAD}/r/submit_tool_outputs",
        {"tool_outputs": [{"tool_call_id": "c", "output": "TEXT"}]},
    ),
    "conversation": ("/v1/conversations", {"items": [{"type": "message", "role": "user", "content": "TEXT"}]}),
    "batch of messages": (
        "/anthropic/v1/messages/batches",
        {"requests": [{"custom_id": "a", "params": {"messages": [{"role": "user", "content": "TEXT"}]}}]},
    ),
    "prediction": (f"{VERTEX}/publishers/google/models/imagen:predict", {"instances": [{"prompt": "TEXT"}]}),
    "raw prediction": (f"{VERTEX}/publishers/meta/models/llama:rawPredict", {"messages": [{"content": "TEXT"}]}),
    "prediction of an endpoint": (f"{VERTEX}/endpoints/42:predict", {"instances": [{"inputs": "TEXT"}]}),
    "video": ("/v1/videos", {"model": "sora-2", "prompt": "TEXT"}),
    "search": ("/v1/vector_stores/v/search", {"query": "TEXT"}),
    "tool": (
        "/v1/chat/completions",
        {"tools": [{"type": "function", "function": {"name": "f", "description": "TEXT"}}]},
    ),
    "parameter of a tool": (
        "/v1/messages",
        {"tools": [{"name": "f", "input_schema": {"properties": {"a": {"type": "string", "description": "TEXT"}}}}]},
    ),
    "tool of gemini": (
        "/v1beta/models/gemini-2.5-flash:generateContent",
        {"tools": [{"function_declarations": [{"name": "f", "description": "TEXT"}]}]},
    ),
    "tool of bedrock": (
        "/bedrock/model/m/converse",
        {"messages": [], "toolConfig": {"tools": [{"toolSpec": {"name": "f", "description": "TEXT"}}]}},
    ),
    "form of the answer": (
        "/v1/responses",
        {"input": "Hi", "text": {"format": {"type": "json_schema", "schema": {"description": "TEXT"}}}},
    ),
    "name of a file": (
        "/v1/responses",
        {"input": [{"role": "user", "content": [{"type": "input_file", "filename": "TEXT"}]}]},
    ),
    "summary of thoughts": ("/v1/responses", {"input": [{"type": "reasoning", "summary": [{"text": "TEXT"}]}]}),
    "other case": ("/ollama/api/chat", {"model": "m", "Messages": [{"role": "user", "CONTENT": "TEXT"}]}),
    "other case of openai": ("/v1/chat/completions", {"Messages": [{"content": "TEXT"}], "messages": []}),
    "template": ("/ollama/api/generate", {"model": "m", "prompt": "Hi", "Template": "TEXT"}),
    "member of nobody's": ("/v1/chat/completions", {"messages": [], "x_context": {"notes": ["TEXT"]}}),
}


async def test_a_request_is_refused_or_redacted_wherever_its_text_stands(gateway: GatewayFactory) -> None:
    def asked(name: str, text: str) -> bytes:
        body = {"model": "gpt-4o", "max_tokens": 9, **ASKED[name][1]}
        return msgspec.json.encode(body).replace(b"TEXT", text.encode())

    provider = ScriptedProvider(default=of_json({"id": "x", "text": "Fine."}))
    headers = {"content-type": "application/json"}
    async with gateway(moderation(*BOTH), classes=CLASSES, provider=provider, config=CONFIG) as running:
        for name, (path, _) in ASKED.items():
            for text, status in ((PHRASE, 400), (f"I am {ADDRESS}", 200), ("Hello", 200)):
                reply = await running.request("POST", path, content=asked(name, text), headers=headers)
                assert (name, reply.status) == (name, status)
                assert "moderation.unread" not in running.exchanges[-1].annotations, name
            first, second = provider.requests
            assert msgspec.json.decode(first.body) == msgspec.json.decode(asked(name, "I am [EMAIL_1]")), name
            assert second.body == asked(name, "Hello"), name
            provider.requests.clear()


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b'{"messages":[{"content":"%s"}],"messages":[]}', "application/json", 400),
        (b'{"messages":[{"content":"%s","content":"x"}]}', "application/json", 400),
        (b'\xef\xbb\xbf{"messages":[{"content":"%s"}]}', "application/json", 400),
        (b'{"messages":[{"content":"%s"}],"n":NaN}', "application/json", 400),
        (b'{"messages":[{"content":"x"}]}', "application/json; charset=utf-7", 415),
        (b'{"messages":[{"content":"x"}]}', 'application/json; charset="UTF-8"', 200),
    ],
)
async def test_what_parsers_read_differently_is_refused(
    gateway: GatewayFactory, content: bytes, content_type: str, status: int
) -> None:
    body = content.replace(b"%s", PHRASE.encode()).replace(b"{", b'{"model":"gpt-4o",', 1)
    for content in (body, body.decode().encode("utf-16") if status == 400 else body):
        async with gateway(moderation(check("injection")), classes=CLASSES) as running:
            reply = await running.request(
                "POST", "/v1/chat/completions", content=content, headers={"content-type": content_type}
            )
        assert (reply.status, len(running.provider.requests)) == (status, status == 200)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_data": "data:text/plain;base64,DATA"}},
        {"inlineData": {"mimeType": "text/plain", "data": "DATA"}},
        {"document": {"format": "txt", "source": {"bytes": "DATA"}}},
    ],
)
async def test_a_document_in_base64_is_read_where_it_is_text(gateway: GatewayFactory, part: Any) -> None:
    def asked(data: bytes) -> bytes:
        encoded = msgspec.json.encode({"model": "gpt-4o", "messages": [{"role": "user", "content": [part]}]})
        return encoded.replace(b"DATA", b64encode(data))

    headers = {"content-type": "application/json"}
    async with gateway(moderation(*BOTH), classes=CLASSES) as running:
        for data, status in (
            (PHRASE.encode(), 400),
            (b"\x89PNG\r\n\0" + PHRASE.encode(), 200),
            (ADDRESS.encode(), 200),
        ):
            reply = await running.request("POST", "/v1/chat/completions", content=asked(data), headers=headers)
            assert reply.status == status
    assert running.provider.requests[-1].body == asked(b"[EMAIL_1]")


# Uploads


def form(*fields: tuple[str, str, bytes]) -> bytes:
    """A multipart body: names with their parameters, content types, values."""
    parts = (
        b"--b\r\nContent-Disposition: form-data; name=%s\r\n%s\r\n%s\r\n"
        % (name.encode(), b"Content-Type: %s\r\n" % kind.encode() if kind else b"", value)
        for name, kind, value in fields
    )
    return b"".join(parts) + b"--b--\r\n"


def batch(text: str) -> bytes:
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions"}
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}
    return msgspec.json.encode({**line, "body": body}) + b"\n" + msgspec.json.encode({**line, "body": {}})


MULTIPART = {"content-type": "multipart/form-data; boundary=b"}


async def test_the_file_of_a_batch_is_read_when_it_is_uploaded(gateway: GatewayFactory) -> None:
    def upload(text: str) -> bytes:
        return form(('"purpose"', "", b"batch"), ('"file"; filename="b.jsonl"', "application/jsonl", batch(text)))

    provider = ScriptedProvider(default=of_json({"id": "file-1", "object": "file"}))
    async with gateway(moderation(*BOTH), classes=CLASSES, provider=provider, config=CONFIG) as running:
        for text, status in ((PHRASE, 400), (f'I am "{ADDRESS}"', 200), ("Hello", 200)):
            reply = await running.request("POST", "/v1/files", content=upload(text), headers=MULTIPART)
            assert (reply.status, "moderation.unread" in running.exchanges[-1].annotations) == (status, False)
    assert [request.body for request in provider.requests] == [upload('I am "[EMAIL_1]"'), upload("Hello")]


@pytest.mark.parametrize(
    ("fields", "status", "unread"),
    [
        ([('"prompt"', "", PHRASE.encode()), ('"image"; filename="a.png"', "image/png", b"\x89\0")], 400, None),
        ([('"prompt"', "", b"A cat"), ('"image"; filename="a.png"', "image/png", b"\x89\0")], 200, None),
        ([('"purpose"', "", b"user_data"), ('"file"; filename="a.pdf"', "application/pdf", b"%PDF\0")], 200, "request"),
        ([(f'"file"; filename="{PHRASE}"', "application/pdf", b"%PDF\0")], 400, "request"),
        ([('"file"; filename="a.txt"', "text/plain; charset=utf-7", b"x")], 200, "request"),
        ([('"file"; filename="a.txt"', "text/plain\r\nContent-Transfer-Encoding: base64", b"eA==")], 200, "request"),
    ],
)
async def test_a_form_is_read_but_for_what_is_no_text(
    gateway: GatewayFactory, fields: Any, status: int, unread: str | None
) -> None:
    path = "/v1/images/edits" if "image" in fields[-1][0] else "/v1/files"
    provider = ScriptedProvider(default=of_json({"id": "file-1"}))
    async with gateway(moderation(check("injection")), classes=CLASSES, provider=provider, config=CONFIG) as running:
        reply = await running.request("POST", path, content=form(*fields), headers=MULTIPART)
    assert reply.status == status
    assert running.exchanges[0].annotations.get("moderation.unread") == unread
    assert [request.body for request in provider.requests] == ([form(*fields)] if status == 200 else [])


async def test_an_upload_that_is_too_long_is_sent_on_and_noted_where_nothing_is_enforced(
    gateway: GatewayFactory,
) -> None:
    content = form(('"file"; filename="a.txt"', "text/plain", b"a" * 500))
    provider = ScriptedProvider(default=of_json({"id": "file-1"}))
    config = moderation(check("injection", action="flag"), max_characters=100)
    async with gateway(config, classes=CLASSES, provider=provider, config=CONFIG) as running:
        assert (await running.request("POST", "/v1/files", content=content, headers=MULTIPART)).status == 200
    assert provider.requests[0].body == content
    assert running.exchanges[0].annotations["moderation.unread"] == "request"


# Answers

ANSWERED: dict[str, tuple[str, str, Any]] = {
    "cohere v1": ("POST", "/cohere/v1/chat", {"text": "TEXT", "generation_id": "g", "finish_reason": "COMPLETE"}),
    "cohere v1 generate": ("POST", "/cohere/v1/generate", {"generations": [{"id": "g", "text": "TEXT"}]}),
    "messages of a thread": (
        "GET",
        "/v1/threads/t/messages",
        {"data": [{"id": "m", "role": "assistant", "content": [{"type": "text", "text": {"value": "TEXT"}}]}]},
    ),
    "steps of a run": (
        "GET",
        f"{THREAD}/r/steps",
        {"data": [{"step_details": {"tool_calls": [{"code_interpreter": {"input": "TEXT"}}]}}]},
    ),
    "prediction": ("POST", f"{VERTEX}/endpoints/42:predict", {"predictions": ["TEXT"]}),
    "items of a conversation": ("GET", "/v1/conversations/c/items", {"data": [{"content": [{"text": "TEXT"}]}]}),
    "sources that are cited": (
        "POST",
        "/v1/chat/completions",
        {"choices": [{"message": {"content": "x", "annotations": [{"url_citation": {"url": "https://a/?TEXT"}}]}}]},
    ),
    "sources of gemini": (
        "POST",
        "/v1beta/models/gemini-2.5-flash:generateContent",
        {"candidates": [{"groundingMetadata": {"groundingChunks": [{"web": {"title": "TEXT"}}]}}]},
    ),
    "name of a tool": (
        "POST",
        "/v1/chat/completions",
        {"choices": [{"message": {"tool_calls": [{"id": "c", "function": {"name": "TEXT", "arguments": "{}"}}]}}]},
    ),
    "transcript": ("POST", "/v1/chat/completions", {"choices": [{"message": {"audio": {"transcript": "TEXT"}}}]}),
}


@pytest.mark.parametrize("action", ["redact", "block"])
async def test_an_answer_is_redacted_or_refused_wherever_its_text_stands(gateway: GatewayFactory, action: str) -> None:
    text = f"It is {KEY} .".encode()
    answers = [msgspec.json.encode(body).replace(b"TEXT", text) for _, _, body in ANSWERED.values()]
    provider = ScriptedProvider(*(of_json(msgspec.json.decode(answer)) for answer in answers))
    config = moderation(check("secret", action=action, on="output"))
    async with gateway(config, classes=CLASSES, provider=provider, config=CONFIG) as running:
        for name, (method, path, _) in ANSWERED.items():
            asked = {"model": "gpt-4o", "messages": [], "message": "Hi"} if method == "POST" else None
            reply = await running.request(method, path, json=asked, headers={"accept-encoding": "br"})
            assert (name, reply.status) == (name, 400 if action == "block" else 200)
            assert KEY.encode() not in reply.body, name
            assert notes(running) == [("test_key", action, "output")], name
            assert action == "block" or b"It is [TEST_KEY] ." in reply.body, name


class Stream(NamedTuple):
    """A stream: where, the events with a text, and those that end it."""

    path: str
    event: Any
    end: tuple[Any, ...] = ()


STREAMS: dict[str, Stream] = {
    "cohere v1": Stream(
        "/cohere/v1/chat",
        lambda text: {"event_type": "text-generation", "text": text, "is_finished": False},
        ({"event_type": "stream-end", "is_finished": True, "finish_reason": "COMPLETE", "response": {"text": KEY}},),
    ),
    "run of an assistant": Stream(
        THREAD,
        lambda text: {
            "id": "m",
            "object": "thread.message.delta",
            "delta": {"content": [{"index": 0, "type": "text", "text": {"value": text}}]},
        },
        (
            {
                "id": "m",
                "object": "thread.message",
                "status": "completed",
                "content": [{"type": "text", "text": {"value": KEY}}],
            },
            "[DONE]",
        ),
    ),
    "anthropic at bedrock": Stream(INVOKE, MESSAGES.event, MESSAGES.end),
    "meta at bedrock": Stream(
        INVOKE, lambda text: {"generation": text, "stop_reason": None}, ({"generation": "", "stop_reason": "stop"},)
    ),
    "amazon at bedrock": Stream(
        INVOKE,
        lambda text: {"outputText": text, "index": len(text), "completionReason": None},
        ({"outputText": "", "index": 99, "completionReason": "FINISH"},),
    ),
    "nova at bedrock": Stream(
        INVOKE,
        lambda text: {"contentBlockDelta": {"delta": {"text": text}, "contentBlockIndex": 0}},
        ({"contentBlockStop": {"contentBlockIndex": 0}}, {"messageStop": {"stopReason": "end_turn"}}),
    ),
    "mistral at bedrock": Stream(
        INVOKE,
        lambda text: {"outputs": [{"text": text, "stop_reason": None}]},
        ({"outputs": [{"text": "", "stop_reason": "stop"}]},),
    ),
    "anybody's raw prediction": Stream(
        f"{VERTEX}/publishers/ai21/models/jamba:streamRawPredict",
        lambda text: {"choices": [{"index": 0, "delta": {"content": text}}]},
        ({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "[DONE]"),
    ),
    "a stream of no known form": Stream(
        f"{VERTEX}/endpoints/42:serverStreamingPredict", lambda text: {"outputs": [{"stringVal": [text]}]}
    ),
}


def written(stream: Stream, *texts: str) -> ScriptedResponse:
    """The stream as its provider writes it."""
    values = [*map(stream.event, texts), *stream.end]
    encoded = [value.encode() if isinstance(value, str) else msgspec.json.encode(value) for value in values]
    if stream.path == INVOKE:
        chunks = (b'{"bytes":"%s"}' % b64encode(data) for data in encoded)
        parts = tuple(encode_frame(chunk, frame_headers("chunk")) for chunk in chunks)
        return ScriptedResponse(headers=(("Content-Type", CONTENT_TYPE),), parts=parts, framing="chunked")
    if "cohere" in stream.path:
        lines = tuple(data + b"\n" for data in encoded)
        return ScriptedResponse(headers=(("Content-Type", "application/stream+json"),), parts=lines, framing="chunked")
    return of_events(*(b"data: " + data + b"\n\n" for data in encoded))


def plain(path: str, body: bytes) -> str:
    """What stands in the events of a stream."""
    if path != INVOKE:
        return body.decode()
    decoder = FrameDecoder()
    chunks = [msgspec.json.decode(frame.payload)["bytes"] for frame in decoder.feed(body)]
    assert not decoder.pending
    return "".join(msgspec.json.decode(f'"{chunk}"', type=bytes).decode() for chunk in chunks)


@pytest.mark.parametrize("action", ["shadow", "redact", "block"])
async def test_a_stream_is_redacted_or_ended_and_keeps_its_framing(gateway: GatewayFactory, action: str) -> None:
    answers = {name: written(stream, "Hello, sk-te", KEY[5:], " or not") for name, stream in STREAMS.items()}
    config = moderation(check("secret", action=action, on="output"))
    provider = ScriptedProvider(*answers.values())
    async with gateway(config, classes=CLASSES, provider=provider, config=CONFIG) as running:
        for name, answer in answers.items():
            path = STREAMS[name].path
            reply = await running.request("POST", path, json={"message": "Hi", "messages": [], "stream": True})
            assert (name, reply.status, reply.aborted) == (name, 200, False)
            assert reply.headers.get("content-type") == dict(answer.headers)["Content-Type"], name
            text = plain(path, reply.body)
            if action == "shadow":
                assert text == plain(path, answer.body), name
            else:
                found = KEY[5:] in text, KEY in text, "or not" in text
                assert (name, *found) == (name, False, False, action == "redact")
            assert notes(running) == [("test_key", action, "output")], name
            assert "moderation.unread" not in running.exchanges[-1].annotations, name


def test_judges_are_given_what_was_said_last_and_no_small_words() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "Describes at length what it does."}}]
    body = {"messages": [{"role": "user", "content": "Hello"}], "tools": tools}
    encoded = msgspec.json.encode(body)
    request = Request(
        "POST", "/v1/chat/completions", "", Headers(), encoded, "openai", "chat", parse_helicone_headers(Headers())
    )
    assert for_judges(request, every_text(encoded)) == ["Describes at length what it does.", "Hello"]
    assert for_judges(request.replace(operation="other"), ["Hello"]) == ["Hello"]


@pytest.mark.parametrize(
    ("path", "body", "read"),
    [
        ("/v1/completions", {"model": "m", "prompt": [1, 2]}, False),
        ("/v1/completions", {"model": "m", "PROMPT": [[1, 2], [3]]}, False),
        ("/v1/completions", {"model": "m", "prompt": ["a [1, 2]"]}, True),
        ("/v1/embeddings", {"model": "m", "input": [[1, 2], [3]]}, False),
        ("/ollama/api/generate", {"model": "m", "prompt": "Hi", "context": [1, 2]}, False),
        ("/v1/chat/completions", {"model": "m", "messages": [], "stop": [1, 2]}, True),
    ],
)
async def test_what_is_said_in_tokens_is_not_read_and_that_is_noted(
    gateway: GatewayFactory, path: str, body: dict[str, Any], read: bool
) -> None:
    for unread, status in (("pass", 200), ("refuse", 200 if read else 400)):
        stack, provider = (
            moderation(check("injection"), unread=unread),
            ScriptedProvider(default=of_json({"text": "a"})),
        )
        async with gateway(stack, classes=CLASSES, config=CONFIG, provider=provider) as running:
            assert (await running.request("POST", path, json=body)).status == status
        assert ("moderation.unread" in running.exchanges[0].annotations) is (not read and unread == "pass")


@pytest.mark.parametrize("method", ["DELETE", "QUERY", "SEARCH", "MERGE"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/something/else"])
async def test_the_body_of_any_method_is_looked_through(gateway: GatewayFactory, method: str, path: str) -> None:
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": PHRASE}]})
    fields = {"content-type": "application/json"}
    provider = ScriptedProvider(default=of_json({}))
    async with gateway(moderation(check("injection")), classes=CLASSES, config=CONFIG, provider=provider) as running:
        assert (await running.request(method, path, content=body, headers=fields)).status == 400
        assert running.provider.requests == []
        assert (await running.request("DELETE", path)).status == 200
        assert running.exchanges[-1].annotations == {}


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "multipart/form-data; boundary=b"])
@pytest.mark.parametrize("size", [2_000, 200_000])
@pytest.mark.parametrize(("beginning", "status"), [(PHRASE.encode(), 413), ("é".encode(), 413), (b"\x89PNG\0", 200)])
async def test_long_text_that_is_uploaded_is_refused_and_long_pictures_pass(
    gateway: GatewayFactory, kind: str, size: int, beginning: bytes, status: int
) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' if "boundary" in kind else b""
    plugins, provider = moderation(check("injection"), max_characters=1000), ScriptedProvider(default=of_json({}))
    async with gateway(plugins, classes=CLASSES, config=CONFIG, provider=provider) as running:
        reply = await running.request(
            "POST", "/v1/files", content=head + beginning + "é".encode() * size, headers={"content-type": kind}
        )
        assert running.exchanges[0].annotations["moderation.unread"] == "request"
    assert reply.status == status


async def test_more_texts_than_are_looked_through_are_too_long(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helicone_gw_moderation.intake.MOST_TEXTS", 10)
    async with gateway(moderation(check("injection")), classes=CLASSES) as running:
        for count, status in ((9, 200), (10, 413)):
            content = [{"type": "text", "text": str(number)} for number in range(count)]
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": [*content, {"text": "x"}]}]}
            assert (await running.request("POST", "/v1/chat/completions", json=body)).status == status
