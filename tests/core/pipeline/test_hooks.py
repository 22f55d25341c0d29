"""Calling hooks: what a value, a refusal, a fault and a timeout amount to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from helicone_gw import (
    Chunk,
    Exchange,
    Headers,
    PermissionDenied,
    PluginFault,
    Request,
    StoreUnavailable,
    Unavailable,
)
from helicone_gw.chain import Hook
from helicone_gw.helicone import EMPTY
from helicone_gw.pipeline.hooks import HookCaller, Raised
from helicone_gw.testing import VirtualClock

EVENT, END, TICK = Chunk(b"data: 1\n\n"), Chunk(b"", "end"), Chunk(b"", "tick")


@pytest.fixture
def exchange() -> Exchange:
    return Exchange("id", Request("POST", "/", "", Headers(), b"{}", "openai", "chat", EMPTY), 0.0)


def hook(
    call: Callable[..., Any],
    *,
    closed: bool = True,
    timeout: float | None = None,
    index: int = 3,
    at_once: bool = False,
) -> Hook:
    return Hook("on_x", index, f"plugin {index}", call, closed, timeout, None, at_once=at_once)


async def test_the_hooks_value_and_arguments(exchange: Exchange) -> None:
    async def both(exchange: Exchange, thing: int) -> tuple[int, int]:
        return exchange._layer, thing

    assert await HookCaller().call(hook(both), exchange, 7) == (3, 7)


@pytest.mark.parametrize("closed", [True, False])
async def test_a_refusal_travels_whatever_the_failure_mode(exchange: Exchange, closed: bool) -> None:
    async def refuse(exchange: Exchange) -> None:
        raise PermissionDenied("no")

    caller = HookCaller()
    with pytest.raises(Raised) as raised:
        await caller.call(hook(refuse, closed=closed), exchange)
    assert isinstance(raised.value.error, PermissionDenied)
    assert raised.value.layer == 3
    assert caller.faults == {}


async def test_a_fault_is_logged_and_counted_and_open_means_no_opinion(exchange: Exchange) -> None:
    async def fail(exchange: Exchange) -> None:
        raise KeyError("wrong")

    caller = HookCaller()
    with capture_logs() as logs:
        assert await caller.call(hook(fail, closed=False), exchange) is None
        with pytest.raises(Raised) as raised:
            await caller.call(hook(fail), exchange)
        await caller.tell(hook(fail), exchange)
    assert isinstance(raised.value.error, PluginFault)
    assert (raised.value.error.plugin, raised.value.error.hook) == ("plugin 3", "on_x")
    assert "wrong" not in raised.value.error.message
    assert caller.faults == {("plugin 3", "on_x"): 3}
    assert {(entry["plugin"], entry["hook"], entry["fault"]) for entry in logs} == {("plugin 3", "on_x", "KeyError")}


async def test_a_plain_hook_speaks_at_once_or_lets_itself_be_waited_for(exchange: Exchange) -> None:
    async def later(thing: int) -> int:
        return thing

    def sometimes(exchange: Exchange, thing: int) -> int | Awaitable[int]:
        return thing if thing > 0 else later(thing)

    caller, plain = HookCaller(), hook(sometimes, at_once=True)
    assert caller.begin(plain, exchange, 7) == 7
    assert await caller.begin(plain, exchange, -7) == -7
    assert [await caller.call(plain, exchange, thing) for thing in (7, -7)] == [7, -7]
    for thing in (7, -7):
        await caller.tell(plain, exchange, thing)
    assert caller.faults == {}


@pytest.mark.parametrize("waits", [True, False])
async def test_what_a_plain_hook_raises_is_what_another_would(exchange: Exchange, waits: bool) -> None:
    async def later(error: Exception) -> None:
        raise error

    def fail(exchange: Exchange, error: Exception) -> Awaitable[None] | None:
        if waits:
            return later(error)
        raise error

    caller = HookCaller()
    with pytest.raises(Raised) as refused:
        await caller.call(hook(fail, at_once=True), exchange, PermissionDenied("no"))
    assert isinstance(refused.value.error, PermissionDenied)
    with pytest.raises(Raised) as broken:
        await caller.call(hook(fail, at_once=True), exchange, KeyError("wrong"))
    assert isinstance(broken.value.error, PluginFault)
    assert await caller.call(hook(fail, closed=False, at_once=True), exchange, KeyError("wrong")) is None
    await caller.tell(hook(fail, at_once=True), exchange, KeyError("wrong"))
    assert caller.faults == {("plugin 3", "on_x"): 3}


async def test_what_a_plain_hook_waits_for_has_its_time(exchange: Exchange) -> None:
    caller = HookCaller()
    slow = hook(lambda exchange: asyncio.sleep(60), closed=False, at_once=True, timeout=0.001)
    assert await caller.call(slow, exchange) is None
    assert caller.faults == {("plugin 3", "on_x"): 1}


async def away(exchange: Exchange) -> None:
    raise StoreUnavailable("away", retry_after=1.5)


async def test_without_the_store_a_plugin_that_fails_open_has_no_opinion(exchange: Exchange) -> None:
    caller = HookCaller(VirtualClock())
    assert await caller.call(hook(away, closed=False), exchange) is None
    assert caller.faults == {("plugin 3", "on_x"): 1}


async def test_without_the_store_a_plugin_that_fails_closed_answers_503(exchange: Exchange) -> None:
    with pytest.raises(Raised) as raised:
        await HookCaller(VirtualClock()).call(hook(away), exchange)
    error = raised.value.error
    assert isinstance(error, Unavailable)
    assert (error.status, error.code, raised.value.layer) == (503, "store_unavailable", 3)
    assert error.headers == {"Retry-After": "2"}
    assert "shared store cannot be reached" in error.message
    assert "'plugin 3'" in error.message


async def test_the_store_s_absence_is_told_once_per_plugin_and_window(exchange: Exchange) -> None:
    clock = VirtualClock()
    caller = HookCaller(clock)
    with capture_logs() as logs:
        for _ in range(4):
            for _ in range(10):
                await caller.call(hook(away, closed=False), exchange)
                await caller.tell(hook(away, closed=False, index=4), exchange)
            clock.advance(0.5)
    assert [(entry["log_level"], entry["plugin"]) for entry in logs] == 2 * [
        ("warning", "plugin 3"),
        ("warning", "plugin 4"),
    ]
    assert not any("exc_info" in entry for entry in logs), "a traceback of an outage says nothing"
    assert caller.faults == {("plugin 3", "on_x"): 40, ("plugin 4", "on_x"): 40}, "each is counted"


def test_a_check_before_commit_without_the_store_is_told_and_answered_as_a_hook_is(exchange: Exchange) -> None:
    clock = VirtualClock()
    caller = HookCaller(clock)
    away = StoreUnavailable("away", retry_after=1.5)
    with capture_logs() as logs:
        for _ in range(4):
            with pytest.raises(Raised) as raised:
                caller.check_failed("plugin 3", 3, exchange, away, closed=True)
            caller.check_failed("plugin 4", 4, exchange, away, closed=False)
            clock.advance(0.5)
    error = raised.value.error
    assert (error.status, error.code, raised.value.layer) == (503, "store_unavailable", 3)
    assert error.headers == {"Retry-After": "2"}
    assert [(entry["plugin"], entry["hook"]) for entry in logs] == 2 * [
        ("plugin 3", "before_commit"),
        ("plugin 4", "before_commit"),
    ]
    assert caller.faults == {("plugin 3", "before_commit"): 4, ("plugin 4", "before_commit"): 4}


def test_a_check_before_commit_that_fails_otherwise_tells_its_fault_to_the_log_alone(exchange: Exchange) -> None:
    caller = HookCaller(VirtualClock())
    with capture_logs() as logs, pytest.raises(Raised) as raised:
        caller.check_failed("plugin 3", 3, exchange, KeyError("a secret"), closed=True)
    assert (raised.value.error.status, raised.value.error.code) == (503, Unavailable("x").code)
    assert "secret" not in raised.value.error.message
    assert (logs[0]["fault"], logs[0]["mode"]) == ("KeyError", "closed")
    assert logs[0]["request_id"] == exchange.request_id


@pytest.mark.virtual_time
@pytest.mark.parametrize("how", ["call", "tell"])
async def test_a_hook_that_takes_too_long_is_a_fault(exchange: Exchange, how: str) -> None:
    async def dawdle(exchange: Exchange) -> str:
        await asyncio.sleep(60)
        return "late"

    caller = HookCaller()
    with capture_logs():
        assert await getattr(caller, how)(hook(dawdle, closed=False, timeout=2), exchange) is None
    assert caller.faults == {("plugin 3", "on_x"): 1}
    assert asyncio.get_running_loop().time() == pytest.approx(2)


async def test_being_told_never_raises_but_a_cancellation_passes(exchange: Exchange) -> None:
    async def refuse(exchange: Exchange) -> None:
        raise PermissionDenied("too late")

    async def cancelled(exchange: Exchange) -> None:
        raise asyncio.CancelledError

    caller = HookCaller()
    with capture_logs():
        await caller.tell(hook(refuse), exchange)
    for how in (caller.tell, caller.call):
        with pytest.raises(asyncio.CancelledError):
            await how(hook(cancelled, closed=False), exchange)


def test_a_plain_function_that_hides_an_asynchronous_one_is_a_fault(exchange: Exchange) -> None:
    async def waiting(exchange: Exchange) -> None:
        raise AssertionError("nobody runs it")

    caller = HookCaller()
    caller.tell_plainly(hook(lambda exchange: waiting(exchange)), exchange)
    assert caller.faults == {("plugin 3", "on_x"): 1}


def of(*values: Any) -> Callable[..., Any]:
    """A chunk hook that answers an event with these chunks."""
    return lambda exchange, chunk: values if chunk.kind == "event" else None


def chunks(exchange: Exchange, chunk: Chunk, *calls: Callable[..., Any], closed: bool = True) -> list[Chunk]:
    hooks = [hook(call, closed=closed, index=len(calls) - number) for number, call in enumerate(calls)]
    return HookCaller().chunk(hooks, exchange, chunk)


def test_chunks_multiply_vanish_and_pass(exchange: Exchange) -> None:
    a, b = Chunk(b"a"), Chunk(b"b")
    assert chunks(exchange, EVENT) == [EVENT]
    assert chunks(exchange, EVENT, lambda exchange, chunk: None) == [EVENT]
    assert chunks(exchange, EVENT, lambda exchange, chunk: a) == [a]
    assert chunks(exchange, EVENT, of(a, b), lambda exchange, chunk: [chunk, chunk]) == [a, a, b, b]
    assert chunks(exchange, EVENT, of(), lambda exchange, chunk: pytest.fail("nothing was left")) == []
    assert chunks(exchange, EVENT, lambda exchange, chunk: [a]) == [a]


def test_the_end_arrives_at_everybody_whatever_is_done_with_it(exchange: Exchange) -> None:
    seen: list[str] = []

    def flush(exchange: Exchange, chunk: Chunk) -> Any:
        return [Chunk(b"held")] if chunk.kind == "end" else None

    def swallow(exchange: Exchange, chunk: Chunk) -> Any:
        seen.append(chunk.kind)
        return []

    def watch(exchange: Exchange, chunk: Chunk) -> None:
        seen.append(chunk.kind)

    assert [chunk.kind for chunk in chunks(exchange, END, flush, swallow, watch)] == ["end"]
    assert seen == ["event", "end", "end"]
    assert [chunk.data for chunk in chunks(exchange, END, flush)] == [b"held", b""]


def test_only_events_can_be_emitted(exchange: Exchange) -> None:
    assert chunks(exchange, EVENT, lambda exchange, chunk: [END, TICK, EVENT]) == [EVENT]


@pytest.mark.parametrize("value", ["text", b"bytes", 1, [b"bytes"], iter(())])
def test_a_value_of_the_wrong_type_is_a_fault(exchange: Exchange, value: Any) -> None:
    with capture_logs():
        with pytest.raises(Raised):
            chunks(exchange, EVENT, lambda exchange, chunk: value)
        assert chunks(exchange, EVENT, lambda exchange, chunk: value, closed=False) == [EVENT]


def test_a_refusal_in_a_chunk_hook_knows_its_layer(exchange: Exchange) -> None:
    def refuse(exchange: Exchange, chunk: Chunk) -> None:
        raise PermissionDenied("no")

    with pytest.raises(Raised) as raised:
        chunks(exchange, EVENT, of(EVENT), refuse, closed=False)
    assert raised.value.layer == 1
