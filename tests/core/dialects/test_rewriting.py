"""Text changed in requests and answers, every other byte as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw.dialects import wire_format
from helicone_gw.errors import MalformedBody

PROMPTS: list[tuple[str, str, Any]] = [
    (
        "openai",
        "chat",
        {"model": "m", "messages": [{"role": "system", "content": "§"}, {"content": ["no", {"text": "§"}]}]},
    ),
    ("openai", "chat", {"messages": [{"tool_calls": [{"id": "§", "function": {"name": "§", "arguments": "§"}}]}]}),
    ("openai", "responses", {"input": [{"content": "§"}], "prompt": {"id": "§", "variables": {"a": "§"}}}),
    ("openai", "embeddings", {"input": ["§", "§"]}),
    (
        "anthropic",
        "messages",
        {"system": "§", "messages": [{"content": [{"type": "tool_use", "input": {"x": ["§"]}}]}]},
    ),
    ("anthropic", "messages", {"messages": [{"content": [{"source": {"type": "text", "data": "§"}}]}]}),
    ("gemini", "generate_content", {"contents": [{"parts": [{"functionResponse": {"response": {"a": "§"}}}]}]}),
]


@pytest.mark.parametrize(("dialect", "operation", "value"), PROMPTS)
def test_every_text_of_a_prompt_is_changed_and_nothing_else(dialect: str, operation: str, value: Any) -> None:
    wire = wire_format(dialect, operation)
    assert wire is not None
    body = json.dumps(value, ensure_ascii=False, indent=3).encode()
    changed = wire.with_prompt_text(body, lambda text: text.replace("§", "changed"))
    assert wire.prompt_text(changed) == [text.replace("§", "changed") for text in wire.prompt_text(body)]
    ids = body.count("§".encode()) - sum(text.count("§") for text in wire.prompt_text(body))
    assert changed.count("§".encode()) == ids, "ids and names stay"
    assert changed.replace(b"changed", "§".encode()).replace(b"\n", b"") == body.replace(b"\n", b"")


def test_what_nobody_changes_is_the_same_bytes() -> None:
    wire = wire_format("openai", "chat")
    assert wire is not None
    body = b'{ "messages":[{"content":"a\\u0041"}], "temperature" : 1.0e0, "seed": 123456789012345678901234567890 }'
    assert wire.with_prompt_text(body, str) is body
    after = wire.with_prompt_text(body, str.lower)
    assert after == body.replace(b'"a\\u0041"', b'"aa"')


def test_answers_are_changed_alike() -> None:
    chat, gemini, audio = (
        wire_format(*name) for name in (("openai", "chat"), ("gemini", "generate_content"), ("openai", "audio"))
    )
    assert chat is not None
    assert gemini is not None
    assert audio is not None
    body = b'{"choices": [{"message": {"content": "a", "role": "a"}}], "model": "a"}'
    assert chat.with_reply_text(body, str.upper) == body.replace(b'"content": "a"', b'"content": "A"')
    array = b'[{"candidates": [{"content": {"parts": [{"text": "a"}]}}]},\n 1, {"modelVersion": "a"}]'
    assert gemini.with_reply_text(array, str.upper) == array.replace(b'"text": "a"', b'"text": "A"')
    assert audio.with_reply_text(b"plain text", str.upper) == b"PLAIN TEXT"
    assert chat.with_reply_text(b"\xff", str.upper) == b"\xff"


def test_a_body_that_is_no_object_is_refused() -> None:
    wire = wire_format("openai", "chat")
    assert wire is not None
    with pytest.raises(MalformedBody):
        wire.with_prompt_text(b"[", str.upper)


@given(st.lists(st.text(), max_size=4), st.sampled_from([None, 1, 4]), st.booleans())
@settings(max_examples=40)
def test_any_text_arrives_as_it_was_put(texts: list[str], indent: int | None, escaped: bool) -> None:
    wire = wire_format("openai", "chat")
    assert wire is not None
    body = json.dumps({"messages": [{"content": text} for text in texts]}, ensure_ascii=escaped, indent=indent)
    before = wire.prompt_text(body.encode("utf-8", "replace"))
    after = wire.with_prompt_text(body.encode("utf-8", "replace"), lambda text: text[::-1] + '"\\\n')
    assert wire.prompt_text(after) == [text[::-1] + '"\\\n' for text in before]
