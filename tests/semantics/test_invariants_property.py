"""Whatever plugins do in any hook, however the upstream behaves, whenever the client leaves: what must always hold."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onion import A, B, ListSink, exchange, gateway, plugin

from helicone_gw import Chunk, Fallback, PermissionDenied, Response, Retry, Route
from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import openai_chat

HOOKS = ("pre_request", "route_model", "on_attempt", "on_stream_chunk", "on_response", "on_error", "on_finish")
BEHAVIOURS = ("none", "none", "none", "refuse", "fault", "wrong", "answer", "decide", "wait")


@dataclass(frozen=True)
class Layer:
    """What a plugin does, by hook; a hook that is not there is not implemented."""

    behaviours: tuple[tuple[str, str], ...]
    closed: bool


LAYER = st.builds(
    Layer,
    behaviours=st.dictionaries(st.sampled_from(HOOKS), st.sampled_from(BEHAVIOURS)).map(lambda d: tuple(d.items())),
    closed=st.booleans(),
)
UPSTREAM = st.lists(
    st.sampled_from(["ok", "error", "error_event", "cut", "cut_early", "garbage"]), min_size=5, max_size=5
)


def act(hook: str, behaviour: str, trace: list[str], name: str):
    def decided(exchange, *arguments):
        trace.append(f"{name}.{hook}")
        match behaviour:
            case "refuse":
                raise PermissionDenied("No.")
            case "fault":
                raise KeyError("bug")
            case "wrong":
                return 42
            case "answer":
                return Chunk(b": mine\n\n") if hook == "on_stream_chunk" else Response.of_json("mine")
            case "decide":
                return [] if hook == "on_stream_chunk" else (Retry() if name == "0" else Fallback())
        return Route((A, B)) if hook == "route_model" else None

    if behaviour != "wait" or hook == "on_stream_chunk":
        return decided

    async def waiting(exchange, *arguments):
        await asyncio.sleep(0)
        return decided(exchange, *arguments)

    return waiting


def script(kind: str, streamed: bool):
    answer = openai_chat.stream(("one", "two")) if streamed else openai_chat.reply("one two")
    match kind:
        case "error":
            return openai_chat.error(503, "away")
        case "error_event" if streamed:
            return type(answer)(**{**_fields(answer), "parts": (*answer.parts[:1], openai_chat.error_event())})
        case "cut":
            return answer.cut(bytes=len(answer.body) // 2)
        case "cut_early":
            return answer.cut("before_head")
        case "garbage":
            return type(answer)(**{**_fields(answer), "parts": (b"{not json", b"\n\n")})
    return answer


def _fields(response):
    return {name: getattr(response, name) for name in response.__dataclass_fields__}


@settings(max_examples=2 * settings.default.max_examples, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    layers=st.lists(LAYER, max_size=4),
    upstream=UPSTREAM,
    streamed=st.booleans(),
    leaves_after=st.none() | st.integers(0, 40),
)
def test_what_always_holds(layers: list[Layer], upstream: list[str], streamed: bool, leaves_after: int | None) -> None:
    trace: list[str] = []

    async def run():
        plugins = [
            plugin(
                str(index),
                on_failure="closed" if layer.closed else "open",
                **{hook: act(hook, behaviour, trace, str(index)) for hook, behaviour in layer.behaviours},
                **(
                    {}
                    if "on_finish" in dict(layer.behaviours)
                    else {"on_finish": act("on_finish", "none", trace, str(index))}
                ),
            )
            for index, layer in enumerate(layers)
        ]
        provider = ScriptedProvider(*(script(kind, streamed) for kind in upstream), default=script("ok", streamed))
        running = gateway(plugins, provider, max_attempts=4)
        one, sink = exchange(stream=streamed), ListSink()
        task = asyncio.ensure_future(running.pipeline.handle(one, sink))
        for _ in range(leaves_after if leaves_after is not None else 0):
            await asyncio.sleep(0)
        # A task that is cancelled before its first step has not run at all.
        started = bool(trace) or (not layers and leaves_after != 0)
        if leaves_after is not None and not task.done():
            sink.disconnected = not (sink.finished or sink.aborted)
            task.cancel()
        await asyncio.wait({task}, timeout=20)
        assert task.done()
        await running.stop()
        left = [other for other in asyncio.all_tasks() if other is not asyncio.current_task()]
        return one, sink, provider, started, left

    one, sink, provider, started, left = asyncio.run(run())
    finished = [call.split(".")[0] for call in trace if call.endswith(".on_finish")]
    assert len(finished) == len(set(finished)), "told twice"
    assert finished == sorted(finished, reverse=True), "not innermost first"
    assert finished == [str(index) for index in reversed(range(len(finished)))], "a layer was left out"
    entered = {call.split(".")[0] for call in trace if call.endswith(".pre_request")}
    assert entered <= set(finished), "an entered layer was not told"
    assert sink.finished + sink.aborted <= 1
    assert left == []
    assert all(attempt.ended_at is not None for attempt in one.attempts)
    assert len(one.attempts) <= 4
    if started:
        assert one.outcome is not None
    if leaves_after is None:
        assert sink.finished + sink.aborted == 1
        assert one.outcome is not None
        assert one.outcome.status == sink.status
    if one.outcome is not None and one.outcome.kind == "ok" and not sink.disconnected:
        assert sink.finished == 1
    for request in provider.requests:
        assert request.closed_by_client.is_set() or request.received.is_set()
