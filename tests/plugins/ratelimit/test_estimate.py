"""Estimates of requests: every dialect's text and longest answer, without what is no text, at a bounded price."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import Background, Cost, Exchange, Headers, HeliconeHeaders, Request
from helicone_gw_ratelimit.config import RatelimitConfig
from helicone_gw_ratelimit.estimate import MAX_DECODED, MEDIA_TOKENS, Estimator, longest_answer
from helicone_gw_ratelimit.tokens import estimated

TEXT = "Please write a short poem about the sea, in four lines, without any rhymes at all."
IN_TEXT = estimated(TEXT)
PICTURE = "data:image/png;base64," + "iVBORw0KGgo" * 500


class Prices:
    def estimate(self, model: str, provider: str | None, input_tokens: int, output_tokens: int) -> Cost | None:
        return None if model == "unknown" else Cost(input_tokens + 10 * output_tokens)


def estimator(**config: Any) -> Estimator:
    gateway: Any = SimpleNamespace(background=Background(), prices=Prices())
    return Estimator(RatelimitConfig.model_validate({"tokenizer": "estimate", **config}), gateway)


def exchange(body: Any, *, model: str | None = "gpt-4o", dialect: str = "openai", operation: str = "chat") -> Exchange:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = Request("POST", "/", "", Headers(), data, dialect, operation, HeliconeHeaders(), model=model)
    return Exchange("id", request, received_at=0)


@pytest.mark.parametrize(
    ("body", "most"),
    [
        ({"messages": [{"role": "user", "content": TEXT}], "max_tokens": 50}, 50),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": TEXT}]}], "max_completion_tokens": 50},
            50,
        ),
        ({"input": TEXT, "max_output_tokens": 50}, 50),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": TEXT}]}], "max_output_tokens": 50}, 50),
        ({"prompt": TEXT, "max_tokens": 50, "n": 3}, 150),
        ({"system": TEXT, "messages": [{"role": "user", "content": ""}], "max_tokens": 50}, 50),
        ({"contents": [{"parts": [{"text": TEXT}]}], "generationConfig": {"maxOutputTokens": 50}}, 50),
        (
            {
                "contents": [{"role": "user", "parts": [{"text": TEXT}]}],
                "generationConfig": {"maxOutputTokens": 50, "candidateCount": 2},
            },
            100,
        ),
        ({"messages": [{"role": "user", "content": [{"text": TEXT}]}], "inferenceConfig": {"maxTokens": 50}}, 50),
        ({"prompt": TEXT, "options": {"num_predict": 50}}, 50),
    ],
)
def test_the_text_and_the_longest_answer_of_every_dialect(body: dict[str, Any], most: int) -> None:
    expected = estimator().expected(exchange(body))
    assert IN_TEXT <= expected.input_tokens <= IN_TEXT + 10
    assert (expected.output_tokens, expected.asked) == (most, True)


@pytest.mark.parametrize(
    ("body", "most"),
    [
        ({"max_tokens": 1e5}, 100_000),
        ({"max_tokens": "5000"}, 5_000),
        ({"max_tokens": 10, "n": 2.0}, 20),
        ({"prompt": "a", "max_tokens": 10, "best_of": 20}, 200),
        ({"prompt": ["a", "b", "c"], "max_tokens": 10, "n": 2}, 60),
        ({"prompt": [[1, 2], [3]], "max_tokens": 10}, 20),
        ({"prompt": [1, 2, 3], "max_tokens": 10}, 10),
        ({"prompt": [], "max_tokens": 10}, 10),
        ({"max_tokens": "many"}, None),
        ({"max_tokens": True}, None),
        ({"max_tokens": -5.0}, None),
    ],
)
def test_all_that_may_be_billed_is_expected_however_it_is_asked_for(body: dict[str, Any], most: int | None) -> None:
    assert longest_answer(body) == most


@pytest.mark.parametrize("first", [True, False])
def test_the_longest_answer_is_read_beside_a_picture_too_large_to_decode(first: bool) -> None:
    said = 'They said: "max_tokens": 99999'
    messages = {"messages": [{"role": "user", "content": [said, {"image_url": "iVBORw0KGgo" * (MAX_DECODED // 10)}]}]}
    body = {"max_tokens": 4000, **messages} if first else {**messages, "max_tokens": 4000}
    expected = estimator().expected(exchange(body))
    assert (expected.output_tokens, expected.asked) == (4000, True)
    assert estimator(output_tokens=77).expected(exchange(messages)).output_tokens == 77


def test_several_answers_without_a_maximum_are_that_many_times_the_configured_one() -> None:
    it = exchange({"messages": [{"role": "user", "content": TEXT}], "n": 3})
    assert estimator(output_tokens=77).expected(it).output_tokens == 231


def test_without_a_maximum_the_configured_one_is_expected() -> None:
    it = exchange({"messages": [{"role": "user", "content": TEXT}]})
    assert estimator(output_tokens=77).expected(it).output_tokens == 77
    assert estimator(output_tokens=77).tokens(exchange({"input": TEXT}, operation="embeddings")) == IN_TEXT


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": PICTURE}},
        {"type": "image", "source": {"type": "base64", "data": PICTURE}},
        {"inlineData": {"mimeType": "image/png", "data": PICTURE}},
        {"type": "input_audio", "input_audio": {"data": PICTURE, "format": "wav"}},
    ],
)
def test_a_picture_is_no_text(part: dict[str, Any]) -> None:
    parts = [{"type": "text", "text": TEXT}, part]
    tokens = estimator().expected(exchange({"messages": [{"role": "user", "content": parts}]})).input_tokens
    assert IN_TEXT + MEDIA_TOKENS <= tokens <= IN_TEXT + MEDIA_TOKENS + 10


def test_tokens_themselves_are_counted_as_they_are() -> None:
    it = exchange({"input": [[1, 2, 3], [4, 5]]}, operation="embeddings")
    assert estimator().expected(it).input_tokens == 5


def test_tools_count() -> None:
    tools = [{"type": "function", "function": {"name": "look", "description": TEXT, "parameters": {"type": "object"}}}]
    assert estimator().expected(exchange({"messages": [], "tools": tools})).input_tokens >= IN_TEXT


def test_a_very_large_body_is_not_decoded_and_its_base64_does_not_count() -> None:
    body = b'{"messages": [{"content": "' + b"word " * 1000 + b'"}, {"data": "' + b"A" * MAX_DECODED + b'"}]}'
    assert 1000 <= estimator().expected(exchange(body)).input_tokens <= 2000
    text = b'{"messages": [{"content": "' + b"word " * MAX_DECODED + b'"}]}'
    assert estimator().expected(exchange(text)).input_tokens == pytest.approx(5 * MAX_DECODED / 4, rel=0.01)


@pytest.mark.parametrize("body", [None, b"", b"no json", b"[1, 2]", b"\xff\xfe", b"{}"])
def test_what_is_no_request_of_a_model_is_harmless(body: bytes | None) -> None:
    expected = estimator().expected(exchange(body, model=None))
    assert expected.output_tokens == 0
    assert expected.input_tokens <= 2


def test_a_body_of_very_many_values_counts_by_its_size() -> None:
    body = {"messages": [{"role": "user", "content": "word"}] * 20_000}
    tokens = estimator().expected(exchange(body)).input_tokens
    assert tokens >= len(json.dumps(body)) // 4


def test_deep_nesting_is_no_recursion() -> None:
    for depth in (400, 100_000):
        body = b'{"messages": ' + b"[" * depth + b'"' + TEXT.encode() + b'"' + b"]" * depth + b"}"
        assert estimator().expected(exchange(body)).input_tokens >= IN_TEXT


def test_counting_tokens_is_free() -> None:
    it = exchange({"messages": [{"role": "user", "content": TEXT}]}, operation="count_tokens")
    assert estimator().tokens(it) == 0


def test_a_request_is_estimated_once() -> None:
    it, one = exchange({"input": TEXT}), estimator()
    first = one.expected(it)
    assert one.expected(it) is first
    it.request = it.request.replace(body=json.dumps({"input": TEXT * 2}).encode())
    assert one.expected(it).input_tokens > first.input_tokens, "unless another request took its place"


def test_the_price_of_what_is_expected() -> None:
    one = estimator(output_tokens=10)
    assert one.nano_usd(exchange({"input": TEXT})) == IN_TEXT + 100
    assert one.nano_usd(exchange({"input": TEXT}, model="unknown")) is None
    assert one.nano_usd(exchange({"input": TEXT}, model=None)) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from(["messages", "input", "prompt", "max_tokens", "n", "generationConfig", "tools", "options"])


@given(st.dictionaries(FIELDS, JSON))
def test_any_body_has_an_estimate(body: dict[str, Any]) -> None:
    expected = estimator().expected(exchange(body))
    assert expected.input_tokens >= 0
    assert expected.output_tokens >= 0
    most = longest_answer(body)
    assert most is None or most > 0
