"""Leadership: one of many, and another one when that is gone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from helicone_gw.clock import SystemClock
from helicone_gw.leadership import LEASE, Leadership
from helicone_gw.shared import making_shared_directory
from helicone_gw.store import MemoryStore, open_store
from helicone_gw.testing import VirtualClock
from tests.fixtures.redis_server import RedisServer

LEADS_UNTIL_ITS_INPUT_ENDS = """
import asyncio, sys
from helicone_gw.clock import SystemClock
from helicone_gw.leadership import Leadership
from helicone_gw.store import MemoryStore
print(asyncio.run(Leadership(MemoryStore(SystemClock())).holds("alerts")), flush=True)
sys.stdin.read()
"""


async def test_a_process_without_others_leads() -> None:
    leadership = Leadership(MemoryStore(VirtualClock()))
    assert await leadership.holds("alerts")
    assert await leadership.holds("alerts")
    leadership.close()


def test_of_the_workers_of_a_machine_one_leads_and_the_next_takes_over_when_it_is_killed() -> None:
    def holds(name: str) -> bool:
        return asyncio.run(leadership.holds(name))

    with making_shared_directory():
        command = [sys.executable, "-c", LEADS_UNTIL_ITS_INPUT_ENDS]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "True\n"
            leadership = Leadership(MemoryStore(SystemClock()))
            assert not holds("alerts")
            assert holds("reports"), "each thing has a leader of its own"
            other.kill()
            other.wait()
            assert holds("alerts")
            leadership.close()


async def test_closed_it_leads_no_more() -> None:
    with making_shared_directory() as directory:
        one, other = (Leadership(MemoryStore(VirtualClock())) for _ in range(2))
        assert await one.holds("alerts")
        assert not await other.holds("alerts")
        one.close()
        assert await other.holds("alerts")
        other.close()
        assert [path.name for path in Path(directory).iterdir()] == ["leader-alerts"]


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "x" * 101])
async def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        await Leadership(MemoryStore(VirtualClock())).holds(name)


async def test_workers_that_share_a_store_agree_there(own_redis_server: RedisServer) -> None:
    stores = [
        open_store(
            own_redis_server.url,
            SystemClock(),
            namespace="test",
            deadline=5,
            retry_after=0.1,
            max_connections=2,
        )
        for _ in range(2)
    ]
    one, other = map(Leadership, stores)
    assert await one.holds("alerts")
    assert not await other.holds("alerts")
    assert await one.holds("alerts"), "it is prolonged"
    [key] = own_redis_server.keys()
    left = int(own_redis_server.ask("PTTL", key).strip(b":\r\n"))
    assert 0 < left <= LEASE * 1000
    own_redis_server.ask("DEL", key)
    assert await other.holds("alerts"), "the lease ended"
    assert not await one.holds("alerts")
    own_redis_server.kill()
    assert not await other.holds("alerts"), "nobody leads while the store is away"
    for store in stores:
        await store.close()
