"""Where a cloud hosts what the client speaks, its body and every byte of the answer pass as they are."""

from __future__ import annotations

import json

import pytest

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.translate.streaming import StreamTranslator
from helicone_gw.dialects.translate.translation import Made, Translation, translate
from helicone_gw.headers import Headers
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw.model import Request
from tests.core.dialects.translate.asking import to

MADE = Made("1", 0)
CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"
MESSAGES = b'{"model":"claude","max_tokens":5,"top_k":3,"messages":[{"role":"user","content":"Hi"}],"odd":1}'
CONTENTS = b'{"contents":[{"parts":[{"text":"Hi"}]}],"safetySettings":[]}'
CHAT = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'


def request(dialect: str, operation: str, body: bytes, *, query: str = "", stream: bool = False) -> Request:
    headers = Headers({"anthropic-beta": "b-1"})
    helicone = parse_helicone_headers(Headers())
    return Request("POST", "/x", query, headers, body, dialect, operation, helicone, model="m", stream=stream)


def translated(dialect: str, model: str, asked: Request) -> Translation:
    return translate(asked, dialect, to(dialect, model))


@pytest.mark.parametrize(
    ("dialect", "model", "asked", "reads"),
    [
        ("bedrock", CLAUDE, request("anthropic", "messages", MESSAGES), ("anthropic", "messages")),
        ("vertex", "claude-sonnet-4", request("anthropic", "messages", MESSAGES), ("anthropic", "messages")),
        ("vertex", "gemini-2.5-pro", request("gemini", "generate_content", CONTENTS), ("gemini", "generate_content")),
        ("vertex", "meta/llama-4", request("openai", "chat", CHAT), ("openai", "chat")),
    ],
)
def test_bodies_and_answers_pass(dialect: str, model: str, asked: Request, reads: tuple[str, str]) -> None:
    found = translated(dialect, model, asked)
    assert (found.dialect, found.outgoing.operation) == reads
    given, sent = json.loads(asked.body or b""), json.loads(found.outgoing.body)
    assert {name: sent[name] for name in given if name != "model"} == {
        name: value for name, value in given.items() if name != "model"
    }
    assert found.reply(b'{"any": "thing"}', MADE) == b'{"any": "thing"}'
    assert found.loss.paths == ()
    assert found.stream(MADE) is None


@pytest.mark.parametrize(
    ("dialect", "model", "asked", "reads"),
    [
        ("bedrock", CLAUDE, request("openai", "chat", CHAT), ("anthropic", "messages")),
        ("bedrock", "amazon.nova-pro-v1:0", request("anthropic", "messages", MESSAGES), ("bedrock", "converse")),
        ("vertex", "claude-sonnet-4", request("openai", "chat", CHAT), ("anthropic", "messages")),
        ("vertex", "gemini-2.5-pro", request("openai", "chat", CHAT), ("gemini", "generate_content")),
        ("vertex", "meta/llama-4", request("anthropic", "messages", MESSAGES), ("openai", "chat")),
        ("azure", "my-gpt", request("anthropic", "messages", MESSAGES), ("openai", "chat")),
        ("replicate", "meta/llama", request("openai", "chat", CHAT), ("replicate", "predictions")),
        ("cohere", "command-a", request("gemini", "generate_content", CONTENTS), ("cohere", "chat")),
        ("ollama", "qwen3", request("gemini", "generate_content", CONTENTS), ("ollama", "chat")),
    ],
)
def test_others_are_translated_and_their_usage_is_read(
    dialect: str, model: str, asked: Request, reads: tuple[str, str]
) -> None:
    found = translated(dialect, model, asked)
    assert (found.dialect, found.outgoing.operation) == reads
    assert wire_format(*reads) is not None
    assert isinstance(found.stream(MADE), StreamTranslator)


def test_what_is_beta_goes_along() -> None:
    sent = json.loads(translated("bedrock", CLAUDE, request("anthropic", "messages", MESSAGES)).outgoing.body)
    assert sent["anthropic_beta"] == ["b-1"]


def test_gemini_is_asked_for_events_whatever_its_client_asked_for() -> None:
    asked = request("gemini", "stream_generate_content", CONTENTS, query="key=x", stream=True)
    found = translated("vertex", "gemini-2.5-pro", asked)
    assert found.outgoing.query == "alt=sse"
    assert found.stream(MADE) is None
