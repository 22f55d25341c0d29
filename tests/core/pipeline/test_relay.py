"""A live answer on its way to the client: bytes, events, ticks, captures, torn ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import Chunk, Exchange, Headers, Request, UpstreamProtocolError, UpstreamStreamError
from helicone_gw.chain import Chain, Hook
from helicone_gw.clock import SystemClock
from helicone_gw.dialects import wire_format
from helicone_gw.headers import RawHeaders
from helicone_gw.helicone import EMPTY
from helicone_gw.pipeline.answer import Answer, LiveStream
from helicone_gw.pipeline.capture import CaptureBuffer
from helicone_gw.pipeline.hooks import HookCaller
from helicone_gw.pipeline.relay import Relay
from helicone_gw.sse import EventSplitter
from helicone_gw.testing.dialects import openai_chat

Handler = Callable[[Exchange, Chunk], Any]


class Sink:
    disconnected = False

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def start(self, status: int, headers: RawHeaders) -> None:
        raise AssertionError("a relay starts nothing")

    async def send(self, data: bytes) -> None:
        assert data, "nothing was sent"
        self.pieces.append(data)

    async def finish(self, last: bytes = b"") -> None:
        raise AssertionError("a relay does not finish its sink")

    async def abort(self) -> None:
        raise AssertionError("a relay does not abort its sink")


def chain(*handlers: Handler, ticks: Sequence[float | None] = (), capture: int = 1 << 20) -> Chain:
    """Layers whose chunk hooks are these, outermost first."""
    beats = [*ticks, *[None] * len(handlers)]
    hooks = [
        Hook("on_stream_chunk", index, f"plugin {index}", handler, True, None, beats[index])
        for index, handler in enumerate(handlers)
    ][::-1]
    none: tuple[Hook, ...] = ()
    return Chain(
        tuple(f"plugin {index}" for index in range(len(handlers))),
        *(none,) * 3,
        tuple(hooks),
        *(none,) * 3,
        tuple(hook for hook in hooks if hook.tick),
        capture,
        (),
    )


def exchange() -> Exchange:
    return Exchange("id", Request("POST", "/", "", Headers(), b"{}", "openai", "chat", EMPTY), 0.0)


async def of(*pieces: bytes, every: float = 0.0) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(every)
        yield piece


def events(source: AsyncIterator[bytes], *, read: bool = True, limit: int = 1 << 20) -> LiveStream:
    wire = wire_format("openai", "chat")
    assert wire is not None
    return LiveStream(source, True, splitter=EventSplitter(limit), reader=wire.stream_reader() if read else None)


async def run(
    live: LiveStream, *handlers: Handler, one: Exchange | None = None, **options: Any
) -> tuple[bytes, Sink, Relay]:
    layers = chain(*handlers, **options)
    sink = Sink()
    answer = Answer(200, Headers(), layers.depth, live=live)
    relay = Relay(layers, HookCaller(), SystemClock(), one or exchange(), answer)
    await relay.run(sink)
    return b"".join(sink.pieces), sink, relay


SCRIPT = openai_chat.stream(("Hel", "lo!"))


async def test_opaque_bytes_pass_piece_by_piece() -> None:
    one = exchange()
    body, sink, relay = await run(LiveStream(of(b"\x00", b"\xff\xfe"), False), one=one)
    assert sink.pieces == [b"\x00", b"\xff\xfe"]
    assert relay.capture.joined() == body
    assert one.first_chunk_at is not None


@given(st.integers(1, 300))
def test_events_pass_byte_for_byte_however_they_are_torn(size: int) -> None:
    whole = SCRIPT.body
    seen: list[bytes] = []

    def watch(exchange: Exchange, chunk: Chunk) -> None:
        seen.append(chunk.data)

    source = of(*(whole[at : at + size] for at in range(0, len(whole), size)))
    body, _, _ = asyncio.run(run(events(source), watch))
    assert body == whole
    assert seen == [*SCRIPT.parts, b""]


async def test_the_first_content_is_timed_and_no_preamble_is() -> None:
    one = exchange()
    role, content, *rest = SCRIPT.parts
    times: list[float | None] = []

    def watch(exchange: Exchange, chunk: Chunk) -> None:
        times.append(exchange.first_chunk_at)

    await run(events(of(role, content, *rest)), watch, one=one)
    assert times[0] is None
    assert times[1] is not None
    assert one.first_chunk_at == times[1]


async def test_layers_inside_of_where_the_answer_comes_from_see_nothing() -> None:
    seen: list[str] = []
    layers = chain(
        lambda exchange, chunk: seen.append("outer"),
        lambda exchange, chunk: seen.append("inner"),
    )
    live = events(of(b"data: 1\n\n"), read=False)
    relay = Relay(layers, HookCaller(), SystemClock(), exchange(), Answer(200, Headers(), 1, live=live))
    await relay.run(Sink())
    assert set(seen) == {"outer"}


async def test_the_capture_is_bounded_and_knows_the_true_size() -> None:
    body, _, relay = await run(events(of(SCRIPT.body)), capture=20)
    assert relay.capture.joined() == body[:20]
    assert relay.capture.size == len(body)


@given(st.lists(st.binary(max_size=9)), st.integers(0, 40))
def test_a_capture_keeps_the_beginning(pieces: list[bytes], limit: int) -> None:
    capture = CaptureBuffer(limit)
    for piece in pieces:
        capture.add(piece)
    whole = b"".join(pieces)
    assert capture.joined() == whole[:limit]
    assert capture.size == len(whole)
    assert capture.kept == min(limit, len(whole))


async def test_the_last_event_may_lack_its_blank_line() -> None:
    whole = SCRIPT.body.removesuffix(b"\n\n")
    body, _, _ = await run(events(of(whole)))
    assert body == whole


async def test_what_a_plugin_adds_at_the_end_does_not_melt_into_an_event_without_its_blank_line() -> None:
    def sign(exchange: Exchange, chunk: Chunk) -> Any:
        return [Chunk(b": signed\n\n")] if chunk.kind == "end" else None

    body, _, _ = await run(events(of(b"data: 1"), read=False), sign)
    assert body == b"data: 1\n\n: signed\n\n"


async def test_the_beginning_of_an_event_is_kept_back_and_the_stream_is_broken() -> None:
    sink = Sink()
    live = events(of(*SCRIPT.parts[:2], b'data: {"choi'))
    relay = Relay(chain(), HookCaller(), SystemClock(), exchange(), Answer(200, Headers(), 0, live=live))
    with pytest.raises(UpstreamProtocolError, match="cut before its end"):
        await relay.run(sink)
    assert b"".join(sink.pieces) == b"".join(SCRIPT.parts[:2])


async def test_an_event_over_the_bound_breaks_the_stream_after_those_before_it() -> None:
    sink = Sink()
    live = events(of(b"data: 1\n\ndata: " + b"x" * 200), read=False, limit=100)
    relay = Relay(chain(), HookCaller(), SystemClock(), exchange(), Answer(200, Headers(), 0, live=live))
    with pytest.raises(UpstreamProtocolError):
        await relay.run(sink)
    assert b"".join(sink.pieces) == b"data: 1\n\n"


async def test_the_providers_error_event_passes_and_is_the_exchanges_error() -> None:
    one = exchange()
    error = b'data: {"error": {"message": "overloaded", "type": "server_error"}}\n\n'
    body, _, _ = await run(events(of(*SCRIPT.parts[:2], error)), one=one)
    assert body.endswith(error)
    assert isinstance(one.error, UpstreamStreamError)
    assert one.error.event == error


@pytest.mark.virtual_time
async def test_ticks_come_on_time_however_quick_the_events_are() -> None:
    ticks: list[float] = []
    loop = asyncio.get_running_loop()

    def heart(exchange: Exchange, chunk: Chunk) -> None:
        if chunk.kind == "tick":
            ticks.append(loop.time())

    start = loop.time()
    await run(events(of(*[b"data: 1\n\n"] * 39, every=0.3), read=False), heart, ticks=[1.0])
    assert [round(at - start) for at in ticks] == list(range(1, 12))


@pytest.mark.virtual_time
async def test_each_layer_ticks_at_its_own_pace() -> None:
    seen: list[str] = []

    def layer(name: str) -> Handler:
        def handle(exchange: Exchange, chunk: Chunk) -> None:
            if chunk.kind == "tick":
                seen.append(name)

        return handle

    live = events(of(b"data: 1\n\n", every=10.5), read=False)
    await run(live, layer("slow"), layer("none"), layer("quick"), ticks=[5.0, None, 2.0])
    assert seen.count("slow") == 2
    assert seen.count("quick") == 5
    assert "none" not in seen


@pytest.mark.virtual_time
@pytest.mark.parametrize("ticks", [[], [100.0]])
async def test_a_stream_can_be_ended_while_nothing_comes(ticks: list[float]) -> None:
    one = exchange()
    asyncio.get_running_loop().call_later(5, one.end_stream, "stop")
    body, _, _ = await run(events(of(*SCRIPT.parts, every=2)), lambda exchange, chunk: None, one=one, ticks=ticks)
    assert body.startswith(b"".join(SCRIPT.parts[:2]))
    assert SCRIPT.parts[2] not in body
    assert body.endswith(b"data: [DONE]\n\n")
    assert asyncio.get_running_loop().time() == pytest.approx(5)


@pytest.mark.virtual_time
async def test_another_cancellation_is_not_taken_for_an_end() -> None:
    one = exchange()
    running = asyncio.ensure_future(run(events(of(b"data: 1\n\n", every=60)), one=one))
    await asyncio.sleep(1)
    one.end_stream("stop")
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()


async def test_what_the_client_did_not_wait_for_is_read_all_the_same() -> None:
    class Full(Sink):
        async def send(self, data: bytes) -> None:
            self.pieces.append(data)
            await asyncio.Event().wait()

    sink, layers = Full(), chain()
    live = events(of(b"".join(SCRIPT.parts)))
    relay = Relay(layers, HookCaller(), SystemClock(), exchange(), Answer(200, Headers(), layers.depth, live=live))
    running = asyncio.ensure_future(relay.run(sink))
    while not sink.pieces:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    assert not relay.delivered
    assert live.reader is not None
    assert live.reader.complete
    assert live.reader.stop_reason == "stop"
