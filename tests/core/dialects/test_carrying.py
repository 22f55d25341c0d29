"""A chat completion's body, in the form that clients of another operation write."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helicone_gw import BadRequest, MalformedBody, carry_chat

CHAT: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "system", "content": "Be nice."}, {"role": "user", "content": "Hi"}],
    "temperature": 0.5,
    "seed": 1,
}


def carried(dialect: str, operation: str, body: Any = CHAT) -> tuple[Any, tuple[str, ...]]:
    data, lost = carry_chat(msgspec.json.encode(body), dialect, operation, "a-model")
    return msgspec.json.decode(data), lost


def test_a_chat_stays_a_chat_byte_for_byte() -> None:
    assert carry_chat(b'{ "messages":[] }', "openai", "chat", "m") == (b'{ "messages":[] }', ())


def test_each_dialect_has_its_own_place_for_what_the_system_says() -> None:
    messages, lost = carried("anthropic", "messages")
    assert (messages["system"], messages["messages"]) == ("Be nice.", [{"role": "user", "content": "Hi"}])
    assert "seed" in lost
    for operation in ("generate_content", "stream_generate_content"):
        gemini, _ = carried("gemini", operation)
        assert gemini["systemInstruction"] == {"parts": [{"text": "Be nice."}]}
        assert gemini["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    responses, _ = carried("openai", "responses")
    assert (responses["instructions"], responses["temperature"]) == ("Be nice.", 0.5)
    assert responses["input"][0]["content"] == [{"type": "input_text", "text": "Hi"}]


def test_what_is_no_conversation_is_refused() -> None:
    with pytest.raises(BadRequest, match="embeddings"):
        carried("openai", "embeddings")
    with pytest.raises(MalformedBody):
        carried("anthropic", "messages", {"messages": "none"})
