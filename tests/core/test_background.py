"""Supervised tasks: bounded, never lost, drained."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from helicone_gw import Background


@pytest.mark.virtual_time
async def test_draining_waits_for_every_task() -> None:
    background, done = Background(), []

    async def work(seconds: float) -> None:
        await asyncio.sleep(seconds)
        done.append(seconds)

    for seconds in (3, 1, 2):
        background.spawn(work(seconds), f"work {seconds}")
    assert len(background) == 3
    await background.drain(10)
    assert done == [1, 2, 3]
    assert len(background) == 0


@pytest.mark.virtual_time
async def test_what_does_not_end_in_time_is_cancelled_and_named() -> None:
    background, ended = Background(), []

    async def endless() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(asyncio.get_running_loop().time())

    background.spawn(endless(), "endless")
    with capture_logs() as logs:
        await background.drain(5)
    assert ended == [pytest.approx(5)]
    assert [entry["tasks"] for entry in logs] == [["endless"]]
    assert len(background) == 0
    assert background.failures == 0


@pytest.mark.virtual_time
async def test_a_task_that_another_one_starts_meanwhile_has_its_time_too() -> None:
    background, done = Background(), []

    async def second() -> None:
        await asyncio.sleep(1)
        done.append("second")

    async def first() -> None:
        await asyncio.sleep(1)
        background.spawn(second(), "second")

    background.spawn(first(), "first")
    await background.drain(10)
    assert done == ["second"]


@pytest.mark.virtual_time
async def test_tasks_that_start_each_other_for_ever_do_not_outlast_the_timeout() -> None:
    background = Background()

    async def again() -> None:
        await asyncio.sleep(1)
        background.spawn(again(), "again")

    background.spawn(again(), "again")
    with capture_logs():
        await background.drain(5)
    assert asyncio.get_running_loop().time() < 11
    assert len(background) == 0


async def test_a_failure_is_logged_with_the_tasks_name_and_counted() -> None:
    background = Background()

    async def fails() -> None:
        raise ValueError("wrong")

    with capture_logs() as logs:
        task = background.spawn(fails(), "the fragile one")
        await asyncio.wait({task})
        await asyncio.sleep(0)
    assert background.failures == 1
    assert [(entry["log_level"], entry["task"], str(entry["exc_info"])) for entry in logs] == [
        ("error", "the fragile one", "wrong")
    ]


async def test_one_task_too_many_is_refused_without_a_trace() -> None:
    background, release, ran = Background(limit=2), asyncio.Event(), []

    async def wait() -> None:
        await release.wait()
        ran.append(1)

    for _ in range(2):
        background.spawn(wait(), "wait")
    with pytest.raises(RuntimeError, match="'one more' was not started"):
        background.spawn(wait(), "one more")
    release.set()
    await background.drain(5)
    assert ran == [1, 1]
    background.spawn(wait(), "there is room again")
    await background.drain(5)


async def test_draining_nothing_returns_at_once() -> None:
    await Background().drain(3600)
