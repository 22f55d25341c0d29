"""Answers of status 200 that are none: errors, empty streams. They count as failed attempts, whatever the dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from onion import A, B, exchange, gateway, handle, plugin, router

from helicone_gw import Exchange, Fallback, Retry, Target, UpstreamError, UpstreamStatus
from helicone_gw.testing import ScriptedProvider, of_bytes, of_events, of_json
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat, openai_responses
from helicone_gw.testing.script import ScriptedResponse

BACK = plugin("fallbacks", on_error=lambda exchange, error: Fallback())
MESSAGES: dict[str, Any] = {"dialect": "anthropic", "operation": "messages", "path": "/v1/messages"}
RESPONSES: dict[str, Any] = {
    "operation": "responses",
    "path": "/v1/responses",
    "body": b'{"model":"model-a","input":"Hi"}',
}
GEMINI: dict[str, Any] = {
    "dialect": "gemini",
    "operation": "generate_content",
    "path": "/v1beta/models/model-a:generateContent",
    "body": b'{"contents":[{"parts":[{"text":"Hi"}]}]}',
}
EMBEDDINGS: dict[str, Any] = {
    "operation": "embeddings",
    "path": "/v1/embeddings",
    "body": b'{"model":"model-a","input":"Hi"}',
}


@pytest.mark.parametrize(
    ("asked", "body", "status"),
    [
        ({}, {"error": {"message": "Slow down.", "code": 429}}, 429),
        ({}, {"error": {"message": "Slow down.", "type": "rate_limit_error"}}, 429),
        ({}, {"error": {"message": "Slow down.", "status": 503}}, 503),
        ({}, {"error": "Slow down."}, 502),
        ({}, {"object": "error", "message": "Slow down.", "code": 400}, 400),
        ({}, {"choices": [{"error": {"message": "Slow down.", "code": 502}}]}, 502),
        (EMBEDDINGS, {"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}, 429),
        (MESSAGES, {"type": "error", "error": {"type": "overloaded_error", "message": "Slow down."}}, 529),
        (GEMINI, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "Slow down."}}, 503),
        (RESPONSES, {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "Slow down."}}, 429),
    ],
)
async def test_an_error_of_status_200_gets_the_status_that_it_amounts_to(
    asked: dict[str, Any], body: dict[str, Any], status: int
) -> None:
    layers = [router(Target(asked.get("dialect", "openai"), "model-a"))]
    script = of_json(body).with_headers({"retry-after": "7", "x-request-id": "req_9"})
    one = exchange(**asked)
    sink = await handle(gateway(layers, ScriptedProvider(script)), one)
    assert sink.status == status
    assert sink.body == script.body, "in the provider's own bytes, where they are of the client's dialect"
    assert sink.headers.get("retry-after") == "7"
    (attempt,) = one.attempts
    assert attempt.status == 200
    assert isinstance(attempt.error, UpstreamStatus)
    assert (attempt.error.status, attempt.error.message, attempt.error.retry_after) == (status, "Slow down.", 7)
    assert one.outcome is not None
    assert (one.outcome.kind, one.outcome.status) == ("upstream_error", status)
    assert attempt.cost is not None
    assert attempt.cost.source == "no charge"


async def test_it_is_retried_and_fallen_back_from() -> None:
    wrong = of_json({"error": {"message": "Overloaded", "code": 529}})
    for decision in (Fallback(), Retry()):
        provider = ScriptedProvider(wrong, openai_chat.reply("Hello!"))
        layers = [router(A, B), plugin("policy", on_error=lambda exchange, error, decision=decision: decision)]
        one = exchange()
        assert (await handle(gateway(layers, provider), one)).status == 200
        assert [attempt.ok for attempt in one.attempts] == [False, True]


async def test_a_compressed_error_is_one_too() -> None:
    script = of_json({"error": {"message": "Overloaded", "code": 529}}).gzipped()
    sink = await handle(gateway([], ScriptedProvider(script)), exchange())
    assert (sink.status, json.loads(sink.body)["error"]["code"]) == (529, 529)


@pytest.mark.parametrize("error", [None, {}, "", {"message": None, "code": None}])
async def test_what_says_that_there_is_no_error_is_none(error: Any) -> None:
    answer = of_json({"choices": [{"index": 0, "message": {"content": "Hi"}}], "error": error})
    sink = await handle(gateway([BACK], ScriptedProvider(answer)), exchange())
    assert (sink.status, sink.body) == (200, answer.body)


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ({}, {"choices": [{"index": 0, "message": {"content": "Hi"}}], "error": {"message": "Odd.", "code": 0}}),
        (RESPONSES, {"status": "failed", "error": {"code": "server_error"}, "output": [{"type": "message"}]}),
    ],
    ids=["chat", "responses"],
)
async def test_what_has_an_answer_beside_its_error_is_an_answer(asked: dict[str, Any], body: dict[str, Any]) -> None:
    """As with a stream that fails on its way: what came is the client's."""
    answer = of_json(body)
    sink = await handle(gateway([BACK], ScriptedProvider(answer)), exchange(**asked))
    assert (sink.status, sink.body) == (200, answer.body)


