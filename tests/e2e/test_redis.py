"""A gateway on a real Redis that is killed, frozen, silent and slow under load, and what clients notice of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from helicone_gw import Exchange, Gateway, Plugin, Target, hookimpl
from helicone_gw.server import serve
from helicone_gw.sockets import listen
from helicone_gw.store import StoreStats
from helicone_gw.testing import GatewayFactory, ScriptedProvider, usual_answer
from tests.core.store.helpers import ADD
from tests.fixtures.redis_server import RedisServer
from tests.fixtures.tcp_proxy import TcpProxy, proxied

CLIENTS = 8
DEADLINE = 0.4
"""Seconds for a call where a Redis is damaged: long enough for a busy machine to be none of that."""

MODES = ["open", "closed"]
PATHS = {
    "/v1/chat/completions": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]},
    "/v1/messages": {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
}


class Counting(Plugin):
    """Counts every request in the store before it goes on, in one round trip."""

    name = "counting"

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        self._store = gateway.store.scope(self.name)

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        await self._store.run(ADD, ["{all}:requests", "{all}:again"], [1, ""])


@dataclass
class Running:
    """A gateway that listens, a client of it, and what it was answered."""

    url: str
    gateway: Gateway
    client: httpx.AsyncClient
    answers: list[httpx.Response] = field(default_factory=list)

    @property
    def stats(self) -> StoreStats:
        return self.gateway.store.stats

    async def ask(self, number: int) -> httpx.Response:
        """One request: either dialect, streamed or not."""
        path = list(PATHS)[number % 2]
        body = {**PATHS[path], "stream": number // 2 % 2 == 1}
        answer = await self.client.post(self.url + path, json=body)
        self.answers.append(answer)
        return answer

    async def requests(self, count: int) -> list[httpx.Response]:
        """So many requests of several clients at a time."""
        numbers = iter(range(count))

        async def work() -> list[httpx.Response]:
            return [await self.ask(number) for number in numbers]

        return [answer for each in await asyncio.gather(*(work() for _ in range(CLIENTS))) for answer in each]

    async def recovered(self) -> None:
        """Wait until the gateway asks the store again."""
        async with asyncio.timeout(30):
            while self.stats.open:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running(
    factory: GatewayFactory, url: str, mode: str, engine: str = "hypercorn", **store: Any
) -> AsyncIterator[Running]:
    """A gateway over ``engine`` on a port of this machine, until the block is left."""
    config = {
        "server": {"engine": engine, "port": 0, "drain_timeout": 2},
        "store": {"url": url, "deadline": 10, "retry_after": 0.5, **store},
    }

    def build() -> Gateway:
        return factory.build(
            [{"counting": {"on_failure": mode}}],
            provider=ScriptedProvider(default=usual_answer),
            http=ScriptedProvider(),
            config=config,
            classes={"counting": Counting},
        )

    stop, listening = asyncio.Event(), asyncio.get_running_loop().create_future()
    listener = listen(build().config)
    serving = asyncio.create_task(
        serve(build, listener, stop, lambda gateway, address: listening.set_result((gateway, address)))
    )
    await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    gateway, address = await listening
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            yield Running(address, gateway, client)
    finally:
        stop.set()
        await serving
        listener.close()


@dataclass
class Damaged:
    """What can happen to a Redis: how it begins and how it ends."""

    begin: Callable[[RedisServer, TcpProxy], None]
    end: Callable[[RedisServer, TcpProxy], None]


DAMAGE = {
    "killed and restarted": Damaged(lambda server, _: server.kill(), lambda server, _: server.start()),
    "stopped in its tracks": Damaged(lambda server, _: server.freeze(), lambda server, _: server.thaw()),
    "swallowed by the network": Damaged(
        lambda _, proxy: setattr(proxy, "silent", True), lambda _, proxy: setattr(proxy, "silent", False)
    ),
    "slow": Damaged(
        lambda _, proxy: setattr(proxy, "delay", 3 * DEADLINE), lambda _, proxy: setattr(proxy, "delay", 0)
    ),
}


@pytest.fixture
def proxy(own_redis_server: RedisServer) -> Iterator[TcpProxy]:
    """The way to the Redis of the test."""
    with proxied(own_redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def server(own_redis_server: RedisServer) -> RedisServer:
    return own_redis_server


@pytest.fixture
def factory(tmp_path: Path) -> GatewayFactory:
    return GatewayFactory(tmp_path)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
async def test_a_redis_that_fails_under_load(
    mode: str, damage: Damaged, factory: GatewayFactory, server: RedisServer, proxy: TcpProxy
) -> None:
    with capture_logs() as logs:
        async with running(factory, f"redis://127.0.0.1:{proxy.port}", mode, deadline=DEADLINE) as gateway:
            await gateway.requests(40)
            await gateway.recovered()
            gateway.answers.clear()
            load = asyncio.create_task(gateway.requests(400))
            while len(gateway.answers) < 40:
                await asyncio.sleep(0.005)
            logs.clear()
            calls, failures, opened = gateway.stats.calls, gateway.stats.failures, gateway.stats.opened
            damage.begin(server, proxy)
            during = await load
            later = await gateway.requests(100)
            stats = gateway.stats
            assert stats.open
            # A call that failed is one that cost as much as a deadline; those refused at once cost nothing.
            assert stats.opened - opened == 1, "it was noticed once"
            # Beside the clients' there is one call a second by which workers share the health of targets.
            assert stats.failures - failures <= CLIENTS + 1, "only what was under way had to wait"
            assert stats.calls - calls + stats.refused >= 400, "one call a request"
            assert stats.refused >= 100 + 400 - 40 - CLIENTS * 10, "all others were not even sent"

            damage.end(server, proxy)
            await gateway.recovered()
            before = stats.calls
            after = await gateway.requests(40)
            assert stats.calls - before >= 40, "the store is asked again, without a restart"

    assert {answer.status_code for answer in after} == {200}
    if mode == "open":
        assert {answer.status_code for answer in during + later} == {200}
    else:
        assert Counter(answer.status_code for answer in later) == {503: 100}
        assert {answer.status_code for answer in during} == {200, 503}
        for answer in later:
            clear(answer)
    events = Counter((entry["log_level"], entry["event"]) for entry in logs)
    assert events["warning", "the shared store cannot be reached"] == 1
    assert events["info", "the shared store is reached again"] == 1
    assert not [entry for entry in logs if entry["log_level"] == "error"]
    assert not [entry for entry in logs if str(proxy.port) in str(entry)], "addresses are told to nobody"
    assert not events["warning", "health of targets cannot be shared"], "the store has told it already"
    told = [count for (_, event), count in events.items() if event.startswith("a plugin ")]
    assert sum(told) <= 60, "per window, not per request"


def clear(answer: httpx.Response) -> None:
    """A refusal in the client's own dialect, which says when to come back."""
    assert answer.headers["retry-after"] == "1"
    body = answer.json()
    assert "shared store cannot be reached" in body["error"]["message"]
    assert "'counting'" in body["error"]["message"]
    if str(answer.request.url).endswith("/messages"):
        assert body["type"] == "error"
    else:
        assert body["error"]["code"] == "store_unavailable"


