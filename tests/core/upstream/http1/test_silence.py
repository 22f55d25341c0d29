"""How long each phase of a request may take, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from helicone_gw.upstream.transport import Patience
from tests.core.upstream.http1.serving import OK, turns
from tests.core.upstream.http1.wires import Line

pytestmark = pytest.mark.virtual_time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"


def now() -> float:
    return asyncio.get_running_loop().time()


async def ends_after(task: asyncio.Future[Any], seconds: float, error: type[Exception]) -> None:
    """``task`` fails with ``error`` in so many seconds, and not before."""
    start = now()
    with pytest.raises(error):
        await task
    assert now() - start == pytest.approx(seconds, abs=0.01)


async def test_the_head_has_so_long_whatever_else_comes() -> None:
    line = Line(first_byte=60)
    task = line.ask()
    for _ in range(5):
        await asyncio.sleep(10)
        line.wire.say(b"HTTP/1.1 102 Processing\r\n\r\n")
    line.wire.say(b"HTTP/1.1 200 OK\r\n")
    await ends_after(task, 10, httpx.ReadTimeout)
    assert line.wire.is_closing()
    assert line.transport.counters.open == 0


async def test_a_call_may_be_more_or_less_patient() -> None:
    line = Line(first_byte=60)
    await ends_after(line.ask(first_byte=600.0), 600, httpx.ReadTimeout)
    await ends_after(line.ask(first_byte=2.0), 2, httpx.ReadTimeout)


async def test_an_earlier_deadline_than_that_of_the_idle_connection_is_kept() -> None:
    line = Line()
    task = line.ask()
    await turns(3)
    line.wire.say(OK)
    await task
    await ends_after(line.ask(first_byte=0.5), 0.5, httpx.ReadTimeout)
    assert line.transport.counters.reused == 1


@pytest.mark.parametrize("way", ["iterated", "collected"])
async def test_between_two_pieces_there_may_be_so_much_time_and_in_all_any(way: str) -> None:
    line = Line(idle=10, first_byte=20)
    task = line.ask()
    await turns(3)
    line.wire.say(HEAD)
    reply = await task
    reading = asyncio.ensure_future(_all(reply) if way == "iterated" else reply.read(100))
    for _ in range(8):
        await asyncio.sleep(9)
        line.wire.say(b"x")
    await asyncio.sleep(9.9)
    assert not reading.done()
    await ends_after(reading, 0.1, httpx.ReadTimeout)


async def test_what_is_no_piece_of_the_body_buys_no_time() -> None:
    line = Line(idle=10)
    task = line.ask()
    await turns(3)
    line.wire.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    reading = asyncio.ensure_future(_all(await task))
    await turns(2)
    start = now()
    for _ in range(3):
        line.wire.say(b"1;e" if now() == start else b"e")
        await asyncio.sleep(3)
    await ends_after(reading, 1, httpx.ReadTimeout)


async def test_whoever_reads_slowly_is_not_timed_out() -> None:
    line = Line(idle=10)
    task = line.ask()
    await turns(3)
    line.wire.say(HEAD + b"abc")
    reply = await task
    await asyncio.sleep(1000)
    assert await anext(reply) == b"abc"
    await asyncio.sleep(1000)
    line.wire.say(b"defghi")
    assert await anext(reply) == b"defghi"


@pytest.mark.parametrize("kind", ["bytes", "stream"])
async def test_a_server_that_does_not_read_is_given_up_and_a_slow_one_is_not(kind: str) -> None:
    size = 300_000
    line = Line(idle=10, first_byte=1000)
    task = line.ask(b"x" * size if kind == "bytes" else _stream(size))
    line.transport._pool._dial = line._dial
    await turns(1)
    line.wire.reads = False
    await turns(5)
    for _ in range(20):
        await asyncio.sleep(9)
        line.wire.take(1000)
    assert not task.done()
    await asyncio.sleep(9.9)
    assert not task.done()
    with pytest.raises(httpx.WriteTimeout):
        await task


async def test_a_server_that_reads_at_last_gets_the_rest() -> None:
    size = 600_000
    line = Line(idle=10, first_byte=1000)
    task = line.ask(b"x" * size)
    await turns(1)
    line.wire.reads = False
    await turns(5)
    for _ in range(100):
        await asyncio.sleep(5)
        line.wire.take(300_000)
    assert line.wire.written.endswith(b"x" * size)
    assert not task.done()
    line.wire.say(OK)
    assert (await task).buffered == b"ok"
    assert line.transport.counters.idle == 1


async def test_the_head_may_have_its_time_from_the_end_of_the_request_on() -> None:
    line = Line()
    never = float("inf")
    patience = Patience(connect=5, pool=5, total=never, write=100, head=7, idle=7)

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(10):
            await asyncio.sleep(5)
            yield b"x"

    await ends_after(line.ask(slow(), length=10, patience=patience), 57, httpx.ReadTimeout)
    await ends_after(line.ask(patience=patience), 7, httpx.ReadTimeout)


async def test_a_place_is_waited_for_as_long_as_for_an_answer() -> None:
    line = Line(first_byte=60, total=1)
    first = line.ask(first_byte=1000.0)
    await turns(3)
    await ends_after(line.ask(), 60, httpx.PoolTimeout)
    await ends_after(line.ask(first_byte=3.0), 3, httpx.PoolTimeout)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (b"", 30.0),
        (b"Keep-Alive: timeout=0\r\n", 0.0),
        (b"Keep-Alive: timeout=1\r\n", 0.5),
        (b"Keep-Alive: timeout=5\r\n", 4.0),
        (b"keep-alive: max=9, Timeout=5\r\n", 4.0),
        (b'Keep-Alive: timeout="5"\r\n', 4.0),
        (b"Keep-Alive: timeout=60\r\n", 30.0),
        (b"Keep-Alive: nonsense\r\n", 30.0),
    ],
)
async def test_an_unused_connection_is_kept_so_long_or_as_the_server_says_less_a_margin(
    field: bytes, seconds: float
) -> None:
    line = Line(keep_alive=30.0)
    task = line.ask()
    await turns(3)
    line.wire.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + field + b"\r\n")
    await task
    start = now()
    while not line.wire.is_closing():
        await asyncio.sleep(0.05)
    assert now() - start == pytest.approx(seconds, abs=0.06)
    assert line.transport.counters.expired == 1
    assert line.transport.counters.open == 0


async def test_a_connection_of_long_ago_is_not_taken() -> None:
    line = Line(keep_alive=30.0)
    for _ in range(2):
        task = line.ask()
        await turns(3)
        line.wire.say(OK)
        await task
        await asyncio.sleep(31)
    assert line.transport.counters.opened == 2


async def test_requests_in_a_row_set_hardly_any_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    set_timers = 0
    loop = asyncio.get_running_loop()
    real = loop.call_at

    def counting(*args: Any, **options: Any) -> asyncio.TimerHandle:
        nonlocal set_timers
        set_timers += 1
        return real(*args, **options)

    line = Line()
    monkeypatch.setattr(loop, "call_at", counting)
    for _ in range(1000):
        task = line.ask()
        await turns(2)
        line.wire.say(OK)
        assert (await task).buffered == b"ok"
    assert set_timers <= 2


async def _all(reply: Any) -> bytes:
    return b"".join([piece async for piece in reply])


async def _stream(size: int) -> AsyncIterator[bytes]:
    yield b"x" * size
