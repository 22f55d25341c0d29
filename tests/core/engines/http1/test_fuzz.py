"""Damaged requests over real connections: each ends, in answers of its own or a refusal, and nothing else breaks."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

from structlog.testing import capture_logs

from helicone_gw.engines.http1.limits import Limits
from tests.core.engines.http1.serving import Serving, echo, serving, statuses, until
from tests.core.engines.http1.test_request import REFUSALS, REQUESTS

ROUNDS = 150
STATUSES = {100, 200, 400, 408, 414, 417, 431, 501, 505}
WORDS = [
    b"\r\n",
    b"\n",
    b"\0",
    b" ",
    b":",
    b"0\r\n\r\n",
    b"chunked",
    b"Content-Length: 5\r\n",
    b"HTTP/1.1",
    b"\xff",
    b"GET ",
]


def damaged(chance: random.Random) -> list[bytes]:
    """A few requests in a row, with some damage, in pieces."""
    table = REFUSALS if chance.random() < 0.1 else REQUESTS
    data = bytearray(b"".join(table[case][0] for case in chance.choices(list(table), k=chance.randint(1, 4))))
    for _ in range(chance.randint(0, 3)):
        place = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[place] = chance.randrange(256)
            case 1:
                del data[place : place + chance.randint(1, 20)]
            case 2:
                data[place:place] = chance.choice(WORDS)
            case _:
                data[place:place] = data[chance.randrange(len(data)) :][: chance.randint(1, 60)]
        data = data or bytearray(b"x")
    cuts = sorted({0, len(data), *(chance.randrange(len(data)) for _ in range(chance.randint(0, 5)))})
    return [bytes(data[start:end]) for start, end in pairwise(cuts)]


async def one(served: Serving, seed: int) -> None:
    pieces = damaged(random.Random(seed))
    try:
        async with served.client() as client, asyncio.timeout(1):
            await client.send(*pieces)
            said = await client.rest()
    except (ConnectionError, TimeoutError):
        return  # refused while it was still sending, or the server waits for the rest of a body
    assert set(statuses(said)) <= STATUSES, (seed, pieces, said)
    if any(status >= 400 for status in statuses(said)):
        assert statuses(said)[-1] >= 400, (seed, pieces, said)


async def test_damage() -> None:
    unhandled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
    limits = Limits(header_timeout=0.3, keep_alive=0.3, linger=0.3)
    with capture_logs() as logs:
        async with serving(echo, limits) as served:
            await asyncio.wait_for(asyncio.gather(*(one(served, seed) for seed in range(ROUNDS))), 60)
            await until(lambda: not served.lane.connections and not served.lane.cycles)
            assert served.lane.counters.requests > ROUNDS / 2
            assert served.lane.counters.malformed > ROUNDS / 4
    assert logs == []
    assert unhandled == []
