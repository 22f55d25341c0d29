"""What the kit writes is what the gateway reads: text, usage, model, stop reason and errors, streamed or not."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.base import EventFacts, StreamReader
from helicone_gw.model import Usage
from helicone_gw.testing import ScriptedResponse
from helicone_gw.testing.dialects import (
    ToolCall,
    anthropic,
    embeddings,
    gemini,
    openai_chat,
    openai_completions,
    openai_responses,
)

FAMILIES: list[Any] = [
    pytest.param(openai_chat, "openai", "chat", id="chat"),
    pytest.param(openai_completions, "openai", "completions", id="completions"),
    pytest.param(openai_responses, "openai", "responses", id="responses"),
    pytest.param(anthropic, "anthropic", "messages", id="messages"),
    pytest.param(gemini, "gemini", "stream_generate_content", id="gemini"),
]
WITH_TOOLS = [family for family in FAMILIES if family.id != "completions"]
TOOL = ToolCall("get_weather", {"city": "Köln", "days": 3})


def read(dialect: str, operation: str, stream: ScriptedResponse) -> tuple[StreamReader, list[EventFacts]]:
    wire = wire_format(dialect, operation)
    assert wire is not None
    reader = wire.stream_reader()
    return reader, [reader.feed(part) for part in stream.parts]


@pytest.mark.parametrize(("module", "dialect", "operation"), FAMILIES)
def test_unary(module: ModuleType, dialect: str, operation: str) -> None:
    wire = wire_format(dialect, operation)
    assert wire is not None
    body = module.reply("Hello there", model="m-1").body
    reply = wire.reply(body)
    assert (reply.model, reply.error) == ("m-1", None)
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (12, 7)
    assert "".join(wire.reply_text(body)) == "Hello there"


@pytest.mark.parametrize(("module", "dialect", "operation"), FAMILIES)
def test_streamed_is_the_same_as_unary(module: ModuleType, dialect: str, operation: str) -> None:
    wire = wire_format(dialect, operation)
    assert wire is not None
    unary = wire.reply(module.reply("Hello there").body)
    reader, facts = read(dialect, operation, module.stream("Hello there"))
    assert (reader.model, reader.usage, reader.stop_reason) == (unary.model, unary.usage, unary.stop_reason)
    assert reader.complete
    assert facts[-1].terminal or dialect == "gemini"
    assert sum(fact.content for fact in facts) >= 2
    assert not any(fact.error for fact in facts)


@pytest.mark.parametrize(("module", "dialect", "operation"), FAMILIES)
def test_a_cut_stream_is_not_complete(module: ModuleType, dialect: str, operation: str) -> None:
    whole = module.stream("one two three four")
    for events in range(len(whole.parts) - 1):
        cut = whole.cut(events=events)
        reader, _ = read(dialect, operation, replace(whole, parts=whole.parts[:events]))
        assert cut.body.startswith(b"".join(whole.parts[:events]))
        assert not reader.complete


@pytest.mark.parametrize(("module", "dialect", "operation"), FAMILIES)
def test_error_answers_and_events(module: ModuleType, dialect: str, operation: str) -> None:
    wire = wire_format(dialect, operation)
    assert wire is not None
    response = module.error(429, "slow down", **({} if module is gemini else {"type": "some_type"}))
    assert response.status == 429
    assert "slow down" in (wire.reply(response.body).error or "")
    assert "broken" in (wire.stream_reader().feed(module.error_event("broken")).error or "")


@pytest.mark.parametrize(("module", "dialect", "operation"), WITH_TOOLS)
def test_tool_calls_are_content(module: ModuleType, dialect: str, operation: str) -> None:
    wire = wire_format(dialect, operation)
    assert wire is not None
    unary = wire.reply(module.reply(None, tools=[TOOL]).body)
    reader, facts = read(dialect, operation, module.stream(None, tools=[TOOL]))
    assert reader.complete
    assert reader.stop_reason == unary.stop_reason
    assert any(fact.content for fact in facts)


@pytest.mark.parametrize(("module", "dialect", "operation"), FAMILIES)
def test_usage_that_is_not_reported_is_not_known(module: ModuleType, dialect: str, operation: str) -> None:
    wire = wire_format(dialect, operation)
    assert wire is not None
    assert wire.reply(module.reply("Hello", usage=None).body).usage is None
    reader, _ = read(dialect, operation, module.stream("Hello", usage=None))
    assert reader.usage is None


COUNTS = st.integers(0, 10_000)


@given(st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS))
def test_usage_survives_the_wire(counts: tuple[int, int, int, int, int]) -> None:
    plain, read_, written, text, reasoning = counts
    totals: dict[str, Any] = {"input_tokens": plain + read_ + written, "output_tokens": text + reasoning}
    openai = Usage(**totals, cache_read_tokens=read_, reasoning_tokens=reasoning)
    claude = Usage(**totals, cache_read_tokens=read_, cache_write_tokens=written, cache_write_1h_tokens=written // 2)
    for module, dialect, operation, usage in (
        (openai_chat, "openai", "chat", openai),
        (openai_responses, "openai", "responses", openai),
        (gemini, "gemini", "generate_content", openai),
        (anthropic, "anthropic", "messages", claude),
    ):
        wire = wire_format(dialect, operation)
        assert wire is not None
        unary = wire.reply(module.reply("Hi", usage=usage).body).usage
        reader = wire.stream_reader()
        for part in module.stream("Hi", usage=usage).parts:
            reader.feed(part)
        for got in (unary, reader.usage):
            assert got is not None
            for name in ("input_tokens", "output_tokens", "cache_read_tokens"):
                assert getattr(got, name) == getattr(usage, name), (operation, name)
            for name in ("reasoning_tokens", "cache_write_tokens", "cache_write_1h_tokens"):
                if getattr(usage, name) is not None:
                    assert getattr(got, name) == getattr(usage, name), (operation, name)


def test_embeddings() -> None:
    wire = wire_format("openai", "embeddings")
    assert wire is not None
    reply = wire.reply(embeddings.reply(model="e-1", usage=Usage(input_tokens=42)).body)
    assert reply.model == "e-1"
    assert reply.usage is not None
    assert reply.usage.input_tokens == 42
