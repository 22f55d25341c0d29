"""Streamed and unary over clouds and providers with dialects of their own: rows of the same exchange say the same."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from test_streamed_rows import DIALECTS, PRICE, ask, logged, same

from helicone_gw import Usage
from helicone_gw.eventstream import encode_frame
from helicone_gw.sse import event_data
from helicone_gw.testing import GatewayFactory, ScriptedProvider, ScriptedResponse, of_events, of_json
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat, openai_responses
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import event

pytestmark = pytest.mark.virtual_time

TEXTS = ("Hel", "lo!")
USAGE = Usage(120, 45)
MODELS = {
    "azure": "gpt-4o",
    "bedrock": "amazon.nova-pro-v1:0",
    "bedrock of Anthropic's": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere": "command-a-03-2025",
    "ollama": "llama3.2",
    "vertex": "gemini-2.5-flash",
    "vertex of Anthropic's": "claude-sonnet-4-5",
}
CONFIG: dict[str, Any] = {
    "providers": {
        "azure": {"api_key": "k", "base_url": "https://res.openai.azure.com"},
        "bedrock": {"api_key": "k"},
        "cohere": {"api_key": "k"},
        "ollama": {},
        "vertex": {"api_key": "k"},
    },
    "models": {model: {"providers": [name.partition(" ")[0]], "price": PRICE} for name, model in MODELS.items()},
}


def answered(request: RecordedRequest) -> Any:
    """An answer in the dialect of the address, streamed where that or the body asks for it."""
    path = request.path
    if path.endswith(("/converse", "/converse-stream")):
        return converse(path.endswith("-stream"))
    if path.endswith(("/invoke", "/invoke-with-response-stream")):
        return invoked(path.endswith("-stream"))
    if path.endswith("/api/chat"):
        return ollama(streams=request.json().get("stream", True))
    if path.endswith("/v2/chat"):
        return cohere(streams=request.json().get("stream", False))
    if "enerateContent" in path:
        return gemini.answer(TEXTS, usage=USAGE)(request)
    if path.endswith((":rawPredict", ":streamRawPredict", "/messages")):
        return (anthropic.stream if "stream" in path.lower() or request.json().get("stream") else anthropic.reply)(
            TEXTS, usage=USAGE
        )
    if path.endswith("/responses"):
        return openai_responses.answer(TEXTS, usage=USAGE)(request)
    return openai_chat.answer(TEXTS, usage=USAGE)(request)


def cohere(*, streams: bool) -> ScriptedResponse:
    usage = {"billed_units": {"input_tokens": 120, "output_tokens": 45}}
    if not streams:
        message = {"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]}
        return of_json({"id": "c-1", "finish_reason": "COMPLETE", "message": message, "usage": usage})
    deltas = [
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}} for text in TEXTS
    ]
    said = [
        {"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        *deltas,
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}},
    ]
    return of_events(*(event(each, each["type"]) for each in said))


def ollama(*, streams: bool) -> ScriptedResponse:
    def said(text: str, **more: Any) -> dict[str, Any]:
        return {"model": MODELS["ollama"], "message": {"role": "assistant", "content": text}, "done": False, **more}

    end = {"done": True, "done_reason": "stop", "prompt_eval_count": 120, "eval_count": 45}
    if not streams:
        return of_json(said("Hello!", **end))
    lines = [*map(said, TEXTS), said("", **end)]
    return of_events(*(json.dumps(line).encode() + b"\n" for line in lines)).with_headers(
        {"content-type": "application/x-ndjson"}
    )


def converse(streams: bool) -> ScriptedResponse:
    usage = {"inputTokens": 120, "outputTokens": 45, "totalTokens": 165}
    if not streams:
        message = {"role": "assistant", "content": [{"text": "Hello!"}]}
        return of_json({"output": {"message": message}, "stopReason": "end_turn", "usage": usage})
    said: list[tuple[str, dict[str, Any]]] = [
        ("messageStart", {"role": "assistant"}),
        *(("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}) for text in TEXTS),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": usage}),
    ]
    return framed(said)


def invoked(streams: bool) -> ScriptedResponse:
    if not streams:
        return of_json(json.loads(anthropic.reply(TEXTS, usage=USAGE).body))  # without Anthropic's own headers
    events = [event_data(part) for part in anthropic.stream(TEXTS, usage=USAGE).parts]
    return framed([("chunk", {"bytes": base64.b64encode(data).decode()}) for data in events])


def framed(events: list[tuple[str, dict[str, Any]]]) -> ScriptedResponse:
    """A stream of AWS's frames."""
    fields = {":content-type": "application/json", ":message-type": "event"}
    frames = [encode_frame(json.dumps(value).encode(), {":event-type": name, **fields}) for name, value in events]
    return of_events(*frames).with_headers({"content-type": "application/vnd.amazon.eventstream"})


@pytest.mark.parametrize("where", list(MODELS))
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer(gateway: GatewayFactory, dialect: str, where: str) -> None:
    scripted = ScriptedProvider(default=answered)
    async with gateway(["logging", "cost", "router"], provider=scripted, config=CONFIG) as running:
        for stream in (False, True):
            reply = await ask(running, dialect, MODELS[where], stream)
            assert reply.status == 200, reply.body
        unary, streamed = await logged(running)
    assert (unary.request.row.stream, streamed.request.row.stream) == (False, True)
    assert same(unary) == same(streamed)
    row = unary.request.row
    assert (row.provider, row.outcome, row.status) == (where.partition(" ")[0], "ok", 200)
    assert (row.prompt_tokens, row.completion_tokens, row.total_tokens) == (120, 45, 165)
    assert row.cost_nano_usd == 120 * 3_000 + 45 * 15_000
    assert (row.session_id, row.session_path, row.user_id) == ("s-1", "/a/b", "u-1")
    assert unary.request.properties["app"] == "shop"
