"""Streams without length or chunks, cut at every byte of their end: whole only where a client misses nothing.

Nothing tells such a cut from the end of the body, except what came.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from onion import ListSink, exchange, gateway, handle, router

from helicone_gw import Exchange, Target
from helicone_gw.testing import ScriptedProvider, ScriptedResponse, of_events
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat, openai_completions, openai_responses
from helicone_gw.testing.script import event

TEXT = ("Hello", " you")
CHAT: dict[str, Any] = {}
COMPLETIONS = {"operation": "completions", "path": "/v1/completions", "body": b'{"model":"gpt-4o-mini","prompt":"Hi"}'}
RESPONSES = {"operation": "responses", "path": "/v1/responses", "body": b'{"model":"gpt-4o-mini","input":"Hi"}'}
MESSAGES = {"dialect": "anthropic", "operation": "messages", "path": "/v1/messages"}
GEMINI = {
    "dialect": "gemini",
    "operation": "stream_generate_content",
    "path": "/v1beta/models/m:streamGenerateContent?alt=sse",
    "body": b'{"contents":[{"parts":[{"text":"Hi"}]}]}',
}


def upto(script: ScriptedResponse, size: int) -> ScriptedResponse:
    """``script``, of which only ``size`` bytes come, and then the end of the connection."""
    return dataclasses.replace(script, parts=(script.body[:size],), framing="close")


async def whole_at(script: ScriptedResponse, how: dict[str, Any]) -> set[int]:
    """The sizes, from the third last event on, at which ``script`` counts as whole."""
    provider = ScriptedProvider()
    running, sizes = gateway([], provider), set()
    for size in range(sum(map(len, script.parts[:-3])), len(script.body) + 1):
        provider.enqueue(upto(script, size))
        one = exchange(stream=True, **how)
        if whole(one, await handle(running, one)):
            sizes.add(size)
    return sizes


async def asked(script: ScriptedResponse, how: dict[str, Any], *layers: Any) -> tuple[Exchange, ListSink]:
    one = exchange(stream=True, **how)
    return one, await handle(gateway(layers, ScriptedProvider(script)), one)


def whole(one: Exchange, sink: ListSink) -> bool:
    """Whether row and client agree that the answer is whole; they have to agree that it is not, otherwise."""
    assert one.outcome is not None
    if one.outcome.kind == "ok":
        assert (sink.finished, sink.aborted) == (1, 0)
        assert b'"error":{' not in sink.body
        return True
    if sink.status == 200:
        assert (one.outcome.kind, sink.finished, sink.aborted) == ("stream_broken", 0, 1)
        assert b"error" in sink.body.rpartition(b"data: ")[2], "the last event is an error"
    else:  # nothing had been sent yet
        assert (one.outcome.kind, sink.status) == ("upstream_error", 502)
    return False


@pytest.mark.parametrize(
    ("script", "how", "last"),
    [
        (anthropic.stream(TEXT), MESSAGES, "message_stop"),
        (openai_responses.stream(TEXT), RESPONSES, "response.completed"),
        (gemini.stream(TEXT), GEMINI, '"finishReason"'),
    ],
    ids=("messages", "responses", "gemini"),
)
async def test_without_its_last_event_a_stream_is_cut(script: ScriptedResponse, how: dict[str, Any], last: str) -> None:
    assert last.encode() in script.parts[-1]
    ends = len(script.body.rstrip())
    assert await whole_at(script, how) == set(range(ends, len(script.body) + 1))


@pytest.mark.parametrize(
    ("script", "how"),
    [(openai_chat.stream(TEXT), CHAT), (openai_completions.stream(TEXT), COMPLETIONS)],
    ids=("chat", "completions"),
)
async def test_chunks_are_whole_from_the_finish_reason_on_but_not_in_the_middle_of_an_event(
    script: ScriptedResponse, how: dict[str, Any]
) -> None:
    """SDKs take the end of the body for ``[DONE]``, and not every provider sends it."""
    ends, at = set(), 0
    for part in script.parts:
        at += len(part)
        if b'"finish_reason":"stop"' in part or ends:
            ends |= {at - 2, at - 1, at}
    assert len(ends) > 6
    assert await whole_at(script, how) == ends


async def test_every_choice_needs_its_finish_reason() -> None:
    def chunk(index: int, reason: str | None, text: str = "") -> bytes:
        choice = {"index": index, "delta": {"content": text}, "finish_reason": reason}
        return event({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})

    first = [chunk(0, None, "a"), chunk(1, None, "b"), chunk(0, "stop")]
    assert not whole(*await asked(of_events(*first).framed("close"), CHAT))
    assert whole(*await asked(of_events(*first, chunk(1, "stop")).framed("close"), CHAT))


async def test_every_candidate_needs_its_finish_reason() -> None:
    def chunk(index: int, reason: str | None) -> bytes:
        candidate = {"index": index, "content": {"parts": [{"text": "a"}]}}
        return event({"candidates": [{**candidate, **({"finishReason": reason} if reason else {})}]})

    first = [chunk(0, None), chunk(1, None), chunk(0, "STOP")]
    assert not whole(*await asked(of_events(*first).framed("close"), GEMINI))
    assert whole(*await asked(of_events(*first, chunk(1, "STOP")).framed("close"), GEMINI))


async def test_a_translated_stream_is_cut_where_its_provider_s_is() -> None:
    script, claude = anthropic.stream(TEXT), Target("anthropic", "claude-sonnet-4-5")
    one, sink = await asked(upto(script, len(script.body) - len(script.parts[-1])), CHAT, router(claude))
    assert not whole(one, sink)
    assert b"[DONE]" not in sink.body
    one, sink = await asked(upto(script, len(script.body) - 2), CHAT, router(claude))
    assert whole(one, sink)
    assert sink.body.count(b"[DONE]") == 1


async def test_what_an_event_that_is_cut_would_have_said_of_usage_is_estimated() -> None:
    script = openai_chat.stream(TEXT)
    at = script.body.index(b'"usage":{')
    one, _ = await asked(upto(script, at), CHAT)
    assert one.usage is not None
    assert one.usage.estimated


async def test_a_comment_at_the_end_is_nobody_s_loss() -> None:
    script = anthropic.stream(TEXT)
    assert whole(*await asked(of_events(*script.parts, b": bye").framed("close"), MESSAGES))
    assert not whole(*await asked(of_events(*script.parts[:-1], b": bye\n\n").framed("close"), MESSAGES))
