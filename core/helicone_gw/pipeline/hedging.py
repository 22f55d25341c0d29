"""Hedging: a second target asked beside a slow first one; the first of them to answer is taken, the other given up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from helicone_gw.errors import GatewayError
from helicone_gw.model import Target
from helicone_gw.pipeline.answer import Answer

Discard = Callable[[Answer], Awaitable[None]]


async def hedged(
    ask: Callable[[Target], Awaitable[Answer]],
    target: Target,
    spare: Callable[[], Target | None],
    after: float,
    discard: Discard,
) -> Answer:
    """The answer of ``target``, or of the target that ``spare`` names if that one is first.

    ``spare`` is asked only when ``target`` has not answered ``after`` seconds later. The loser is cancelled before this
    returns, and given to ``discard`` where it had come to an answer. Raises the `GatewayError` of the last one to fail,
    when both have.
    """
    first: asyncio.Future[Answer] = asyncio.ensure_future(ask(target))
    asked = [first]
    try:
        await asyncio.wait({first}, timeout=after)
        if not first.done() and (second := spare()) is not None:
            asked.append(asyncio.ensure_future(ask(second)))
        return await _first_of(asked, discard)
    except BaseException:
        # Whoever waits here was cancelled, or both have failed: nobody is left to take an answer.
        await _give_up(asked, discard)
        raise


async def _first_of(asked: list[asyncio.Future[Answer]], discard: Discard) -> Answer:
    running = set(asked)
    problem: GatewayError | None = None
    while running:
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for each in sorted(done, key=asked.index):
            try:
                answer = each.result()
            except GatewayError as error:
                problem = error
                continue
            await _give_up([other for other in asked if other is not each], discard)
            return answer
    assert problem is not None
    raise problem


async def _give_up(others: list[asyncio.Future[Answer]], discard: Discard) -> None:
    """Cancel those that are still at it, and discard what the others came back with."""
    for each in others:
        each.cancel()
        await asyncio.wait({each})
        if not each.cancelled() and each.exception() is None:
            with contextlib.suppress(Exception):
                await discard(each.result())
