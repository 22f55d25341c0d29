"""Translation in the onion: layers see the client's dialect, facts are the provider's, fallbacks cross dialects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from onion import A, exchange, gateway, handle, plugin, router

from helicone_gw import Chunk, Fallback, Headers, PermissionDenied, Response, Target
from helicone_gw.sse import EventSplitter, event_data
from helicone_gw.testing import ScriptedProvider, ScriptedResponse, of_bytes, of_events, of_json
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat

CLAUDE = Target("anthropic", "claude-sonnet-4-5")
TEXT = ("Hello", " there", "!")


def texts(body: bytes) -> str:
    """The text in a stream of chat completions."""
    chunks = [event_data(event) for event in EventSplitter(1 << 20).feed(body)]
    found = [json.loads(chunk) for chunk in chunks if chunk != b"[DONE]"]
    return "".join(choice["delta"].get("content") or "" for chunk in found for choice in chunk["choices"])


async def test_layers_see_the_clients_dialect_event_by_event() -> None:
    seen: list[bytes] = []

    def note(exchange, chunk):
        if chunk.kind == "event":
            seen.append(chunk.data)

    layers = [plugin("watch", on_stream_chunk=note), router(CLAUDE)]
    one = exchange(stream=True)
    sink = await handle(gateway(layers, ScriptedProvider(anthropic.stream(TEXT))), one)
    assert b"".join(seen) == sink.body
    assert all(event.startswith(b"data: ") and event.count(b"\n\n") == 1 for event in seen)
    assert texts(sink.body) == "Hello there!"
    assert sink.headers.get("content-type") == "text/event-stream"
    assert (sink.finished, sink.aborted) == (1, 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_facts_are_the_providers_own(stream: bool) -> None:
    seen: list[object] = []
    layers = [plugin("watch", on_response=lambda exchange, response: seen.append(exchange.usage)), router(CLAUDE)]
    one = exchange(stream=stream)
    answer = (anthropic.stream if stream else anthropic.reply)("Hello there!")
    await handle(gateway(layers, ScriptedProvider(answer)), one)
    assert (one.provider, one.model, one.stop_reason) == ("anthropic", anthropic.MODEL, "end_turn")
    assert one.usage is not None
    assert (one.usage.input_tokens, one.usage.output_tokens) == (12, 7)
    assert seen == [one.usage]


async def test_on_response_sees_and_may_replace_the_clients_body() -> None:
    def shout(exchange, response):
        body = response.json()
        body["choices"][0]["message"]["content"] = body["choices"][0]["message"]["content"].upper()
        return Response.of_json(body)

    layers = [plugin("shout", on_response=shout), router(CLAUDE)]
    sink = await handle(gateway(layers, ScriptedProvider(anthropic.reply("Hello"))), exchange())
    assert json.loads(sink.body)["choices"][0]["message"]["content"] == "HELLO"


async def test_a_failure_falls_back_to_another_dialect_before_the_first_event() -> None:
    def fall_back(exchange, error):
        return Fallback()

    provider = ScriptedProvider(
        anthropic.stream(TEXT).interrupted(anthropic.error_event("Overloaded."), events=1), openai_chat.stream(TEXT)
    )
    one = exchange(
        stream=True, body=b'{"model":"m","stream":true,"seed":7,"messages":[{"role":"user","content":"Hi"}]}'
    )
    sink = await handle(gateway([plugin("back", on_error=fall_back), router(CLAUDE, A)], provider), one)
    assert texts(sink.body) == "Hello there!"
    assert [attempt.target.provider for attempt in one.attempts] == ["anthropic", "openai"]
    assert provider.requests[0].path.endswith("/v1/messages")
    assert json.loads(provider.requests[1].body)["seed"] == 7
    # The answer came untranslated: nothing was lost in it.
    assert sink.headers.get("helicone-translation-loss") is None


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_lost_is_told_to_client_and_log(stream: bool) -> None:
    body = b'{"model":"m","seed":7,"stream":%s,"messages":[{"role":"user","content":"Hi"}]}'
    one = exchange(stream=stream, body=body % (b"true" if stream else b"false"))
    answer = (anthropic.stream if stream else anthropic.reply)("Hello")
    sink = await handle(gateway([router(CLAUDE)], ScriptedProvider(answer)), one)
    assert sink.headers.get("helicone-translation-loss") == "seed"
    assert one.annotations["translation.loss"] == ["seed"]


async def test_what_a_streamed_answer_lost_is_in_the_log() -> None:
    events = list(anthropic.stream("Hello").parts)
    block = b'{"type":"content_block_start","index":9,"content_block":{"type":"server_tool_use","id":"1","name":"web"}}'
    events.insert(1, b"event: content_block_start\ndata: " + block + b"\n\n")
    one = exchange(stream=True)
    sink = await handle(gateway([router(CLAUDE)], ScriptedProvider(of_events(*events))), one)
    assert sink.headers.get("helicone-translation-loss") is None, "it was not known when the headers left"
    assert one.annotations["translation.loss"] == ["content.server_tool_use"]


async def test_a_layer_can_end_a_translated_stream_cleanly() -> None:
    def stop(exchange, chunk):
        if b"Hello" in chunk.data:
            exchange.end_stream("length")

    layers = [plugin("stop", on_stream_chunk=stop), router(CLAUDE)]
    sink = await handle(gateway(layers, ScriptedProvider(anthropic.stream(TEXT).paced(0))), exchange(stream=True))
    assert b'"finish_reason":"length"' in sink.body
    assert sink.body.endswith(b"data: [DONE]\n\n")
    assert sink.finished == 1


async def test_a_cut_stream_ends_in_an_error_of_the_clients_dialect() -> None:
    one = exchange(stream=True)
    provider = ScriptedProvider(anthropic.stream(TEXT).cut(events=4))
    sink = await handle(gateway([router(CLAUDE)], provider), one)
    assert b'{"error":' in sink.body
    assert b"[DONE]" not in sink.body
    assert (sink.finished, sink.aborted) == (0, 1)
    assert one.outcome is not None
    assert one.outcome.kind == "stream_broken"


ARRAY: dict[str, Any] = {
    "dialect": "gemini",
    "operation": "stream_generate_content",
    "path": "/v1beta/models/m:streamGenerateContent",
    "body": b'{"contents":[{"parts":[{"text":"Hi"}]}]}',
    "stream": True,
}


GEMINI = Target("gemini", "gemini-2.5-flash")


@pytest.mark.parametrize(
    ("model", "cut"),
    [
        (CLAUDE, anthropic.stream(TEXT).cut(events=4)),
        (Target("openai", "gpt-4o"), openai_chat.stream(TEXT).cut(events=4)),
        (GEMINI, gemini.stream(TEXT).cut(events=2)),
    ],
)
async def test_a_cut_stream_ends_in_an_error_that_is_the_last_element_of_an_array(
    model: Target, cut: ScriptedResponse
) -> None:
    sink = await handle(gateway([router(model)], ScriptedProvider(cut)), exchange(**ARRAY))
    *parts, error = json.loads(sink.body)
    assert "".join(part["candidates"][0]["content"]["parts"][0]["text"] for part in parts).startswith("Hello")
    assert (error["error"]["code"], error["error"]["status"]) == (502, "UNAVAILABLE")
    assert sink.headers.get("content-type") == "application/json"
    assert (sink.finished, sink.aborted) == (0, 1)


async def test_an_array_of_geminis_own_is_asked_for_as_events_and_arrives_piece_by_piece() -> None:
    script = gemini.stream(TEXT)
    provider = ScriptedProvider(script)
    sink = await handle(gateway([router(GEMINI)], provider), exchange(**ARRAY, query="key=x"))
    assert provider.requests[0].target.endswith(":streamGenerateContent?key=x&alt=sse")
    assert sink.headers.get("content-type") == "application/json"
    assert len(sink.pieces) > 2
    elements = [json.loads(event_data(part)) for part in script.parts]
    assert json.loads(sink.body) == elements


async def test_an_array_that_begins_with_an_error_falls_back() -> None:
    begun = gemini.stream(TEXT).interrupted(gemini.error_event(), events=0)
    layers = [router(GEMINI, CLAUDE), plugin("fallbacks", on_error=lambda exchange, error: Fallback())]
    one = exchange(**ARRAY)
    sink = await handle(gateway(layers, ScriptedProvider(begun, anthropic.stream(TEXT))), one)
    assert [attempt.ok for attempt in one.attempts] == [False, True]
    assert "error" not in json.dumps(json.loads(sink.body))


async def test_a_providers_own_error_after_content_closes_an_array() -> None:
    provider = ScriptedProvider(anthropic.stream(TEXT).interrupted(anthropic.error_event("Overloaded."), events=4))
    sink = await handle(gateway([router(CLAUDE)], provider), exchange(**ARRAY))
    assert json.loads(sink.body)[-1]["error"]["message"] == "Overloaded."


async def test_an_array_of_which_nothing_was_sent_holds_the_error_alone() -> None:
    def refuse(exchange, chunk):
        raise PermissionDenied("No.")

    layers = [plugin("guard", on_stream_chunk=refuse), router(CLAUDE)]
    provider = ScriptedProvider(anthropic.stream(TEXT))
    sink = await handle(gateway(layers, provider), exchange(**ARRAY))
    assert [each["error"]["message"] for each in json.loads(sink.body)] == ["No."]


async def test_layers_see_events_where_the_client_gets_an_array() -> None:
    seen: list[Any] = []

    def shout(exchange, chunk):
        seen.append((chunk.kind, exchange.response.headers.get("content-type")))
        return Chunk(chunk.data.upper().replace(b"DATA:", b"data:")) if b"Hello" in chunk.data else None

    layers = [plugin("guard", on_stream_chunk=shout), router(CLAUDE)]
    sink = await handle(gateway(layers, ScriptedProvider(anthropic.stream(TEXT))), exchange(**ARRAY))
    assert "HELLO" in json.dumps(json.loads(sink.body))
    assert sink.finished == 1
    assert {kind for _, kind in seen} == {"text/event-stream"}


async def test_a_plugins_own_stream_becomes_an_array_too() -> None:
    events = gemini.stream(TEXT).parts

    async def replay() -> Any:
        for event in events:
            yield event

    def hit(exchange):
        return Response(200, Headers({"content-type": "text/event-stream"}), None, replay())

    sink = await handle(gateway([plugin("cache", pre_request=hit)], ScriptedProvider()), exchange(**ARRAY))
    assert len(json.loads(sink.body)) == len(events)
    assert sink.headers.get("content-type") == "application/json"


async def test_a_layer_that_ends_an_array_early_ends_it_well() -> None:
    def stop(exchange, chunk):
        if b"there" in chunk.data:
            exchange.end_stream("length")

    layers = [plugin("budget", on_stream_chunk=stop), router(CLAUDE)]
    sink = await handle(gateway(layers, ScriptedProvider(anthropic.stream(TEXT).paced(0))), exchange(**ARRAY))
    assert json.loads(sink.body)[-1]["candidates"][0]["finishReason"] == "MAX_TOKENS"


@pytest.mark.parametrize("size", [1, 3, 64])
async def test_any_split_gives_the_same(size: int) -> None:
    script = anthropic.stream(TEXT)
    whole = await handle(gateway([router(CLAUDE)], ScriptedProvider(script)), exchange(stream=True))
    sink = await handle(gateway([router(CLAUDE)], ScriptedProvider(script.dripped(size))), exchange(stream=True))
    assert sink.body == whole.body


async def test_a_compressed_answer_is_read_and_goes_on_plain() -> None:
    sink = await handle(gateway([router(CLAUDE)], ScriptedProvider(anthropic.reply("Hello").gzipped())), exchange())
    assert json.loads(sink.body)["choices"][0]["message"]["content"] == "Hello"
    assert sink.headers.get("content-encoding") is None


@pytest.mark.parametrize(
    "answer",
    [of_json({"surprise": True}), of_json([]), of_bytes(b"<html>", "text/html"), of_bytes(b"{", "application/json")],
)
async def test_an_answer_that_is_none_is_a_failed_attempt(answer) -> None:
    one = exchange()
    sink = await handle(gateway([router(CLAUDE)], ScriptedProvider(answer)), one)
    assert sink.status == 502
    assert one.attempts[0].error is not None
    assert one.attempts[0].error.code == "upstream_protocol_error"


async def test_an_error_in_an_answer_of_status_200_is_told_in_its_words() -> None:
    answer = of_json({"type": "error", "error": {"type": "overloaded_error", "message": "Busy, sorry."}})
    sink = await handle(gateway([router(CLAUDE)], ScriptedProvider(answer)), exchange())
    assert sink.status == 529
    assert json.loads(sink.body)["error"]["message"] == "Busy, sorry."


async def test_an_error_keeps_its_status_words_and_wait() -> None:
    provider = ScriptedProvider(anthropic.error(429, "Slow down.", headers={"retry-after": "3"}))
    one = exchange()
    sink = await handle(gateway([router(CLAUDE)], provider), one)
    assert sink.status == 429
    error = json.loads(sink.body)["error"]
    assert (error["message"], error["type"]) == ("Slow down.", "rate_limit_error")
    assert sink.headers.get("retry-after") == "3"
    assert one.attempts[0].error is not None
    assert one.attempts[0].error.retry_after == 3


async def test_what_cannot_be_asked_is_refused_before_any_call() -> None:
    provider = ScriptedProvider()
    one = exchange(headers={"Helicone-Translation-Strict": "true"}, body=b'{"model":"m","seed":7,"messages":[]}')
    sink = await handle(gateway([router(CLAUDE)], provider), one)
    assert sink.status == 400
    assert json.loads(sink.body)["error"]["code"] == "translation_loss"
    assert provider.requests == []


async def test_a_provider_that_answers_no_stream_is_translated_whole() -> None:
    sink = await handle(gateway([router(CLAUDE)], ScriptedProvider(anthropic.reply("Hello"))), exchange(stream=True))
    assert json.loads(sink.body)["choices"][0]["message"]["content"] == "Hello"
    assert sink.headers.get("content-type") == "application/json"
