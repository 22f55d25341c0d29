"""The rules of the onion over random plugins: what really happened equals a reference written as nested calls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onion import A, B, C, exchange, gateway, handle, plugin

from helicone_gw import Fallback, PermissionDenied, Response, Retry, Route
from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import openai_chat

MAX_ATTEMPTS = 6
TARGETS = (A, B, C)

SIMPLE = st.sampled_from(["none", "none", "none", "refuse", "fault", "respond"])
ON_ERROR = st.sampled_from(["absent", "none", "none", "respond", "refuse", "fault", "retry", "fallback"])


@dataclass(frozen=True)
class Layer:
    """What one plugin does in each hook."""

    pre_request: str
    on_response: str
    on_error: str
    closed: bool
    plain: bool = False
    """Whether it says at once what it has to say."""


LAYERS = st.lists(
    st.builds(
        Layer, pre_request=SIMPLE, on_response=SIMPLE, on_error=ON_ERROR, closed=st.booleans(), plain=st.booleans()
    ),
    min_size=0,
    max_size=5,
)
ATTEMPTS = st.lists(st.sampled_from(["ok", "fail"]), min_size=MAX_ATTEMPTS, max_size=MAX_ATTEMPTS)


class Refused(Exception):
    """The reference's error: from which layer, and whether an attempt failed with it."""


class Reference:
    """DESIGN's sentence "errors bubble like exceptions in nested calls", as nested calls."""

    def __init__(self, layers: list[Layer], attempts: list[str], streamed: bool) -> None:
        self.layers, self.attempts, self.streamed = layers, attempts, streamed
        self.trace: list[str] = []
        self.made = 0
        self.entered = 0

    def run(self) -> tuple[str, list[str]]:
        try:
            outcome = self.layer(0)
        except Refused:
            outcome = "error"
        self.trace += [f"{index}.on_finish" for index in reversed(range(self.entered))]
        return outcome, self.trace

    def layer(self, index: int) -> str:
        if index == len(self.layers):
            return self.core()
        self.entered = index + 1
        layer = self.layers[index]
        self.trace.append(f"{index}.pre_request")
        match self.act(layer, layer.pre_request):
            case "refuse":
                raise Refused
            case "respond":
                return f"pre_request of {index}"
        try:
            answer = self.layer(index + 1)
        except Rescued as rescued:
            if rescued.layer == index:
                return rescued.answer
            if rescued.layer > index:
                return self.up(index, rescued.answer)
            raise
        except Settled:
            raise
        except Refused:
            return self.error(index)
        return self.up(index, answer)

    def up(self, index: int, answer: str) -> str:
        layer = self.layers[index]
        self.trace.append(f"{index}.on_response")
        if answer == "stream":
            return answer
        match self.act(layer, layer.on_response):
            case "refuse":
                raise Refused
            case "respond":
                return f"on_response of {index}"
        return answer

    def error(self, index: int) -> str:
        layer = self.layers[index]
        if layer.on_error == "absent":
            raise Refused
        self.trace.append(f"{index}.on_error")
        match self.act(layer, layer.on_error):
            case "respond":
                return f"on_error of {index}"
        raise Refused

    def act(self, layer: Layer, behaviour: str) -> str:
        if behaviour == "fault":
            return "refuse" if layer.closed else "none"
        return behaviour

    def core(self) -> str:
        target, tried = 0, {0}
        while True:
            result = self.attempts[self.made]
            self.made += 1
            if result == "ok":
                return "stream" if self.streamed else "answer"
            decision = self.ask(tried)
            if decision == "fallback":
                target = min(set(range(len(TARGETS))) - tried)
                tried.add(target)

    def ask(self, tried: set[int]) -> str:
        attempt_failed = True
        for index in reversed(range(len(self.layers))):
            layer = self.layers[index]
            if layer.on_error == "absent":
                continue
            self.trace.append(f"{index}.on_error")
            match self.act(layer, layer.on_error):
                case "refuse":
                    attempt_failed = False
                case "respond":
                    raise Rescued(index, f"on_error of {index}")
                case "retry" if attempt_failed and self.made < MAX_ATTEMPTS:
                    return "retry"
                case "fallback" if attempt_failed and self.made < MAX_ATTEMPTS and len(tried) < len(TARGETS):
                    return "fallback"
        raise Settled


class Rescued(Exception):
    """``on_error`` of ``layer`` answered a failed attempt."""

    def __init__(self, layer: int, answer: str) -> None:
        self.layer, self.answer = layer, answer


class Settled(Refused):
    """A failed attempt that nobody rescued: every layer was asked already."""


def build(layers: list[Layer], trace: list[str]):
    plugins = []
    for index, layer in enumerate(layers):

        def behave(behaviour: str, hook: str, index: int = index):
            def function(exchange, *arguments):
                trace.append(f"{index}.{hook}")
                match behaviour:
                    case "refuse":
                        raise PermissionDenied("No.")
                    case "fault":
                        raise KeyError("bug")
                    case "respond":
                        return Response.of_json(f"{hook} of {index}")
                    case "retry":
                        return Retry()
                    case "fallback":
                        return Fallback()
                return None

            return function

        hooks = {
            "pre_request": behave(layer.pre_request, "pre_request"),
            "on_response": behave(layer.on_response, "on_response"),
            "on_finish": behave("none", "on_finish"),
        }
        if layer.on_error != "absent":
            hooks["on_error"] = behave(layer.on_error, "on_error")
        on_failure = "closed" if layer.closed else "open"
        plugins.append(plugin(str(index), on_failure=on_failure, plain=layer.plain, **hooks))
    if plugins:
        # Routing is no layer of its own here: the outermost plugin gets it.
        type(plugins[0]).route_model = type(plugin("r", route_model=lambda exchange: Route(TARGETS))).route_model
    return plugins


@settings(max_examples=2 * settings.default.max_examples, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(layers=LAYERS, attempts=ATTEMPTS, streamed=st.booleans())
@example(
    layers=[Layer("none", "none", "fallback", True), Layer("none", "none", "retry", True)],
    attempts=["fail"] * 6,
    streamed=False,
)
def test_what_happens_is_what_nested_calls_would_do(layers: list[Layer], attempts: list[str], streamed: bool) -> None:
    expected, expected_trace = Reference(layers, attempts, streamed).run()
    trace: list[str] = []

    async def run():
        scripts = {
            "ok": openai_chat.stream("Hello", include_usage=False) if streamed else openai_chat.reply("Hello"),
            "fail": openai_chat.error(500, "oops"),
        }
        if layers:
            provider = ScriptedProvider(*(scripts[attempt] for attempt in attempts))
        else:
            provider = ScriptedProvider(scripts[attempts[0]])
        running = gateway(build(layers, trace), provider, max_attempts=MAX_ATTEMPTS)
        one = exchange(stream=streamed)
        sink = await handle(running, one)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await running.stop()
        return one, sink, left

    one, sink, left = asyncio.run(run())
    assert trace == expected_trace
    assert (sink.finished, sink.aborted) == (1, 0)
    assert one.outcome is not None
    if expected == "error":
        assert sink.status in (403, 500)
        assert one.outcome.kind in ("refused", "internal_error", "upstream_error")
    else:
        assert sink.status == 200
        assert one.outcome.kind == "ok"
        if expected not in ("answer", "stream"):
            assert sink.body == f'"{expected}"'.encode()
    assert all(attempt.ended_at is not None for attempt in one.attempts)
    assert left == []
