"""Counting tokens: asked in one dialect, counted in another."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.translation import Made, Translation, translate
from helicone_gw.errors import BadRequest
from helicone_gw.headers import Headers
from helicone_gw.helicone import EMPTY
from helicone_gw.model import Request

ANTHROPIC = {
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "Hi"}],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def counted(client: str, body: Any, dialect: str, provider: str, model: str) -> Translation:
    data = msgspec.json.encode(body)
    request = Request("POST", "/", "", Headers(), data, client, "count_tokens", EMPTY, model="asked")
    return translate(request, dialect, Destination(provider, model))


def test_anthropic_asks_gemini() -> None:
    how = counted("anthropic", ANTHROPIC, "gemini", "gemini", "gemini-2.5-flash")
    assert how.outgoing.path == "/v1beta/models/gemini-2.5-flash:countTokens"
    sent = msgspec.json.decode(how.outgoing.body)["generateContentRequest"]
    assert sent["model"] == "models/gemini-2.5-flash"
    assert sent["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert [tool["name"] for tool in sent["tools"][0]["functionDeclarations"]] == ["f"]
    assert how.reply(b'{"totalTokens": 31}', Made("", 0)) == b'{"input_tokens":31}'


def test_anthropic_asks_openai() -> None:
    how = counted("anthropic", ANTHROPIC, "openai", "openai", "gpt-4o")
    assert (how.outgoing.path, how.outgoing.operation) == ("/v1/responses/input_tokens", "responses.other")
    sent = msgspec.json.decode(how.outgoing.body)
    assert sent.keys() == {"model", "input", "instructions", "tools"}
    assert how.reply(b'{"object":"response.input_tokens","input_tokens":11}', Made("", 0)) == b'{"input_tokens":11}'


@pytest.mark.parametrize("body", [GEMINI, {"generateContentRequest": GEMINI}, {"generate_content_request": GEMINI}])
def test_gemini_asks_anthropic(body: Any) -> None:
    how = counted("gemini", body, "anthropic", "anthropic", "claude-sonnet-4-5")
    assert msgspec.json.decode(how.outgoing.body) == {
        "model": "claude-sonnet-4-5",
        "messages": [{"role": "user", "content": "Hi"}],
    }
    assert how.reply(b'{"input_tokens": 5}', Made("", 0)) == b'{"totalTokens":5}'


@pytest.mark.parametrize(("dialect", "provider"), [("openai", "mistral"), ("cohere", "cohere"), ("ollama", "ollama")])
def test_who_counts_no_tokens(dialect: str, provider: str) -> None:
    with pytest.raises(BadRequest, match="does not offer 'count_tokens'") as refused:
        counted("anthropic", ANTHROPIC, dialect, provider, "m")
    assert refused.value.code == "operation_not_offered"


def test_an_answer_without_a_number_is_none() -> None:
    how = counted("anthropic", ANTHROPIC, "gemini", "gemini", "gemini-2.5-flash")
    with pytest.raises(ValueError, match="count of tokens"):
        how.reply(b'{"total": 3}', Made("", 0))
