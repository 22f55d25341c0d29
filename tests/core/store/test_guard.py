"""The guard of a store: what an outage costs, who is told, and how it ends."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from helicone_gw import StoreUnavailable
from helicone_gw.store.guard import Guard, Lost, bounded
from helicone_gw.testing import VirtualClock

DEADLINE, WINDOW = 0.05, 1.0


class Scripted:
    """A store behind a guard. ``answers``: whether it does; ``takes``: seconds, for calls and for tries alike."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.takes = 0.0
        self.answers = True
        self.tries: list[float] = []
        self.calls = 0
        self.resets = 0
        self.guard = Guard(clock, deadline=DEADLINE, retry_after=WINDOW, probe=self._probe, reset=self._reset)

    async def _work(self, value: int) -> int:
        self.calls += 1
        await asyncio.sleep(self.takes)
        if not self.answers:
            raise Lost("it said so")
        return value

    async def _probe(self) -> None:
        self.tries.append(self.clock.monotonic())
        await bounded(DEADLINE, self._work(0))
        self.calls -= 1

    async def _reset(self) -> None:
        self.resets += 1

    async def call(self, value: int = 7) -> int | None:
        """What the store says; ``None`` for `StoreUnavailable`."""
        try:
            return await self.guard.call(self._work, value)
        except StoreUnavailable:
            return None


@pytest.fixture
def store(virtual_time: VirtualClock) -> Scripted:
    return Scripted(virtual_time)


async def test_a_store_that_answers_is_counted(store: Scripted) -> None:
    store.takes = 0.03
    assert [await store.call(number) for number in range(3)] == [0, 1, 2]
    stats = store.guard.stats
    assert (stats.calls, stats.failures, stats.refused, stats.opened, stats.open) == (3, 0, 0, 0, False)
    assert stats.seconds == pytest.approx(0.09)
    assert stats.slowest == pytest.approx(0.03)
    assert store.tries == []


async def test_a_store_that_is_silent_costs_one_deadline_and_not_one_per_request(
    store: Scripted, virtual_time: VirtualClock
) -> None:
    store.takes = 3600
    assert await store.call() is None
    assert virtual_time.monotonic() == pytest.approx(DEADLINE)
    for _ in range(500):
        await asyncio.sleep(0.01)
        assert await store.call() is None
    assert virtual_time.monotonic() == pytest.approx(DEADLINE + 5), "no request waited for it again"
    stats = store.guard.stats
    assert (store.calls - len(store.tries), stats.failures, stats.refused, stats.opened) == (1, 1, 500, 1)
    assert stats.open
    assert store.resets == 1
    await store.guard.close()


async def test_one_try_a_window_and_none_by_a_request(store: Scripted, virtual_time: VirtualClock) -> None:
    store.answers = False
    await store.call()
    await asyncio.sleep(4.5)
    assert store.tries == [pytest.approx(when) for when in (0, 1, 2, 3, 4)], "at once, and then one a second"
    store.answers = True
    await asyncio.sleep(0.49)
    assert store.guard.stats.open
    await asyncio.sleep(0.02)
    assert await store.call() == 7
    assert not store.guard.stats.open
    await asyncio.sleep(60)
    assert len(store.tries) == 6, "a store that answers is not tried"


async def test_calls_under_way_when_it_dies_cost_a_deadline_each_and_open_it_once(
    store: Scripted, virtual_time: VirtualClock
) -> None:
    store.takes = 3600
    with capture_logs() as logs:
        assert await asyncio.gather(*(store.call() for _ in range(100))) == [None] * 100
    assert virtual_time.monotonic() == pytest.approx(DEADLINE)
    stats = store.guard.stats
    assert (stats.calls, stats.failures, stats.opened) == (100, 100, 1)
    assert [entry["log_level"] for entry in logs] == ["warning"]
    await store.guard.close()


async def test_a_hiccup_is_over_when_it_is_over(store: Scripted, virtual_time: VirtualClock) -> None:
    store.takes = 3600
    calls = [asyncio.ensure_future(store.call()) for _ in range(3)]
    await asyncio.sleep(0.01)
    later = [asyncio.ensure_future(store.call()) for _ in range(3)]
    await asyncio.sleep(0.02)
    store.takes = 0.001
    await asyncio.wait(calls)
    await asyncio.sleep(0.0015)
    assert not store.guard.stats.open, "it is tried at once"
    await asyncio.wait(later)
    assert not store.guard.stats.open, "those that were under way meanwhile have no further say"
    assert store.guard.stats.opened == 1
    assert await store.call() == 7


async def test_a_store_that_is_now_here_now_away_is_tried_once_a_window(
    store: Scripted, virtual_time: VirtualClock
) -> None:
    for _ in range(29):
        store.answers = False
        assert await store.call() is None
        store.answers = True
        await asyncio.sleep(0.1)
    assert store.tries == [pytest.approx(when) for when in (0, 1, 2)]
    assert store.guard.stats.opened <= 4
    assert store.calls <= 4, "what fails between two tries is not called again"
    await store.guard.close()