async def test_a_failed_response_that_is_looked_at_again_is_an_answer() -> None:
    shown = of_json({"id": "resp_1", "status": "failed", "error": {"code": "server_error", "message": "It failed."}})
    one = exchange(method="GET", operation="responses.other", path="/v1/responses/resp_1", body=b"")
    sink = await handle(gateway([], ScriptedProvider(shown)), one)
    assert (sink.status, sink.body) == (200, shown.body)


async def test_its_usage_is_paid_for_where_it_has_one() -> None:
    answer = of_json(
        {"choices": [{"error": {"message": "Lost."}}], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}
    )
    one = exchange()
    await handle(gateway([], ScriptedProvider(answer)), one)
    assert one.usage is not None
    assert (one.usage.input_tokens, one.usage.output_tokens, one.usage.estimated) == (5, 3, False)


def only(script: ScriptedResponse, *kept: int) -> ScriptedResponse:
    return of_events(*(script.parts[number] for number in kept))


@pytest.mark.parametrize(
    ("asked", "script"),
    [
        ({}, of_events(b"data: [DONE]\n\n")),
        ({}, of_events(b": keep-alive\n\n", b"data: [DONE]\n\n")),
        ({}, only(openai_chat.stream("x"), 0, -1)),
        ({}, only(openai_chat.stream("x"), 0, -2, -1)),
        (MESSAGES, only(anthropic.stream("x"), 0, -1)),
        (RESPONSES, of_events(*openai_responses.stream("x").parts[:2], b"data: [DONE]\n\n")),
        (GEMINI | {"operation": "stream_generate_content"}, of_events()),
    ],
    ids=["chat", "comment", "preamble", "usage", "messages", "responses", "gemini"],
)
async def test_a_stream_of_nothing_but_its_end_is_a_failure(asked: dict[str, Any], script: ScriptedResponse) -> None:
    target = Target(asked.get("dialect", "openai"), "model-a")
    provider = ScriptedProvider(script, script)
    seen: list[UpstreamError] = []

    def retry(exchange: Exchange, error: UpstreamError) -> Retry:
        seen.append(error)
        return Retry()

    layers = [router(target), plugin("retries", on_error=retry)]
    one = exchange(stream=True, **asked)
    sink = await handle(gateway(layers, provider, max_attempts=3), one)
    assert [error.code for error in seen[:2]] == ["upstream_protocol_error"] * 2
    assert len(one.attempts) == 3
    assert sink.status is not None


@pytest.mark.parametrize(
    ("asked", "script"),
    [
        ({}, openai_chat.stream("", include_usage=False)),
        (MESSAGES, anthropic.stream("")),
        (GEMINI | {"operation": "stream_generate_content"}, gemini.stream("")),
    ],
    ids=["chat", "messages", "gemini"],
)
async def test_an_empty_answer_that_says_why_is_an_answer(asked: dict[str, Any], script: ScriptedResponse) -> None:
    target = Target(asked.get("dialect", "openai"), "model-a")
    one = exchange(stream=True, **asked)
    sink = await handle(gateway([router(target), BACK], ScriptedProvider(script)), one)
    assert sink.status == 200
    assert len(one.attempts) == 1


async def test_json_that_is_none_passes_only_where_nobody_could_do_better() -> None:
    broken = of_bytes(b'{"choices": [', "application/json")
    assert (await handle(gateway([], ScriptedProvider(broken)), exchange())).body == broken.body
    layers = [router(A, B), BACK]
    one = exchange()
    sink = await handle(gateway(layers, ScriptedProvider(broken, openai_chat.reply("Hello!"))), one)
    assert sink.status == 200
    assert one.provider == B.provider
