"""OpenAI's legacy completions: what differs from chat."""

from __future__ import annotations

import json
from collections.abc import Callable

from helicone_gw.dialects.base import EventFacts, Reply
from helicone_gw.dialects.openai_completions import CompletionsFormat
from helicone_gw.model import Usage
from helicone_gw.sse import EventSplitter, event_data

COMPLETIONS = CompletionsFormat()


def test_a_stream_event_by_event(recorded: Callable[[str], list[bytes]]) -> None:
    reader = COMPLETIONS.stream_reader()
    assert [reader.feed(event) for event in recorded("completions.sse")] == [
        EventFacts(preamble=True),
        EventFacts(content=True),
        EventFacts(),
        EventFacts(usage_only=True),
        EventFacts(terminal=True),
    ]
    assert (reader.model, reader.stop_reason, reader.complete) == ("gpt-3.5-turbo-instruct", "length", True)
    assert reader.usage == Usage(5, 7)


def test_closing_keeps_the_shape_of_a_completion(recorded: Callable[[str], list[bytes]]) -> None:
    reader = COMPLETIONS.stream_reader()
    for event in recorded("completions.sse")[:2]:
        reader.feed(event)
    finish, done = EventSplitter(1 << 16).feed(reader.closing_events("length"))
    value = json.loads(event_data(finish))
    assert (value["id"], value["object"]) == ("cmpl-7", "text_completion")
    assert value["choices"] == [{"index": 0, "text": "", "logprobs": None, "finish_reason": "length"}]
    assert done == b"data: [DONE]\n\n"


def test_texts_and_reply() -> None:
    assert COMPLETIONS.prompt_text(b'{"prompt":"one","suffix":"end"}') == ["one", "end"]
    assert COMPLETIONS.prompt_text(b'{"prompt":["one","two"]}') == ["one", "two"]
    assert COMPLETIONS.prompt_text(b'{"prompt":[1,2,3]}') == []
    body = (
        b'{"model":"m","choices":[{"text":"hi","index":0,"finish_reason":"stop","logprobs":null}],'
        b'"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    )
    assert COMPLETIONS.reply(body) == Reply("m", Usage(1, 1), "stop")
    assert COMPLETIONS.reply_text(body) == ["hi"]
