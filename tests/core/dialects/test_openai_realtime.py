"""OpenAI's realtime events: the usage of every answered turn, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw.dialects.openai_realtime import realtime_usage
from helicone_gw.model import Usage

USAGE = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}


def done(**response: Any) -> str:
    return json.dumps({"type": "response.done", "event_id": "event_1", "response": {"id": "resp_1", **response}})


@pytest.mark.parametrize("as_bytes", [False, True])
def test_the_usage_of_a_turn(as_bytes: bool) -> None:
    message = done(status="completed", usage=USAGE)
    assert realtime_usage(message.encode() if as_bytes else message) == Usage(
        input_tokens=132,
        output_tokens=121,
        cache_read_tokens=64,
        input_audio_tokens=13,
        output_audio_tokens=91,
        cache_audio_read_tokens=4,
    )


@pytest.mark.parametrize(
    "message",
    [
        done(status="cancelled", usage=None),
        done(status="completed"),
        done(usage=[]),
        '{"type": "response.done"}',
        '{"type": "response.done", "response": null}',
        '{"type": "response.done", "response": "r"}',
        '{"type": "response.created", "note": "response.done", "response": {"usage": {"input_tokens": 1}}}',
        '{"type": "error", "error": {"message": "not \\"response.done\\""}}',
        '{"type": "response.done", "response": {"usage"',
        "[" * 100_000 + '"response.done"',
        b"\xff\x00\x01",
        b'\xff"response.done"',
        "",
    ],
)
def test_messages_that_report_none(message: str | bytes) -> None:
    assert realtime_usage(message) is None
