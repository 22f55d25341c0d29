"""Streamed answers: the commit gate, chunk hooks, the end, breaks, and clients that leave."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest
from onion import A, B, ListSink, exchange, gateway, handle, plugin, router

from helicone_gw import Chunk, Fallback, Headers, PermissionDenied, Response, Retry, UpstreamStreamError
from helicone_gw.sse import event_data
from helicone_gw.testing import ScriptedProvider, ScriptedResponse, of_bytes
from helicone_gw.testing.dialects import anthropic, openai_chat

TEXT = ("Hello", " there,", " how", " are", " you?")


def stream(text=TEXT, **options) -> ScriptedResponse:
    """A stream of which the client gets every byte: the usage that the gateway asks for is not in it."""
    return openai_chat.stream(text, include_usage=False, **options)


def with_events(script: ScriptedResponse, *parts: bytes) -> ScriptedResponse:
    return dataclasses.replace(script, parts=parts)


def replace_text(old: bytes, new: bytes):
    def function(exchange, chunk):
        return Chunk(chunk.data.replace(old, new)) if chunk.kind == "event" else None

    return function


async def test_bytes_pass_untouched_and_usage_is_known_without_the_client_noticing() -> None:
    provider = ScriptedProvider(openai_chat.stream(TEXT))
    seen: list[object] = []
    layers = [plugin("watch", on_response=lambda exchange, response: seen.append((response.streamed, exchange.usage)))]
    one = exchange(stream=True)
    sink = await handle(gateway(layers, provider), one)
    sent = provider.requests[0].json()
    assert sent["stream_options"] == {"include_usage": True}
    assert b'"choices":[]' not in sink.body
    assert b'"choices": []' not in sink.body
    assert sink.body.endswith(b"data: [DONE]\n\n")
    assert one.usage is not None
    assert one.usage.input_tokens
    assert seen == [(True, one.usage)]
    assert (sink.finished, sink.aborted) == (1, 0)


async def test_a_client_that_asked_for_usage_gets_every_byte() -> None:
    script = openai_chat.stream(TEXT)
    one = exchange(stream=True)
    asked = b'{"model":"model-a","stream":true,"stream_options":{"include_usage":true},"messages":[]}'
    one.request = one.original = one.request.replace(body=asked)
    sink = await handle(gateway([], ScriptedProvider(script)), one)
    assert sink.body == script.body


@pytest.mark.parametrize("size", [1, 2, 7, 64])
async def test_any_split_of_the_upstreams_bytes_gives_the_same_stream(size: int) -> None:
    script = stream()
    sink = await handle(gateway([], ScriptedProvider(script.dripped(size))), exchange(stream=True))
    assert sink.body == script.body


async def test_chunk_hooks_run_innermost_first_and_outer_ones_see_what_inner_ones_made() -> None:
    layers = [
        plugin("outer", on_stream_chunk=replace_text(b"General", b"Admiral")),
        plugin("inner", on_stream_chunk=replace_text(b"Hello", b"General")),
    ]
    sink = await handle(gateway(layers, ScriptedProvider(stream("Hello"))), exchange(stream=True))
    assert b"Admiral" in sink.body
    assert b"Hello" not in sink.body


async def test_held_back_chunks_are_let_go_at_the_end() -> None:
    held: list[Chunk] = []

    def hold(exchange, chunk):
        if chunk.kind == "event":
            held.append(chunk)
            return []
        return list(held)

    script = stream()
    layers = [plugin("outer", on_stream_chunk=lambda exchange, chunk: None), plugin("inner", on_stream_chunk=hold)]
    sink = await handle(gateway(layers, ScriptedProvider(script)), exchange(stream=True))
    assert sink.body == script.body
    assert len(sink.pieces) == 1


async def test_every_layer_hears_the_end_once() -> None:
    ends: list[str] = []

    def note(name: str):
        return lambda exchange, chunk: ends.append(name) if chunk.kind == "end" else None

    layers = [plugin(name, on_stream_chunk=note(name)) for name in "abc"]
    await handle(gateway(layers, ScriptedProvider(stream())), exchange(stream=True))
    assert ends == ["c", "b", "a"]


async def test_one_chunk_may_become_many_or_none() -> None:
    double = plugin("double", on_stream_chunk=lambda exchange, chunk: [chunk, chunk] if chunk.kind == "event" else None)
    script = stream()
    sink = await handle(gateway([double], ScriptedProvider(script)), exchange(stream=True))
    assert sink.body.count(b"data: [DONE]") == 2


async def test_an_error_before_the_first_real_event_falls_back_invisibly() -> None:
    script = stream("from the second")
    layers = [router(A, B), plugin("fallbacks", on_error=lambda exchange, error: Fallback())]
    provider = ScriptedProvider(with_events(stream(), openai_chat.error_event()), script)
    one = exchange(stream=True)
    sink = await handle(gateway(layers, provider), one)
    assert sink.body == script.body
    assert [attempt.ok for attempt in one.attempts] == [False, True]


async def test_a_stream_cut_after_its_preamble_falls_back_too() -> None:
    script = stream("from the second")
    layers = [router(A, B), plugin("fallbacks", on_error=lambda exchange, error: Fallback())]
    provider = ScriptedProvider(stream().cut(events=1), script)
    sink = await handle(gateway(layers, provider), exchange(stream=True))
    assert sink.body == script.body


async def test_the_error_of_a_fallback_that_breaks_tells_of_every_attempt() -> None:
    layers = [router(A, B), plugin("fallbacks", on_error=lambda exchange, error: Fallback())]
    provider = ScriptedProvider(openai_chat.error(500), stream().cut(events=3))
    sink = await handle(gateway(layers, provider), exchange(stream=True))
    error = json.loads(event_data(sink.pieces[-1]))["error"]
    assert [(each["source"], each["type"]) for each in error["details"]] == [
        ("openai/model-a", "upstream_status"),
        ("groq/model-b", "upstream_protocol_error"),
    ]


async def test_after_commit_an_error_is_news_and_the_connection_breaks() -> None:
    news: list[str] = []
    retry = plugin("retries", on_error=lambda exchange, error: news.append(error.code) or Retry())
    provider = ScriptedProvider(stream().cut(events=3))
    one = exchange(stream=True)
    sink = await handle(gateway([retry], provider), one)
    assert news == ["upstream_protocol_error"]
    assert len(one.attempts) == 1
    assert (sink.finished, sink.aborted) == (0, 1)
    assert b'"error"' in sink.pieces[-1]
    assert one.outcome is not None
    assert one.outcome.kind == "stream_broken"


async def test_a_stream_without_its_own_end_is_broken_even_if_the_connection_ended_well() -> None:
    truncated = with_events(stream(), *stream().parts[:3])
    sink = await handle(gateway([], ScriptedProvider(truncated)), exchange(stream=True))
    assert (sink.finished, sink.aborted) == (0, 1)


async def test_a_refusal_by_a_chunk_hook_ends_the_stream_with_that_error() -> None:
    def refuse(exchange, chunk):
        if b"there" in chunk.data:
            raise PermissionDenied("Not that word.", code="bad_word")

    one = exchange(stream=True)
    sink = await handle(gateway([plugin("guard", on_stream_chunk=refuse)], ScriptedProvider(stream())), one)
    assert b"bad_word" in sink.pieces[-1]
    assert b" how" not in sink.body
    assert sink.aborted == 1
    assert one.outcome is not None
    assert one.outcome.kind == "refused"


async def test_end_stream_ends_cleanly_in_the_clients_dialect() -> None:
    def stop(exchange, chunk):
        if b"there" in chunk.data:
            exchange.end_stream("length")

    provider = ScriptedProvider(stream())
    one = exchange(stream=True)
    sink = await handle(gateway([plugin("budget", on_stream_chunk=stop)], provider), one)
    assert sink.body.endswith(b"data: [DONE]\n\n")
    assert b'"finish_reason":"length"' in sink.body.replace(b" ", b"")
    assert b"you?" not in sink.body
    assert (sink.finished, sink.aborted) == (1, 0)
    assert provider.requests[0].closed_by_client.is_set()


@pytest.mark.virtual_time
async def test_end_stream_is_heard_while_the_upstream_is_silent() -> None:
    async def cut_later(exchange) -> None:
        async def later() -> None:
            await asyncio.sleep(30)
            exchange.end_stream("stop")

        tasks.append(asyncio.ensure_future(later()))

    tasks: list[asyncio.Task[None]] = []
    script = stream().paced(3600)
    loop = asyncio.get_running_loop()
    sink = await handle(
        gateway([plugin("budget", pre_request=cut_later)], ScriptedProvider(script), idle_timeout=7200),
        exchange(stream=True),
    )
    assert loop.time() < 60
    assert sink.finished == 1
    assert sink.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.virtual_time
async def test_the_gate_opens_after_commit_timeout() -> None:
    script = stream().paced(60)
    started: list[float] = []
    loop = asyncio.get_running_loop()
    layers = [plugin("retries", on_error=lambda exchange, error: Retry())]
    sink = ListSink(on_send=lambda data: started.append(loop.time()))
    await handle(gateway(layers, ScriptedProvider(script), commit_timeout=5), exchange(stream=True), sink)
    assert started[0] == pytest.approx(5, abs=0.1)
    assert sink.body == script.body


@pytest.mark.virtual_time
async def test_ticks_reach_only_those_who_asked_and_may_emit() -> None:
    kinds: list[str] = []

    def beat(exchange, chunk):
        return [Chunk(b": beat\n\n")] if chunk.kind == "tick" else None

    layers = [
        plugin("outer", on_stream_chunk=lambda exchange, chunk: kinds.append(chunk.kind)),
        plugin("heart", tick=10, on_stream_chunk=beat),
    ]
    script = stream("Hi").paced(25)
    sink = await handle(gateway(layers, ScriptedProvider(script), idle_timeout=600), exchange(stream=True))
    assert sink.body.count(b": beat") >= 4
    assert sink.body.replace(b": beat\n\n", b"") == script.body
    assert "tick" not in kinds


async def test_an_early_answer_that_streams_passes_the_outer_layers_chunk_hooks() -> None:
    script = stream("Hello")

    async def replay():
        for part in script.parts:
            yield part

    async def hit(exchange):
        return Response(200, Headers({"content-type": "text/event-stream"}), None, replay())

    layers = [
        plugin("outer", on_stream_chunk=replace_text(b"Hello", b"Howdy")),
        plugin("cache", pre_request=hit, on_stream_chunk=replace_text(b"Hello", b"never")),
    ]
    sink = await handle(gateway(layers, ScriptedProvider()), exchange(stream=True))
    assert b"Howdy" in sink.body
    assert b"never" not in sink.body
    assert sink.finished == 1


async def test_a_client_that_leaves_cancels_the_upstream_and_everyone_is_told_once() -> None:
    finished: list[str] = []
    layers = [
        plugin(name, on_finish=lambda exchange, name=name: finished.append((name, exchange.outcome.kind)))
        for name in "ab"
    ]
    provider = ScriptedProvider(stream().paced(10))
    one = exchange(stream=True)
    sink = ListSink()
    running = gateway(layers, provider)
    task = asyncio.ensure_future(running.pipeline.handle(one, sink))

    def leave(data: bytes) -> None:
        sink.disconnected = True
        task.cancel()

    sink.on_send = leave
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished == [("b", "client_disconnected"), ("a", "client_disconnected")]
    assert provider.requests[0].closed_by_client.is_set()
    assert one.attempts[0].ended_at is not None


async def test_a_bad_word_in_a_log_is_not_a_cut_stream() -> None:
    """A provider's own error event after content passes as it is, once, and the outcome says so."""
    news: list[Any] = []
    told = plugin(
        "told",
        on_error=lambda exchange, error: news.append(error.code),
        on_attempt=lambda exchange, attempt: news.append(attempt.error),
    )
    one = exchange(stream=True)
    script = with_events(stream(), *stream().parts[:3], openai_chat.error_event())
    sink = await handle(gateway([told], ScriptedProvider(script)), one)
    assert sink.body == script.body
    assert one.outcome is not None
    assert one.outcome.kind == "upstream_error"
    assert news == ["upstream_stream_error", one.error], "the attempt failed, however it began"
    assert one.attempts[0].error is one.error is not None


