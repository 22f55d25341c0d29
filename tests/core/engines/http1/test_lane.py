"""The lane: what takes too long or is too much, and how all of it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from contextlib import AsyncExitStack

import pytest
from structlog.testing import capture_logs

from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.engines.http1.cycle import Cycle
from helicone_gw.engines.http1.limits import Limits
from tests.core.engines.http1.serving import HELLO, echo, reply, serving, statuses, until

SHORT = 0.05


async def test_an_idle_connection_is_closed() -> None:
    async with serving(echo, Limits(keep_alive=SHORT)) as served, served.client() as client:
        await client.send(HELLO)
        assert (await client.answer()).status == 200
        assert await client.closed()
        assert served.lane.counters.idle_timeouts == 1
        assert not served.lane.connections


async def test_a_connection_that_never_asks_is_closed() -> None:
    async with serving(echo, Limits(header_timeout=SHORT)) as served, served.client() as client:
        assert await client.closed()
        assert served.lane.counters.header_timeouts == 1


async def test_a_head_that_trickles_in_is_cut_off() -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.002)

    for begun in (b"", HELLO):
        async with serving(echo, Limits(header_timeout=0.4, linger=SHORT)) as served, served.client() as client:
            if begun:
                await client.send(begun)
                assert (await client.answer()).status == 200
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
            trickling = asyncio.ensure_future(trickle(client.writer))
            assert (await client.answer()).status == 408
            assert await client.closed()
            trickling.cancel()
            assert served.lane.counters.header_timeouts == 1


async def test_half_of_an_http_2_preface_is_cut_off_too() -> None:
    async with serving(echo, Limits(header_timeout=SHORT)) as served, served.client() as client:
        await client.send(b"PRI * HTTP/2.0\r\n")
        assert await client.closed()
        assert served.handed_over == []


async def test_a_body_and_an_answer_may_take_longer_than_a_head() -> None:
    half = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["more_body"]
        await asyncio.sleep(4 * SHORT)
        half.set()
        assert not (await receive())["more_body"]
        await asyncio.sleep(4 * SHORT)
        await reply(send, b"ok")

    limits = Limits(header_timeout=SHORT, keep_alive=SHORT, stall=SHORT, linger=SHORT)
    async with serving(app, limits) as served, served.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
        await half.wait()
        await client.send(b"b")
        assert (await client.answer()).body == b"ok"


async def test_a_client_that_takes_nothing_is_broken_off() -> None:
    left = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(500):
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
        left.set()

    async with serving(app, Limits(stall=SHORT)) as served, served.client(limit=1000) as client:
        await client.send(HELLO)
        await left.wait()
        assert served.lane.counters.stalls == 1
        with contextlib.suppress(ConnectionError):
            assert len(await client.rest()) < 50_000_000


async def test_an_answer_that_nobody_takes_does_not_keep_its_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, bytes(20_000_000))

    async with serving(app, Limits(stall=SHORT, keep_alive=SHORT)) as served, served.client(limit=1000) as client:
        await client.send(HELLO)
        await until(lambda: served.lane.counters.requests == 1 and not served.lane.connections)
        assert served.lane.counters.stalls == 1
        with contextlib.suppress(ConnectionError):
            assert len(await client.rest()) < 20_000_000


async def test_the_next_request_waits_until_an_answer_is_taken() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, bytes(10_000_000))

    async with serving(app) as served, served.client(limit=64 * 1024) as client:
        await client.send(HELLO * 20)
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert served.lane.counters.requests < 5
        for _ in range(20):
            assert len((await client.answer()).body) == 10_000_000
        assert served.lane.counters.requests == 20


async def test_answers_that_nobody_takes_are_not_heaped_up() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, bytes(10_000_000))

    async with serving(app) as served, served.client(limit=64 * 1024) as client:
        for _ in range(5):
            await client.send(HELLO)  # each when the one before was answered, as far as the server is concerned
            for _ in range(20):
                await asyncio.sleep(0.001)
        assert served.lane.counters.requests == 1
        for _ in range(5):
            assert len((await client.answer()).body) == 10_000_000


@pytest.mark.parametrize("last", [False, True])
async def test_an_answer_may_be_taken_slowly(last: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, bytes(10_000_000), fields={b"connection": b"close"} if last else None)

    limits = Limits()
    async with serving(app, limits) as served, served.client(limit=1000) as client:
        await client.send(HELLO)
        await until(lambda: any(each.output.paused for each in served.lane.connections))
        (connection,) = served.lane.connections
        await client.reader.readuntil(b"\r\n\r\n")
        now = asyncio.get_running_loop().time()
        for _ in range(10):
            await client.reader.readexactly(1_000_000)
            await until(lambda now=now: connection.output.stalled_for(now) in (0, None))  # type: ignore[misc]
            if connection.output.stalled_for(now) is not None:
                now += max(limits.keep_alive, limits.stall) - 1
                connection.check(now)
        assert served.lane.counters.stalls == 0


async def test_connections_past_the_bound_are_turned_away() -> None:
    async with serving(echo, Limits(connections=3)) as served, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(served.client()) for _ in range(3)]
        for client in clients:
            await client.send(HELLO)
            assert (await client.answer()).status == 200
        assert statuses(await served.exchange(HELLO)) == [503]
        assert served.lane.counters.turned_away == 1
        clients[0].writer.close()
        await until(lambda: len(served.lane.connections) == 2)
        async with served.client() as client:
            await client.send(HELLO)
            assert (await client.answer()).status == 200


async def test_connections_that_were_handed_over_count() -> None:
    async with serving(echo, Limits(connections=3)) as served:
        served.lane._others = lambda: 3
        assert statuses(await served.exchange(HELLO)) == [503]


async def test_connections_that_come_too_late_are_turned_away() -> None:
    async with serving(echo, Limits(linger=SHORT)) as served:
        await served.lane.stop(0)
        assert statuses(await served.exchange(HELLO)) == [503]


async def test_a_request_leaves_nothing_to_the_garbage_collector() -> None:
    async with serving(echo) as served, served.client() as client:
        await client.send(HELLO)
        await client.answer()
        gc.collect()
        gc.disable()
        try:
            for _ in range(50):
                await client.send(HELLO)
                await client.answer()
            assert gc.collect() < 50
        finally:
            gc.enable()


async def test_a_stop_cancels_what_does_not_end() -> None:
    ended: list[str] = []
    started = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with capture_logs() as logs:
        async with serving(app, drain=0.02) as served, served.client() as client:
            await client.send(HELLO)
            await started.wait()
            await served.lane.stop(0.02)
            assert await client.closed()
            assert not served.lane.connections
            assert not served.lane.cycles
    assert ended == ["cancelled"]
    assert logs == []


async def test_a_stop_waits_for_a_call_whose_client_has_left() -> None:
    started, release, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        await release.wait()
        ended.set()

    async with serving(app) as served:
        async with served.client() as client:
            await client.send(HELLO)
            await started.wait()
        await until(lambda: not served.lane.connections)
        stopping = asyncio.ensure_future(served.lane.stop(20))
        await asyncio.sleep(0)
        release.set()
        await stopping
        assert ended.is_set()


async def test_a_request_that_waits_is_not_begun_after_a_stop() -> None:
    release = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()
        await reply(send, b"ok")

    async with serving(app, Limits(linger=SHORT)) as served, served.client() as client:
        await client.send(HELLO * 3)
        await until(lambda: served.lane.counters.requests == 1)
        stopping = asyncio.ensure_future(served.lane.stop(20))
        await asyncio.sleep(0)
        release.set()
        answer = await client.answer()
        assert (answer.body, answer.fields[b"connection"]) == (b"ok", b"close")
        assert await client.closed()
        await stopping
        assert served.lane.counters.requests == 1


async def test_who_asks_hears_of_answers() -> None:
    heard: list[tuple[str, int]] = []

    def access(cycle: Cycle) -> None:
        assert cycle.answer is not None
        heard.append((cycle.scope["path"], cycle.answer.status))

    async with serving(echo) as served, served.client() as client:
        served.lane.access = access
        await client.send(HELLO)
        await client.answer()
    assert heard == [("/", 200)]
