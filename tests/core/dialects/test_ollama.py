"""Ollama's own API: usage, stop reason and content of replies and streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw.dialects.base import EventFacts, Reply
from helicone_gw.dialects.ollama import OllamaChatFormat, OllamaEmbedFormat
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event

CHAT = OllamaChatFormat()
DONE = {"done": True, "done_reason": "stop", "prompt_eval_count": 26, "eval_count": 298, "total_duration": 4883583458}


def line(**value: Any) -> bytes:
    return encode_event(json.dumps({"model": "llama3.2", **value}).encode())


def test_a_reply() -> None:
    message = {"role": "assistant", "content": "Hi", "thinking": "hm"}
    body = json.dumps({"model": "llama3.2", "message": message, **DONE}).encode()
    assert CHAT.reply(body) == Reply("llama3.2", Usage(26, 298), "stop")
    assert CHAT.reply_text(body) == ["Hi", "hm"]
    assert CHAT.reply(b'{"error":"model not found"}') == Reply(error="model not found")


def test_a_prompt_that_was_cached_whole_is_not_counted() -> None:
    assert CHAT.reply(b'{"model":"m","eval_count":5}').usage == Usage(None, 5)


@pytest.mark.parametrize(
    ("sent", "facts"),
    [
        (line(message={"role": "assistant", "content": "a"}, done=False), EventFacts(content=True)),
        (line(message={"role": "assistant", "content": ""}, done=False), EventFacts(preamble=True)),
        (line(message={"role": "assistant", "content": "", "thinking": "hm"}, done=False), EventFacts(content=True)),
        (line(message={"tool_calls": [{"function": {"name": "f"}}]}, done=False), EventFacts(content=True)),
        (line(message={"role": "assistant", "content": ""}, **DONE), EventFacts(terminal=True)),
        (encode_event(b'{"error":"out of memory"}'), EventFacts(error="out of memory")),
    ],
)
def test_facts_of_one_event(sent: bytes, facts: EventFacts) -> None:
    assert CHAT.stream_reader().feed(sent) == facts


def test_a_stream() -> None:
    reader = CHAT.stream_reader()
    reader.feed(line(message={"content": "a"}, done=False))
    assert (reader.complete, reader.usage) == (False, None)
    reader.feed(line(message={"content": ""}, **{**DONE, "done_reason": "length"}))
    assert (reader.complete, reader.model, reader.stop_reason) == (True, "llama3.2", "length")
    assert reader.usage == Usage(26, 298)


@pytest.mark.parametrize(("reason", "done"), [("stop", "stop"), ("length", "length"), ("moderation", "stop")])
def test_closing(reason: str, done: str) -> None:
    reader = CHAT.stream_reader()
    reader.feed(reader.closing_events(reason))
    assert (reader.complete, reader.stop_reason) == (True, done)


def test_embeddings() -> None:
    embed = OllamaEmbedFormat()
    body = b'{"model":"all-minilm","embeddings":[[0.1]],"prompt_eval_count":8}'
    assert embed.reply(body) == Reply("all-minilm", Usage(8, 0))
    assert embed.reply_text(body) == []
    assert embed.prompt_text(b'{"model":"m","input":["a","b"]}') == ["a", "b"]
