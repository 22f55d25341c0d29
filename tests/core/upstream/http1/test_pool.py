"""The pool alone, with connections that are only counted: order, bounds, queues, and that no place is ever lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from math import inf
from typing import Any, cast

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw.upstream.http1.connection import Connection
from helicone_gw.upstream.http1.pool import Host, Pool, PoolLimits
from helicone_gw.upstream.http1.wire import Origin

A, B, C = (Origin("http", name, 80) for name in ("a", "b", "c"))


class Counted:
    """What the pool needs of a connection."""

    def __init__(self, pool: Pool, host: Host) -> None:
        self.pool = pool
        self.host = host
        self.placed = False
        self.closed = False
        self.quiet = True
        self.expires = 0.0

    def usable(self, now: float) -> bool:
        return not self.closed and self.quiet and now < self.expires

    def idle_until(self, when: float) -> None:
        self.expires = when

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.pool.forget(cast(Connection, self))
            self.pool.gone(cast(Connection, self))

    abort = close

    def done(self, keep: float = 1000.0) -> None:
        """Its reply is complete."""
        self.pool.release(cast(Connection, self), self.pool.loop.time() + keep)


class Dialer:
    """Makes connections when it is told to, or at once."""

    def __init__(self, at_once: bool = True) -> None:
        self.at_once = at_once
        self.dialing: list[asyncio.Future[bool]] = []

    async def __call__(self, pool: Pool, host: Host, timeout: float) -> Connection:
        if not self.at_once:
            self.dialing.append(asyncio.get_running_loop().create_future())
            if not await self.dialing[-1]:
                raise httpx.ConnectError("refused")
        return cast(Connection, Counted(pool, host))


def made(dialer: Dialer | None = None, **limits: Any) -> Pool:
    return Pool(PoolLimits(**limits), dialer or Dialer(), 10.0)


async def get(pool: Pool, origin: Origin, patience: float = inf) -> Counted:
    return cast(Counted, pool.take(origin) if pool._hosts else None) or cast(
        Counted, await pool.acquire(origin, 5.0, patience)
    )


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_connection_used_last_is_used_next() -> None:
    pool = made()
    first, second, third = [await get(pool, A) for _ in range(3)]
    for each in (second, third, first):
        each.done()
    assert [await get(pool, A) for _ in range(3)] == [first, third, second]
    assert pool.counters.opened == pool.counters.reused == 3


async def test_hosts_share_nothing() -> None:
    pool = made()
    (await get(pool, A)).done()
    other = await get(pool, A._replace(address="192.0.2.1"))
    assert pool.counters.opened == 2
    other.done()
    assert await get(pool, A._replace(server_name="b")) is not other


async def test_what_has_expired_or_has_something_to_say_is_not_used() -> None:
    pool = made()
    fine, noisy, old = [await get(pool, A) for _ in range(3)]
    fine.done()
    noisy.done()
    old.done(keep=-1.0)
    noisy.quiet = False
    assert await get(pool, A) is fine
    assert noisy.closed
    assert old.closed
    assert pool.counters.dropped == 2
    assert pool.counters.open == 1


async def test_beyond_the_idle_bound_the_one_idle_for_longest_goes() -> None:
    pool = made(idle=2)
    first, second, third = [await get(pool, origin) for origin in (A, B, C)]
    for each in (second, first, third):
        each.done()
    assert [each.closed for each in (first, second, third)] == [False, True, False]
    assert (pool.counters.idle, pool.counters.evicted) == (2, 1)


async def test_the_bound_of_idle_ones_holds_while_others_wait_for_another_host() -> None:
    pool = made(total=2, per_host=1, idle=0)
    other, used = await get(pool, B), await get(pool, A)
    waiting = asyncio.ensure_future(get(pool, A))
    await turns()
    other.done()
    assert other.closed
    assert pool.counters.idle == 0
    used.done()
    assert await waiting is used


async def test_a_host_has_so_many_connections_and_others_are_not_held_up() -> None:
    pool = made(per_host=1)
    first = await get(pool, A)
    waiting = asyncio.ensure_future(get(pool, A))
    await turns()
    assert (await get(pool, B)).host.origin == B
    assert pool.counters.waiting == 1
    first.done()
    assert await waiting is first
    assert pool.counters.waiting == 0


async def test_at_the_total_idle_connections_of_others_make_room_the_oldest_first() -> None:
    pool = made(total=2)
    older, newer = await get(pool, A), await get(pool, B)
    older.done()
    newer.done()
    await get(pool, C)
    assert older.closed
    assert not newer.closed
    assert pool.counters.evicted == 1


async def test_at_the_total_a_request_waits_for_any_place() -> None:
    pool = made(total=1)
    first = await get(pool, A)
    waiting = asyncio.ensure_future(get(pool, B))
    await turns()
    assert not waiting.done()
    first.done()
    assert (await waiting).host.origin == B
    assert first.closed


async def test_those_who_wait_are_served_in_turn() -> None:
    pool = made(total=1)
    first = await get(pool, A)
    order: list[int] = []

    async def one(number: int) -> None:
        connection = await get(pool, A)
        order.append(number)
        connection.done()

    tasks = [asyncio.ensure_future(one(number)) for number in range(5)]
    await turns()
    first.done()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
    assert pool.counters.opened == 1
    assert pool.counters.waited == 5


async def test_too_many_who_wait_are_refused_at_once() -> None:
    pool = made(total=1, waiters=1)
    first = await get(pool, A)
    waiting = asyncio.ensure_future(get(pool, A))
    await turns()
    with pytest.raises(httpx.PoolTimeout):
        await get(pool, A)
    assert pool.counters.refused == 1
    first.done()
    assert await waiting is first


@pytest.mark.virtual_time
async def test_whoever_gives_up_waiting_leaves_the_queue() -> None:
    pool = made(total=1)
    first = await get(pool, A)
    with pytest.raises(httpx.PoolTimeout):
        await get(pool, A, patience=2.0)
    assert (pool.counters.pool_timeouts, pool.counters.waiting) == (1, 0)
    first.done()
    assert pool.counters.idle == 1


async def test_a_failed_dial_frees_its_place_for_the_next() -> None:
    dialer = Dialer(at_once=False)
    pool = made(dialer, total=1)
    first, second = asyncio.ensure_future(get(pool, A)), asyncio.ensure_future(get(pool, B))
    await turns()
    dialer.dialing[0].set_result(False)
    with pytest.raises(httpx.ConnectError):
        await first
    await turns()
    dialer.dialing[1].set_result(True)
    assert (await second).host.origin == B
    assert pool.counters.failed == 1


async def test_a_connection_that_breaks_frees_its_place_for_the_next() -> None:
    pool = made(total=1)
    first = await get(pool, A)
    waiting = asyncio.ensure_future(get(pool, A))
    await turns()
    first.abort()
    assert await waiting is not first
    assert pool.counters.open == 1


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("how", ["released", "closed"])
async def test_a_cancelled_waiter_passes_on_what_it_was_just_given(steps: int, how: str) -> None:
    pool = made(total=1)
    first = await get(pool, A)
    cancelled, next_one = (asyncio.ensure_future(get(pool, A)) for _ in range(2))
    await turns()
    first.done() if how == "released" else first.close()
    await turns(steps)
    cancelled.cancel()
    got = (await asyncio.gather(cancelled, return_exceptions=True))[0]
    if isinstance(got, Counted):  # it was too late to cancel
        got.done()
    assert isinstance(await next_one, Counted)
    assert pool.counters.open == 1


async def test_those_who_are_cancelled_together_hold_nobody_up() -> None:
    pool = made(Dialer(at_once=False), total=1)
    tasks = [asyncio.ensure_future(get(pool, A)) for _ in range(4)]
    await turns()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (pool.counters.open, pool.counters.waiting, pool._hosts) == (0, 0, {})


async def test_closing_refuses_those_who_wait_and_those_who_come() -> None:
    pool = made(total=1)
    first = await get(pool, A)
    waiting = asyncio.ensure_future(get(pool, A))
    await turns()
    await pool.aclose()
    with pytest.raises(httpx.ConnectError):
        await waiting
    with pytest.raises(httpx.ConnectError):
        await get(pool, B)
    first.done()
    assert first.closed
    assert pool.counters.open == 0


async def test_a_connection_that_is_made_while_the_pool_closes_is_closed() -> None:
    dialer = Dialer(at_once=False)
    pool = made(dialer)
    task = asyncio.ensure_future(get(pool, A))
    await turns()
    await pool.aclose()
    dialer.dialing[0].set_result(True)
    assert (await task).closed
    assert pool.counters.open == 0


# Whatever happens

OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "dial", "refuse", "done", "done", "break", "cancel", "noise", "turn"]),
        st.integers(0, 7),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(OPERATIONS, st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(0, 4))
def test_bounds_hold_and_nobody_waits_for_nothing(
    operations: list[tuple[str, int]], total: int, per_host: int, idle: int, waiters: int
) -> None:
    asyncio.run(_whatever_happens(operations, total=total, per_host=per_host, idle=idle, waiters=waiters))


async def _whatever_happens(operations: list[tuple[str, int]], **limits: int) -> None:
    dialer = Dialer(at_once=False)
    pool = made(dialer, **limits)
    asking: list[asyncio.Task[Counted]] = []
    every: list[Counted] = []

    def in_use() -> list[Counted]:
        held = [task.result() for task in asking if task.done() and not task.cancelled() and not task.exception()]
        return [each for each in held if not each.closed and each not in finished]

    finished: set[Counted] = set()
    for what, number in operations:
        open_dials = [each for each in dialer.dialing if not each.done()]
        match what:
            case "ask":
                asking.append(asyncio.ensure_future(get(pool, (A, B, C)[number % 3])))
            case "dial" | "refuse" if open_dials:
                open_dials[number % len(open_dials)].set_result(what == "dial")
            case "done" | "break" if used := in_use():
                connection = used[number % len(used)]
                if what == "done":
                    asking[:] = [task for task in asking if not (task.done() and _result(task) is connection)]
                    connection.done()
                else:
                    connection.close()
            case "cancel" if asking:
                asking[number % len(asking)].cancel()
            case "noise" if pool._idle:
                cast(Counted, next(iter(pool._idle))).quiet = False
            case _:
                await turns(number)
        _holds(pool)
    every.extend(in_use())
    for task in asking:
        task.cancel()
    for each in dialer.dialing:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    for connection in in_use():
        connection.close()
    await turns()
    _holds(pool)
    counters = pool.counters
    assert (counters.active, counters.waiting) == (0, 0)
    assert counters.open == counters.idle == len(pool._idle)
    assert counters.opened - counters.closed == counters.open


def _result(task: asyncio.Task[Counted]) -> Counted | None:
    return None if task.cancelled() or task.exception() else task.result()


def _holds(pool: Pool) -> None:
    counters, limits, hosts = pool.counters, pool.limits, pool._hosts.values()
    assert counters.open == sum(host.places for host in hosts) <= limits.total
    assert all(host.places <= limits.per_host for host in hosts)
    assert counters.idle == len(pool._idle) == sum(len(host.idle) for host in hosts) <= limits.idle
    assert counters.waiting == len(pool._waiters) == sum(len(host.waiters) for host in hosts) <= limits.waiters
    assert all(host.places or host.waiters for host in hosts)
    for waiter, host in pool._waiters.items():
        # Nobody waits while there is a place; those who were cancelled are about to go.
        full = counters.open >= limits.total and not pool._idle
        assert waiter.done() or host.places >= limits.per_host or full
        assert waiter.done() or not host.idle
    assert not Counter(id(each) for host in hosts for each in host.idle) - Counter(map(id, pool._idle))
