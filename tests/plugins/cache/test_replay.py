"""Stored streams come back whole: at once, or at their first pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from helicone_gw_cache.entry import Entry
from helicone_gw_cache.replay import AtOnce, paced
from tests.plugins.cache.making import an_entry

EVENTS = (b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n", b"data: 4\n\n")


def stream(gaps: tuple[int, ...]) -> Entry:
    return an_entry(frames=EVENTS, gaps_ms=gaps, streamed=True)


async def everything(pieces: AsyncIterator[bytes]) -> list[bytes]:
    return [piece async for piece in pieces]


async def test_at_once_is_one_piece() -> None:
    assert await everything(AtOnce(stream(()))) == [b"".join(EVENTS)]
    assert await everything(AtOnce(an_entry(frames=(), streamed=True))) == []


@pytest.mark.parametrize(
    ("gaps", "pieces", "waits"),
    [
        ((500, 10, 20, 30), [[0], [1], [2], [3]], [0.5, 0.01, 0.02, 0.03]),
        ((500, 0, 0, 30), [[0, 1, 2], [3]], [0.5, 0.03]),
        ((0, 0, 0, 0), [[0, 1, 2, 3]], []),
        ((0, 60_000, 0, 0), [[0], [1, 2, 3]], [10.0]),
        ((), [[0, 1, 2, 3]], []),
        ((1, 2), [[0, 1, 2, 3]], []),
    ],
)
async def test_paced_as_it_came(gaps: tuple[int, ...], pieces: list[list[int]], waits: list[float]) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await asyncio.sleep(0)

    found = await everything(paced(stream(gaps), sleep, 10.0))
    assert found == [b"".join(EVENTS[index] for index in piece) for piece in pieces]
    assert waited == waits