async def test_an_error_event_is_the_attempts_error_also_where_the_client_leaves_then() -> None:
    """SDKs close the connection at once, and the provider may keep its own open."""

    def leave(data: bytes) -> None:
        if b'"error"' in data:
            sink.disconnected = True
            task.cancel()

    one, sink = exchange(stream=True), ListSink(leave)
    script = with_events(stream(), *stream().parts[:3], openai_chat.error_event(), b": still here\n\n")
    running = gateway([], ScriptedProvider(script.paced(0.001)))
    task = asyncio.ensure_future(running.pipeline.handle(one, sink))
    await asyncio.wait({task})
    await running.stop()
    assert isinstance(one.attempts[0].error, UpstreamStreamError)


async def test_a_cancellation_while_finishing_still_tells_every_layer() -> None:
    """A server that gives up during the last steps must not cost a log row."""
    finished: list[str] = []
    task: asyncio.Task[None]

    async def slow(exchange) -> None:
        finished.append("inner")
        task.cancel()
        await asyncio.sleep(0.01)

    layers = [plugin("outer", on_finish=lambda exchange: finished.append("outer")), plugin("inner", on_finish=slow)]
    running = gateway(layers, ScriptedProvider(openai_chat.reply("Hello!")))
    task = asyncio.ensure_future(handle(running, exchange()))
    with pytest.raises(asyncio.CancelledError):
        await task
    await running.stop()
    assert finished == ["inner", "outer"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancellation_at_any_moment_still_tells_every_layer_once(stream: bool) -> None:
    for steps in range(60):
        finished: list[str] = []
        names = ("outer", "middle", "inner")
        layers = [
            plugin(name, on_finish=lambda exchange, name=name, finished=finished: finished.append(name))
            for name in names
        ]
        running = gateway(layers, ScriptedProvider(openai_chat.answer("Hello!")))
        task = asyncio.ensure_future(handle(running, exchange(stream=stream)))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        await running.stop()
        assert finished in (["inner", "middle", "outer"], []), steps
        if steps > 3:
            assert finished, steps


async def test_a_client_that_stops_at_the_end_of_the_dialect_has_everything() -> None:
    """An SDK may close on the last event; the upstream's own end, a moment later, is none of its business."""
    script = stream()
    sink = ListSink()
    one = exchange(stream=True)
    running = gateway([], ScriptedProvider(with_events(script, *script.parts).paced(0.01)))
    task = asyncio.ensure_future(running.pipeline.handle(one, sink))

    def leave(data: bytes) -> None:
        if b"[DONE]" in data:
            asyncio.get_running_loop().call_soon(gone)

    def gone() -> None:
        sink.disconnected = True
        task.cancel()

    sink.on_send = leave
    await asyncio.wait({task})
    assert one.outcome is not None
    assert one.outcome.kind == "ok"
    assert sink.body == script.body


@pytest.mark.parametrize("how", ["cut", "left"])
async def test_the_output_of_an_interrupted_anthropic_stream_is_what_came(how: str) -> None:
    script = anthropic.stream(("one", " two", " three"))
    one = exchange(stream=True, dialect="anthropic", operation="messages", path="/v1/messages")
    sink = ListSink()
    running = gateway([], ScriptedProvider(script.cut(events=4) if how == "cut" else script.paced(0.01)))
    task = asyncio.ensure_future(running.pipeline.handle(one, sink))

    def leave(data: bytes) -> None:
        if how == "left" and b"content_block_delta" in data:
            sink.disconnected = True
            task.cancel()

    sink.on_send = leave
    await asyncio.wait({task})
    assert one.usage is not None
    assert (one.usage.input_tokens, one.usage.output_tokens, one.usage.estimated) == (12, 1, True)


async def test_json_lines_are_streamed_and_not_taken_for_one_value() -> None:
    lines = of_bytes(b'{"n": 1}\n{"n": 2}\n', "application/x-ndjson").framed("chunked").dripped(9, every=0.01)
    sink = await handle(gateway([], ScriptedProvider(lines)), exchange())
    assert sink.pieces == [b'{"n": 1}\n', b'{"n": 2}\n']


@pytest.mark.parametrize(("status", "length"), [(204, None), (304, "500")])
async def test_an_answer_without_a_body_keeps_its_own_length(status: int, length: str | None) -> None:
    script = dataclasses.replace(
        of_bytes(b"", "application/json", status),
        headers=(("Content-Type", "application/json"), *((("Content-Length", length),) if length else ())),
    )
    sink = await handle(gateway([], ScriptedProvider(script)), exchange())
    assert sink.status == status
    assert sink.headers.get("content-length") == length