@pytest.mark.parametrize("mode", MODES)
async def test_a_gateway_starts_without_its_redis(mode: str, factory: GatewayFactory, server: RedisServer) -> None:
    server.kill()
    async with running(factory, server.url, mode) as gateway:
        assert (await gateway.client.get(gateway.url + "/readyz")).status_code == 200
        statuses = {answer.status_code for answer in await gateway.requests(20)}
        assert statuses == ({200} if mode == "open" else {503})
        assert gateway.stats.calls <= 1, "no request ever waited for it"
        server.start()
        await gateway.recovered()
        assert {answer.status_code for answer in await gateway.requests(20)} == {200}


@pytest.mark.parametrize("engine", ["hypercorn", "uvicorn", "granian"])
async def test_a_refusal_is_the_same_over_every_engine(
    engine: str, factory: GatewayFactory, server: RedisServer
) -> None:
    async with running(factory, server.url, "closed", engine) as gateway:
        assert {answer.status_code for answer in await gateway.requests(8)} == {200}
        server.kill()
        await gateway.requests(8)
        answers = await gateway.requests(8)
        assert Counter(answer.status_code for answer in answers) == {503: 8}
        for answer in answers:
            clear(answer)


async def test_a_limit_adds_one_round_trip(factory: GatewayFactory, server: RedisServer, proxy: TcpProxy) -> None:
    async with running(factory, f"redis://127.0.0.1:{proxy.port}", "closed") as gateway:
        await gateway.requests(CLIENTS)
        while proxy.pieces < 2 * CLIENTS:
            await asyncio.sleep(0.01)
        gateway.gateway._sharing.cancel()  # type: ignore[union-attr]
        await asyncio.sleep(0.1)
        before = proxy.pieces
        await gateway.requests(50)
        assert proxy.pieces - before == 2 * 50, "there and back again"


async def test_what_one_gateway_sets_aside_another_leaves_alone(factory: GatewayFactory, server: RedisServer) -> None:
    target = Target("openai", "gpt-4o-mini")
    async with running(factory, server.url, "open") as one, running(factory, server.url, "open") as other:
        one.gateway.health.cool_down(target, 60, "too many failures")
        async with asyncio.timeout(20):
            while other.gateway.health.available(target):
                await asyncio.sleep(0.05)
        assert "too many failures" in str(other.gateway.health.resting())
        one.gateway.health.recover(target)
        async with asyncio.timeout(20):
            while not other.gateway.health.available(target):
                await asyncio.sleep(0.05)


async def test_two_gateways_count_together(factory: GatewayFactory, server: RedisServer) -> None:
    async with running(factory, server.url, "closed") as one, running(factory, server.url, "closed") as other:
        await asyncio.gather(one.requests(60), other.requests(60))
        counted = await one.gateway.store.run(ADD, ["counting:{all}:requests"], [0, ""])
        assert counted[0] == 120
