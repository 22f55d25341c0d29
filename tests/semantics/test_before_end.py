"""What is to survive the process is kept before the client has it: `before_stream` and `before_end`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from onion import A, ListSink, exchange, gateway, handle, plugin, router

from helicone_gw import BadRequest, Exchange, Headers, Response, Usage
from helicone_gw.headers import RawHeaders
from helicone_gw.testing import ScriptedProvider, ScriptedResponse
from helicone_gw.testing.dialects import openai_chat

pytestmark = pytest.mark.virtual_time

Seen = list[tuple[Any, ...]]


class Watched(ListSink):
    """A client; what it gets is noted among what the hooks saw."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(on_send=lambda data: seen.append(("sent", data)))
        self.seen = seen

    async def start(self, status: int, headers: RawHeaders) -> None:
        self.seen.append(("head", status))
        await super().start(status, headers)

    async def finish(self, last: bytes = b"") -> None:
        await super().finish(last)
        self.seen.append(("finished",))


def watching(seen: Seen, name: str = "watcher") -> Any:
    def before_stream(one: Exchange) -> None:
        seen.append(("before_stream", one.outcome))

    def before_end(one: Exchange) -> None:
        assert one.outcome is not None
        assert one.response_capture is not None
        used = None if one.usage is None else (one.usage.input_tokens, one.usage.output_tokens)
        seen.append(("before_end", one.outcome.kind, one.outcome.status, used, one.response_capture.size))

    watcher = plugin(name, before_stream=before_stream, before_end=before_end)
    watcher.capture_bytes = 1 << 20
    return watcher


def names(seen: Seen) -> list[str]:
    return [entry[0] for entry in seen]


async def test_an_answer_is_known_before_its_head_leaves() -> None:
    seen: Seen = []
    provider = ScriptedProvider(openai_chat.answer("Hi!", usage=Usage(3, 2)))
    sink = await handle(gateway([watching(seen), router(A)], provider), exchange(), Watched(seen))
    assert names(seen) == ["before_end", "head", "sent", "finished"]
    _, kind, status, usage, size = seen[0]
    assert (kind, status, usage, size) == ("ok", 200, (3, 2), len(sink.body))


ASKED = b'{"model": "model-a", "stream": true, "stream_options": {"include_usage": true}, "messages": []}'


@pytest.mark.parametrize("asked", [False, True])
async def test_a_stream_is_announced_and_its_end_is_read_before_it_is_sent(asked: bool) -> None:
    """Also where events are sent before they are read, because the client asked for usage itself."""
    seen: Seen = []
    one = exchange(stream=True, body=ASKED) if asked else exchange(stream=True)
    script = openai_chat.stream(("Hel", "lo!"), usage=Usage(3, 2)).paced(1)
    sink = await handle(gateway([watching(seen), router(A)], ScriptedProvider(script)), one, Watched(seen))
    assert seen[0] == ("before_stream", None)
    at = names(seen).index("before_end")
    assert [name for name in names(seen) if name != "sent"] == ["before_stream", "head", "before_end", "finished"]
    assert all(b"[DONE]" not in entry[1] for entry in seen[:at] if entry[0] == "sent")
    assert len(seen[:at]) > 3  # what came before the end was relayed as it came
    assert b"[DONE]" in seen[at + 1][1]
    assert seen[at][1:] == ("ok", 200, (3, 2), len(sink.body))


async def test_a_stream_that_comes_at_once_is_known_before_its_end_leaves() -> None:
    seen: Seen = []
    provider = ScriptedProvider(openai_chat.stream(("Hel", "lo!"), usage=Usage(3, 2)))
    await handle(gateway([watching(seen), router(A)], provider), exchange(stream=True), Watched(seen))
    assert names(seen).count("before_end") == 1
    at = names(seen).index("before_end")
    assert seen[at][3] == (3, 2)
    assert all(b"[DONE]" not in entry[1] for entry in seen[:at] if entry[0] == "sent")


async def test_a_stream_that_breaks_is_known_before_the_client_hears_of_it() -> None:
    seen: Seen = []
    script = openai_chat.stream(("Hel", "lo!")).paced(1).cut(events=2)
    sink = await handle(
        gateway([watching(seen), router(A)], ScriptedProvider(script)), exchange(stream=True), Watched(seen)
    )
    assert names(seen)[-2:] == ["before_end", "sent"]
    assert seen[-2][1] == "stream_broken"
    assert sink.aborted == 1


async def test_a_refusal_and_an_early_answer_are_told_to_the_layers_that_were_entered() -> None:
    for layer in (
        plugin("refusing", pre_request=_refuse),
        plugin("answering", pre_request=lambda one: Response(200, Headers(), b"early")),
    ):
        outer: Seen = []
        inner: Seen = []
        sink = await handle(
            gateway([watching(outer), layer, watching(inner, "inside")], ScriptedProvider()), exchange()
        )
        assert names(outer) == ["before_end"]
        assert outer[0][4] == len(sink.body)
        assert inner == []


def _refuse(one: Exchange) -> None:
    raise BadRequest("no")


async def test_a_plugins_own_stream_is_searched_for_the_end_of_the_clients_dialect() -> None:
    async def stored() -> AsyncIterator[bytes]:
        for part in openai_chat.stream(("Hel", "lo!")).parts:
            yield part

    def answer(one: Exchange) -> Response:
        return Response(200, Headers({"content-type": "text/event-stream"}), stream=stored())

    seen: Seen = []
    await handle(
        gateway([watching(seen), plugin("cache", pre_request=answer)], ScriptedProvider()),
        exchange(stream=True),
        Watched(seen),
    )
    at = names(seen).index("before_end")
    assert b"[DONE]" in seen[at + 1][1]
    assert names(seen).count("before_end") == 1


async def test_of_bytes_whose_number_was_told_the_last_one_is_the_end() -> None:
    seen: Seen = []
    script = ScriptedResponse(200, (("Content-Type", "audio/mpeg"),), (b"a" * 10, b"b" * 5)).paced(1)
    one = exchange(operation="speech", path="/v1/audio/speech")
    await handle(gateway([watching(seen), router(A)], ScriptedProvider(script)), one, Watched(seen))
    assert names(seen) == ["before_stream", "head", "sent", "before_end", "sent", "finished"]


async def test_a_fault_is_counted_and_the_client_has_its_answer() -> None:
    def fail(one: Exchange) -> None:
        raise RuntimeError("broken")

    seen: Seen = []
    layers = [watching(seen), plugin("broken", before_stream=fail, before_end=fail), router(A)]
    running = gateway(layers, ScriptedProvider(openai_chat.stream(("Hi",))))
    sink = await handle(running, exchange(stream=True))
    assert b"[DONE]" in sink.body
    assert names(seen) == ["before_stream", "before_end"]
    faults = running.pipeline.services.caller.faults
    assert faults == {("broken", "before_stream"): 1, ("broken", "before_end"): 1}


async def test_a_client_that_leaves_at_the_end_is_told_of_in_the_outcome_that_is_final() -> None:
    seen: Seen = []
    sink = Watched(seen)

    def leave(data: bytes) -> None:
        sink.disconnected = True

    sink.on_send = leave
    one = exchange()
    await handle(gateway([watching(seen), router(A)], ScriptedProvider(openai_chat.answer())), one, sink)
    assert seen[0][1] == "ok"
    assert one.outcome is not None
    assert one.outcome.kind == "client_disconnected"
