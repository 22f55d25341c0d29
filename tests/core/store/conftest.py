"""The fixtures of the tests of stores: servers with options of their own, and a cluster of two."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.store.helpers import Start
from tests.fixtures.redis_server import NEEDED, RedisServer
from tests.program import free_port


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a redis-server with options of its own."""
    if shutil.which("redis-server") is None:
        pytest.skip(NEEDED)
    servers: list[RedisServer] = []

    def started(**options: str) -> RedisServer:
        directory = tmp_path / f"redis-{len(servers)}"
        directory.mkdir()
        server = RedisServer(directory, **{name.replace("_", "-"): value for name, value in options.items()})
        servers.append(server)
        server.start()
        return server

    yield started
    for server in servers:
        server.kill()


@pytest.fixture
async def cluster(start: Start) -> list[RedisServer]:
    """Two nodes, of which each has half of the slots."""
    # The nodes' own port would lie where systems give ports to outgoing connections.
    buses = [str(free_port()) for _ in range(2)]
    nodes = [start(cluster_enabled="yes", cluster_node_timeout="5000", cluster_port=bus) for bus in buses]
    for node, slots in zip(nodes, (("0", "8191"), ("8192", "16383")), strict=True):
        node.ask("CLUSTER", "ADDSLOTSRANGE", *slots)
    nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", str(nodes[1].port), buses[1])
    end = time.monotonic() + 60
    while not all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in nodes):
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    return nodes
