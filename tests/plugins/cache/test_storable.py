"""Whether a body that came with a 200 is an answer."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import Attempt, Exchange, Headers, Request, Response, Route, Target
from helicone_gw.helicone import EMPTY
from helicone_gw_cache.storable import refusal, unfinished

FIRST, SECOND = Target("openai", "gpt-4o"), Target("groq", "llama")


def exchange(*answered: Target, route: Route | None = None, **facts: Any) -> Exchange:
    request = Request("POST", "/v1/chat/completions", "", Headers(), b"{}", "openai", "chat", EMPTY)
    made = Exchange("an-id", request, 0.0)
    made.attempts = [Attempt(number, target, 0.0, status=200) for number, target in enumerate(answered, 1)]
    made.route, made.provider = route, answered[-1].provider if answered else None
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def why(body: bytes, **facts: Any) -> str | None:
    return refusal(exchange(FIRST, **facts), Response(200, body=body), store_fallbacks=False)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"choices": []}', None),
        (b'{"error": null, "status": "completed"}', None),
        (b'{"status": "incomplete"}', None),
        (b'[{"candidates": []}]', None),
        (b'{"status": 200}', None),
        (b'{"error": {"message": "no"}}', "error"),
        (b'{"error": "no"}', "error"),
        (b'[{"candidates": []}, {"error": {"code": 500}}]', "error"),
        (b'{"status": "in_progress"}', "status in_progress"),
        (b'{"status": "failed"}', "status failed"),
        (b'"text"', "no answer"),
        (b"[1, 2]", "no answer"),
        (b'{"choices": [', "no JSON"),
        (b"", "no JSON"),
        (b"<html>", "no JSON"),
        (b'{"a": NaN}', "no JSON"),
        (b'{"a":' * 5000, "no JSON"),
    ],
)
def test_bodies(body: bytes, expected: str | None) -> None:
    assert why(body) == expected


@pytest.mark.parametrize(
    "reason", ["content_filter", "refusal", "SAFETY", "RECITATION", "ERROR_TOXIC", "guardrail_intervened"]
)
def test_answers_that_a_filter_ended(reason: str) -> None:
    assert why(b"{}", stop_reason=reason) == f"stopped by {reason}"


@pytest.mark.parametrize(
    "reason", ["stop", "length", "end_turn", "max_tokens", "STOP", "tool_calls", "completed", None]
)
def test_answers_that_ended_well(reason: str | None) -> None:
    assert why(b"{}", stop_reason=reason) is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'{"choices":[{"finish_reason":"stop"},{"finish_reason":"content_filter"}]}', "stopped by content_filter"),
        (b'{"candidates": [{"finishReason": "STOP"}, {"finishReason" : "SAFETY"}]}', "stopped by SAFETY"),
        (b'data: {"choices":[{"index":1,"finish_reason":"content_filter"}]}\n\n', "stopped by content_filter"),
        (b'{"choices":[{"message":{"content":null,"refusal":"I cannot."},"finish_reason":"stop"}]}', "refused"),
        (b'{"choices":[{"message":{"content":"Hi","refusal":null},"finish_reason":"stop"}]}', None),
        (b'{"choices":[{"delta":{"refusal":""},"finish_reason":null}]}', None),
        (b'{"choices":[{"finish_reason":"length"},{"finish_reason":"tool_calls"}]}', None),
        (b'{"text":"say \\"finish_reason\\": \\"content_filter\\""}', None),
        (b"", None),
    ],
)
def test_every_part_of_an_answer_must_have_ended_well(answer: bytes, expected: str | None) -> None:
    assert unfinished(answer) == expected


def test_a_body_of_which_one_choice_was_filtered_is_not_stored() -> None:
    body = b'{"choices":[{"finish_reason":"stop"},{"finish_reason":"content_filter"}]}'
    assert why(body, stop_reason="stop") == "stopped by content_filter"


@pytest.mark.parametrize(
    ("answered", "first", "expected"),
    [
        ((FIRST,), FIRST, None),
        ((FIRST,), SECOND, "fallback"),
        ((FIRST, SECOND), FIRST, "fallback"),
        ((SECOND, FIRST), FIRST, None),
        ((Target("openai", "gpt-4o", deployment="east"),), FIRST, None),
        ((Target("openai", "gpt-4o-mini"),), FIRST, "fallback"),
        ((Target("openai", "gpt-4o", base_url="https://x.example.com"),), FIRST, "fallback"),
        ((), FIRST, "no provider's"),
    ],
)
def test_the_target_that_was_asked_first(answered: tuple[Target, ...], first: Target, expected: str | None) -> None:
    made = exchange(*answered, route=Route((first, FIRST, SECOND)))
    assert refusal(made, Response(200, body=b"{}"), store_fallbacks=False) == expected
    if expected == "fallback":
        assert refusal(made, Response(200, body=b"{}"), store_fallbacks=True) is None


def test_an_attempt_that_failed_is_none() -> None:
    failed = exchange(FIRST)
    failed.attempts[0].status = None
    assert refusal(failed, Response.of_json({}), store_fallbacks=True) == "no provider's"


def test_streams_are_read_by_others() -> None:
    assert refusal(exchange(FIRST), Response(200, body=b"", streamed=True), store_fallbacks=False) is None
