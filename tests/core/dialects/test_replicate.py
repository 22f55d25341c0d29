"""Replicate's predictions: usage from their metrics, text from their output."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw.dialects.base import EventFacts, Reply
from helicone_gw.dialects.replicate import PredictionsFormat
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event

PREDICTIONS = PredictionsFormat()
METRICS = {"input_token_count": 12, "output_token_count": 30, "predict_time": 0.7}


def prediction(**members: Any) -> bytes:
    return json.dumps({"id": "p", "model": "meta/meta-llama-3-8b-instruct", **members}).encode()


def test_a_reply() -> None:
    body = prediction(status="succeeded", output=["Once", " upon"], metrics=METRICS, error=None)
    assert PREDICTIONS.reply(body) == Reply("meta/meta-llama-3-8b-instruct", Usage(12, 30), "succeeded")
    assert PREDICTIONS.reply_text(body) == ["Once", " upon"]
    assert PREDICTIONS.prompt_text(b'{"input":{"prompt":"a","max_tokens":1}}') == ["a"]
    assert PREDICTIONS.with_model(body, "other") == body


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"status": "failed", "error": "CUDA out of memory"}, "CUDA out of memory"),
        ({"status": "canceled"}, "The prediction canceled."),
    ],
)
def test_a_prediction_that_failed(members: dict[str, Any], error: str) -> None:
    assert PREDICTIONS.reply(prediction(**members)).error == error


@pytest.mark.parametrize(
    ("sent", "facts"),
    [
        (b"event: output\ndata: Once\n\n", EventFacts(content=True)),
        (b"event: output\ndata:\n\n", EventFacts(preamble=True)),
        (b'event: output\ndata: {"error": "it is only text"}\n\n', EventFacts(content=True)),
        (b"event: logs\ndata: loading\n\n", EventFacts(preamble=True)),
        (b"event: done\ndata: {}\n\n", EventFacts(terminal=True)),
        (b"event: done\ndata: done\n\n", EventFacts(terminal=True)),
        (b'event: done\ndata: {"reason": "canceled"}\n\n', EventFacts(error="The prediction ended early: canceled.")),
        (b'event: error\ndata: {"detail": "no"}\n\n', EventFacts(error="no")),
        (encode_event(prediction(metrics=METRICS), "prediction"), EventFacts(usage_only=True)),
    ],
)
def test_facts_of_one_event(sent: bytes, facts: EventFacts) -> None:
    assert PREDICTIONS.stream_reader().feed(sent) == facts


def test_a_stream_has_the_usage_of_its_prediction() -> None:
    reader = PREDICTIONS.stream_reader()
    reader.feed(b"event: output\ndata: Once\n\n")
    reader.feed(encode_event(prediction(metrics=METRICS), "prediction"))
    assert (reader.complete, reader.usage) == (False, Usage(12, 30))
    reader.feed(reader.closing_events("stop"))
    assert (reader.complete, reader.stop_reason) == (True, "succeeded")
