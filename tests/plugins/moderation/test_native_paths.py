"""Providers' own paths are looked through like ours: requests and answers, whole and streamed."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import pytest

from helicone_gw.eventstream import CONTENT_TYPE, FrameDecoder, HeaderValue, encode_frame
from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.script import ScriptedResponse, of_events, of_json
from tests.plugins.moderation.finding import ADDRESS, CLASSES, KEY, PHRASE
from tests.plugins.moderation.test_plugin import check, moderation, notes

pytestmark = pytest.mark.virtual_time
PROVIDERS = {
    "openai": {"api_key": "sk-o"},
    "azure": {"api_key": "az", "base_url": "https://me.openai.azure.com", "api_version": "2024-10-21"},
    "cohere": {"api_key": "co"},
    "ollama": {"base_url": "http://127.0.0.1:11434"},
    "bedrock": {"api_key": "br"},
    "vertex": {"api_key": "ve"},
    "replicate": {"api_key": "re"},
    "mistral": {"api_key": "mi"},
}
VERTEX = "/vertex/v1/projects/p/locations/l"


class Shape(NamedTuple):
    """How a dialect writes a question, an answer and an event of a stream; ``end`` are the events that end it."""

    ask: Any
    answer: Any
    event: Any = None
    end: tuple[Any, ...] = ()


CHAT = Shape(
    lambda text: {"model": "m", "messages": [{"role": "user", "content": text}]},
    lambda text: {"choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]},
    lambda text: {"choices": [{"index": 0, "delta": {"content": text}}]},
    ({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "[DONE]"),
)
COMPLETION = Shape(
    lambda text: {"prompt": text},
    lambda text: {"choices": [{"index": 0, "text": text, "finish_reason": "stop"}]},
    lambda text: {"choices": [{"index": 0, "text": text}]},
    ({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}, "[DONE]"),
)
FIM = CHAT._replace(ask=COMPLETION.ask)
MESSAGES = Shape(
    lambda text: {"anthropic_version": "x", "max_tokens": 9, "messages": [{"role": "user", "content": text}]},
    lambda text: {"type": "message", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"},
    lambda text: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
    ({"type": "content_block_stop", "index": 0}, {"type": "message_stop"}),
)
COHERE = Shape(
    CHAT.ask,
    lambda text: {"message": {"role": "assistant", "content": [{"type": "text", "text": text}]}},
    lambda text: {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}},
    ({"type": "content-end", "index": 0}, {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}),
)
GEMINI = Shape(
    lambda text: {"contents": [{"role": "user", "parts": [{"text": text}]}]},
    lambda text: {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]},
)
CONVERSE = Shape(
    lambda text: {"messages": [{"role": "user", "content": [{"text": text}]}]},
    lambda text: {"output": {"message": {"role": "assistant", "content": [{"text": text}]}}, "stopReason": "end_turn"},
)
LLAMA = Shape(lambda text: {"prompt": text}, lambda text: {"generation": text, "stop_reason": "stop"})
OLLAMA = Shape(CHAT.ask, lambda text: {"model": "m", "message": {"role": "assistant", "content": text}, "done": True})
GENERATE = Shape(lambda text: {"model": "m", "prompt": text}, lambda text: {"response": text, "done": True})
PREDICTION = Shape(
    lambda text: {"input": {"prompt": text}},
    lambda text: {"status": "succeeded", "output": [text[:5], text[5:9], text[9:]]},
)
PATHS: dict[str, Shape] = {
    "/azure/openai/deployments/g/chat/completions": CHAT,
    "/azure/deployments/g/chat/completions": CHAT,
    "/openai/deployments/g/chat/completions": CHAT,
    "/v1/engines/davinci/completions": COMPLETION,
    "/openai/v1/engines/davinci/completions": COMPLETION,
    "/mistral/v1/fim/completions": FIM,
    "/mistral/v1/agents/completions": CHAT,
    "/cohere/v2/chat": COHERE,
    f"{VERTEX}/publishers/anthropic/models/claude:rawPredict": MESSAGES._replace(event=None),
    f"{VERTEX}/publishers/anthropic/models/claude:streamRawPredict": MESSAGES,
    f"{VERTEX}/publishers/mistralai/models/mistral:rawPredict": CHAT._replace(event=None),
    f"{VERTEX}/endpoints/openapi/chat/completions": CHAT,
    f"{VERTEX}/endpoints/42:generateContent": GEMINI,
    "/bedrock/model/anthropic.claude/converse": CONVERSE,
    "/bedrock/model/anthropic.claude/invoke": MESSAGES._replace(event=None),
    "/bedrock/model/meta.llama/invoke": LLAMA,
    "/ollama/api/chat": OLLAMA,
    "/ollama/api/generate": GENERATE,
    "/replicate/v1/models/meta/llama/predictions": PREDICTION,
    "/replicate/v1/predictions": PREDICTION,
}
STREAMED_FRAMED = {"/ollama/api/chat", "/ollama/api/generate", "/bedrock/model/anthropic.claude/converse-stream"}


def framed(path: str, *texts: str) -> ScriptedResponse:
    """A stream as Ollama and Bedrock write it."""
    if "ollama" in path:
        made = (PATHS[path].answer(text) for text in (*texts, ""))
        lines = [{**value, "done": number == len(texts)} for number, value in enumerate(made)]
        written = tuple(msgspec.json.encode(line) + b"\n" for line in lines)
        return ScriptedResponse(headers=(("Content-Type", "application/x-ndjson"),), parts=written, framing="chunked")
    events: list[tuple[str, Any]] = [("messageStart", {"role": "assistant"})]
    events += [("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}) for text in texts]
    events += [("contentBlockStop", {"contentBlockIndex": 0}), ("messageStop", {"stopReason": "end_turn"})]
    events += [("metadata", {"usage": {"inputTokens": 3, "outputTokens": 4}})]
    written = tuple(encode_frame(msgspec.json.encode(value), frame_headers(name)) for name, value in events)
    return ScriptedResponse(headers=(("Content-Type", CONTENT_TYPE),), parts=written, framing="chunked")


def frame_headers(name: str) -> dict[str, HeaderValue]:
    return {":event-type": name, ":content-type": "application/json", ":message-type": "event"}


STREAMED = {path: shape for path, shape in PATHS.items() if shape.event is not None}


def streamed(shape: Shape, *texts: str) -> ScriptedResponse:
    return of_events(*(data(each) for each in (*map(shape.event, texts), *shape.end)))


def data(value: Any) -> bytes:
    return b"data: " + (value.encode() if isinstance(value, str) else msgspec.json.encode(value)) + b"\n\n"


@pytest.mark.parametrize("path", PATHS)
async def test_a_request_is_refused_or_redacted_and_its_whole_answer_too(gateway: GatewayFactory, path: str) -> None:
    shape = PATHS[path]
    provider = ScriptedProvider(*(of_json(shape.answer(text)) for text in (f"Ask [EMAIL_1], {KEY}!", f"Say {KEY}.")))
    checks = [check("injection"), check("pii", action="redact"), check("secret", action="redact", on="output")]
    async with gateway(
        moderation(*checks), classes=CLASSES, provider=provider, config={"providers": PROVIDERS}
    ) as running:
        assert (await running.request("POST", path, json=shape.ask(PHRASE))).status == 400
        assert provider.requests == []
        reply = await running.request("POST", path, json=shape.ask(f"I am {ADDRESS}"))
    assert reply.status == 200
    sent = provider.requests[0]
    assert sent.json() == shape.ask("I am [EMAIL_1]")
    assert path.partition("/v1/")[2] in sent.target or path.endswith(sent.target.rpartition("/")[2])
    assert ADDRESS in reply.body.decode().replace('","', "")
    assert KEY not in reply.body.decode().replace('","', "")
    assert notes(running) == [("email", "redact", "input"), ("test_key", "redact", "output")]
    assert "moderation.unread" not in running.exchanges[1].annotations


@pytest.mark.parametrize("path", STREAMED)
async def test_a_streamed_answer_is_redacted_or_ended(gateway: GatewayFactory, path: str) -> None:
    shape = STREAMED[path]
    answer = streamed(shape, "Ask [EM", "AIL_1], sk-te", KEY[5:], " or not")
    ask = {**shape.ask(f"I am {ADDRESS}"), "stream": True}
    for action in ("redact", "block"):
        config = moderation(check("pii", action="redact"), check("secret", action=action, on="output"))
        async with gateway(
            config, classes=CLASSES, provider=ScriptedProvider(answer), config={"providers": PROVIDERS}
        ) as running:
            reply = await running.request("POST", path, json=ask)
        assert reply.status == 200
        assert KEY[5:] not in reply.body.decode()
        assert (" or not" in reply.body.decode()) is (action == "redact")
        assert (ADDRESS in reply.body.decode()) is (action == "redact")
        assert not reply.aborted
        assert notes(running) == [("email", "redact", "input"), ("test_key", action, "output")]


@pytest.mark.parametrize("path", sorted(STREAMED_FRAMED))
async def test_a_stream_of_another_framing_is_looked_through_and_keeps_it(gateway: GatewayFactory, path: str) -> None:
    ask = (OLLAMA if path.endswith("chat") else CONVERSE if "bedrock" in path else GENERATE).ask(f"I am {ADDRESS}")
    answer = framed(path, "Ask [EM", "AIL_1], sk-te", KEY[5:], " or not")
    replies = []
    for action in ("flag", "redact", "block"):
        config = moderation(check("pii", action="redact"), check("secret", action=action, on="output"))
        async with gateway(
            config, classes=CLASSES, provider=ScriptedProvider(answer), config={"providers": PROVIDERS}
        ) as running:
            reply = await running.request("POST", path, json=ask)
        assert reply.status == 200
        assert reply.headers.get("content-type") == dict(answer.headers)["Content-Type"]
        assert not reply.aborted
        assert notes(running) == [("email", "redact", "input"), ("test_key", action, "output")]
        assert "moderation.unread" not in running.exchanges[0].annotations
        replies.append(reply.body)
    assert [KEY[5:].encode() in body for body in replies] == [True, False, False]
    assert [ADDRESS.encode() in body for body in replies] == [True, True, False]
    assert [b" or not" in body for body in replies] == [True, True, False]
    for body in replies:
        if "bedrock" in path:
            decoder = FrameDecoder()
            names = [frame.text(":event-type") for frame in decoder.feed(body)]
            assert "messageStop" in names
            assert not decoder.pending
        else:
            assert msgspec.json.decode(body.splitlines()[-1])["done"] is True


@pytest.mark.parametrize("path", sorted(STREAMED_FRAMED))
async def test_where_nobody_looks_it_comes_as_it_was_sent(gateway: GatewayFactory, path: str) -> None:
    answer = framed(path, "Hello", " there")
    async with gateway(provider=ScriptedProvider(answer), config={"providers": PROVIDERS}) as running:
        reply = await running.request("POST", path, json=CONVERSE.ask("Hi"))
    assert reply.body == answer.body


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/audio/speech"), ("GET", "/v1/files/f/content"), ("GET", "/anthropic/v1/messages/batches/b/results")],
)
async def test_an_answer_that_nobody_can_read_is_noted_or_refused_before_it_is_asked_for(
    gateway: GatewayFactory, method: str, path: str
) -> None:
    sound = ScriptedResponse(headers=(("Content-Type", "audio/mpeg"),), parts=(b"\0\1",))
    for unread, action, status in (("pass", "block", 200), ("refuse", "block", 400), ("refuse", "flag", 200)):
        config = moderation(check("secret", action=action, on="output"), unread=unread)
        provider, body = ScriptedProvider(sound), {"input": "Hi", "model": "tts-1"} if method == "POST" else None
        providers = {"openai": {"api_key": "sk-o"}, "anthropic": {"api_key": "sk-a"}}
        async with gateway(config, classes=CLASSES, provider=provider, config={"providers": providers}) as running:
            reply = await running.request(method, path, json=body)
        assert reply.status == status
        assert (b"cannot_be_moderated" in reply.body) is (status == 400)
        assert running.exchanges[0].annotations.get("moderation.unread") == ("answer" if status == 200 else None)