async def test_it_is_told_once_when_it_opens_and_once_when_it_closes(store: Scripted) -> None:
    store.answers = False
    with capture_logs() as logs:
        for _ in range(20):
            await store.call()
        await asyncio.sleep(3.5)
        store.answers = True
        await asyncio.sleep(1)
    assert [(entry["log_level"], entry["event"]) for entry in logs] == [
        ("warning", "the shared store cannot be reached"),
        ("info", "the shared store is reached again"),
    ]
    assert logs[0]["reason"] == "it said so"
    assert (logs[1]["seconds"], logs[1]["refused"]) == (4.0, 19)


async def test_the_error_says_when_to_come_back_and_nothing_else(store: Scripted) -> None:
    store.answers = False
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"The gateway's shared store cannot be reached\.") as caught:
            await store.guard.call(store._work, 1)
        assert caught.value.retry_after == WINDOW
    await store.guard.close()


async def test_a_caller_that_leaves_is_no_failure(store: Scripted) -> None:
    store.takes = 0.04
    call = asyncio.ensure_future(store.call())
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (store.guard.stats.calls, store.guard.stats.failures) == (1, 0)


async def test_what_is_wrong_with_a_call_is_the_callers(store: Scripted) -> None:
    async def wrong(_: int) -> int:
        raise TypeError("not that")

    with pytest.raises(TypeError):
        await store.guard.call(wrong, 1)
    assert store.guard.stats.failures == 0


async def test_a_store_that_is_away_at_the_start_is_told_and_waited_for(store: Scripted) -> None:
    store.answers = False
    with capture_logs() as logs:
        await store.guard.connect()
        assert await store.call() is None
        assert (store.guard.stats.calls, store.guard.stats.refused) == (0, 1)
        store.answers = True
        await asyncio.sleep(1.01)
        assert await store.call() == 7
    assert [entry["log_level"] for entry in logs] == ["warning", "info"]


async def test_whatever_a_try_raises_there_is_another(store: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> None:
        raise RuntimeError("a fault")

    store.guard._probe = broken
    store.answers = False
    await store.call()
    await asyncio.sleep(2.5)
    assert store.guard.stats.open
    assert await store.guard.problem() == "trying it failed (RuntimeError)"
    store.guard._probe = store._probe
    store.answers = True
    await asyncio.sleep(1)
    assert not store.guard.stats.open


async def test_a_closed_guard_refuses_and_tries_no_more(store: Scripted) -> None:
    store.answers = False
    await store.call()
    await store.guard.close()
    tries = len(store.tries)
    assert await store.call() is None
    await asyncio.sleep(10)
    assert len(store.tries) == tries
    await store.guard.close()


async def test_a_call_that_fails_while_the_guard_is_closed_opens_nothing(store: Scripted) -> None:
    store.takes = 3600
    call = asyncio.ensure_future(store.call())
    await asyncio.sleep(0)
    await store.guard.close()
    assert await call is None
    assert store.guard.stats.opened == 0


async def test_a_busy_loop_s_own_delay_is_not_the_store_s(virtual_time: VirtualClock) -> None:
    loop = asyncio.get_running_loop()
    answer = loop.create_future()

    async def ask() -> str:
        value: str = await answer
        return value

    asking = asyncio.ensure_future(bounded(DEADLINE, ask()))
    await asyncio.sleep(0.01)
    virtual_time.advance(0.2)  # held up: the deadline is long past when the loop looks at its timers again
    await asyncio.sleep(0.02)
    answer.set_result("there all the time")
    assert await asking == "there all the time"


async def test_but_it_is_counted_once_at_most(virtual_time: VirtualClock) -> None:
    asking = asyncio.ensure_future(bounded(DEADLINE, asyncio.sleep(3600)))
    for _ in range(20):
        await asyncio.sleep(0)
        virtual_time.advance(0.03)
    assert virtual_time.monotonic() == pytest.approx(0.6)
    await asyncio.sleep(0)
    with pytest.raises(Lost, match="no answer within 50 ms"):
        await asking


@pytest.mark.parametrize(("turns", "in_time"), [(0, True), (1, True), (2, True), (4, False), (9, False)])
async def test_what_has_arrived_is_looked_at_before_the_deadline_counts(
    virtual_time: VirtualClock, turns: int, in_time: bool
) -> None:
    """An answer comes in the very turn of the loop in which the deadline ends, and needs ``turns`` more to be seen."""

    async def ask() -> str:
        await asyncio.sleep(DEADLINE)
        for _ in range(turns):
            await asyncio.sleep(0)
        return "seen"

    try:
        seen = await bounded(DEADLINE, ask()) == "seen"
    except Lost:
        seen = False
    assert seen == in_time
