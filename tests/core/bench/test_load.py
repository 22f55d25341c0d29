"""The load generator: exact counts, bad answers found, and a schedule that a stall does not stretch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from helicone_gw.bench.load import CannotConnect, Load, request_bytes
from helicone_gw.bench.plan import Outcome, Plan, quantiles
from helicone_gw.bench.workload import Script, reply, request_body, stream_events
from helicone_gw.testing.loop import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time

Answer = Callable[[int], tuple[bytes | None, float]]
"""What is answered to the n-th request, and after how many seconds; ``None`` breaks the connection."""


class ScriptedTransport(asyncio.Transport):
    """A connection to a scripted server, without a socket: time in it is the loop's, and exact."""

    def __init__(self, server: ScriptedServer, protocol: asyncio.Protocol) -> None:
        super().__init__({"socket": _Socket()})
        self._server = server
        self._protocol = protocol
        self._open = True

    def write(self, data: Any) -> None:
        assert data == self._server.request
        body, seconds = self._server.answer(len(self._server.received))
        self._server.received.append(asyncio.get_running_loop().time())
        asyncio.get_running_loop().call_later(seconds, self._deliver, body)

    def abort(self) -> None:
        if self._open:
            self._open = False
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def _deliver(self, data: bytes | None) -> None:
        if data is None:
            self.abort()
        elif self._open:
            self._protocol.data_received(data)


class _Socket:
    def setsockopt(self, *_: int) -> None:
        pass


class ScriptedServer:
    """Answers as it is told, and remembers when requests came."""

    def __init__(self, plan: Plan, answer: Answer) -> None:
        self.request = request_bytes(plan)
        self.answer = answer
        self.received: list[float] = []
        self.connections = 0

    async def connect(self, factory: Callable[[], asyncio.Protocol], host: str, port: int) -> Any:
        self.connections += 1
        protocol = factory()
        transport = ScriptedTransport(self, protocol)
        protocol.connection_made(transport)
        return transport, protocol


async def carry_out(plan: Plan, answer: Answer, monkeypatch: pytest.MonkeyPatch) -> tuple[Outcome, ScriptedServer]:
    loop = asyncio.get_running_loop()
    server = ScriptedServer(plan, answer)
    monkeypatch.setattr(loop, "create_connection", server.connect)
    outcome = await Load(plan, clock=loop.time, early=0).run()
    return outcome, server


def good(_: int) -> tuple[bytes, float]:
    return reply(), 0.01


async def test_exactly_so_many_requests_are_sent_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, server = await carry_out(Plan(port=1, requests=23, connections=4), good, monkeypatch)
    assert len(server.received) == outcome.requests == 23
    assert (outcome.bad, server.connections, outcome.reconnects) == (0, 4, 0)
    assert outcome.latency is not None
    assert outcome.latency.p50 == outcome.latency.max == pytest.approx(10)
    assert outcome.seconds == pytest.approx(0.06)


async def test_fewer_requests_than_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, server = await carry_out(Plan(port=1, requests=2, connections=4), good, monkeypatch)
    assert (len(server.received), outcome.bad) == (2, 0)


async def test_every_bad_answer_is_counted_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def sometimes(number: int) -> tuple[bytes | None, float]:
        wrong = {
            3: b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
            5: reply().replace(b"fox", b"cat"),
            7: None,
            9: b"garbage\r\n\r\n",
        }
        return wrong.get(number, reply()), 0.01

    outcome, server = await carry_out(Plan(port=1, requests=20, connections=2), sometimes, monkeypatch)
    assert outcome.faults == {"status 503": 1, "bytes differ": 1, "connection lost": 2}
    assert (outcome.bad, len(server.received), outcome.reconnects, server.connections) == (4, 20, 2, 4)


async def test_a_corrupted_a_missing_and_a_moved_event_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    events = list(stream_events(8))
    streams = {
        1: [*events[:3], events[3].replace(b"choices", b"chances"), *events[4:]],
        2: events[:3] + events[4:],
        3: [*events[:2], events[3], events[2], *events[4:]],
    }

    def streamed(number: int) -> tuple[bytes, float]:
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in streams.get(number, events))
        return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n", 0.01

    plan = Plan(port=1, requests=6, connections=1, script=Script(events=8))
    outcome, _ = await carry_out(plan, streamed, monkeypatch)
    assert outcome.faults == {"bytes differ": 1, "event missing": 1, "events out of order": 1}
    assert outcome.events == 6 * 9 - 1


async def test_a_reply_that_ends_its_connection_is_good_and_another_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    closing = reply().replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
    outcome, server = await carry_out(Plan(port=1, requests=5, connections=1), lambda _: (closing, 0.01), monkeypatch)
    assert (outcome.bad, len(server.received)) == (0, 5)
    assert outcome.reconnects == 4


async def test_what_is_not_answered_in_time_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(number: int) -> tuple[bytes, float]:
        return reply(), 1e6 if number == 3 else 0.01

    outcome, _ = await carry_out(Plan(port=1, requests=10, connections=1, patience=60), silent, monkeypatch)
    assert outcome.faults == {"no answer": 7}
    assert outcome.seconds == pytest.approx(60)


async def test_requests_are_sent_at_their_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(port=1, requests=50, connections=8, rate=100)
    outcome, server = await carry_out(plan, good, monkeypatch)
    gaps = [later - earlier for earlier, later in zip(server.received, server.received[1:], strict=False)]
    assert gaps == pytest.approx([0.01] * 49)
    assert outcome.latency is not None
    assert outcome.latency.max == pytest.approx(10, abs=0.01)


async def test_latency_at_a_rate_has_the_wait_behind_a_stall_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection, ten a second, and a server that stalls for one second: ten requests waited, not one."""

    def stalling(number: int) -> tuple[bytes, float]:
        return reply(), 1.0 if number == 0 else 0.0

    outcome, server = await carry_out(Plan(port=1, requests=20, connections=1, rate=10), stalling, monkeypatch)
    assert len(server.received) == 20
    assert outcome.latency is not None
    # 1000, 900, 800, ..., 100 and then nothing: half of them waited.
    assert outcome.latency.max == pytest.approx(1000, abs=1)
    assert outcome.latency.p90 == pytest.approx(800, abs=1)
    assert outcome.latency.p50 == pytest.approx(0, abs=1)


async def test_a_generator_that_came_late_does_not_flatter_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator itself stood still for half a second: what was due meanwhile is late by then."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)

    def standing_still(number: int) -> tuple[bytes, float]:
        if number == 2:
            loop.clock.advance(0.5)
        return reply(), 0.01

    outcome, _ = await carry_out(Plan(port=1, requests=60, connections=8, rate=100), standing_still, monkeypatch)
    assert outcome.latency is not None
    # Due at 30 ms, sent at 520, answered at 530; and the one that was sent at 20 ms was answered then too.
    assert outcome.latency.max == pytest.approx(510, abs=1)
    assert outcome.latency.p50 > 200


async def test_the_closed_loop_feels_the_same_stall_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def stalling(number: int) -> tuple[bytes, float]:
        return reply(), 1.0 if number == 0 else 0.001

    outcome, _ = await carry_out(Plan(port=1, requests=20, connections=1), stalling, monkeypatch)
    assert outcome.latency is not None
    assert outcome.latency.p90 == pytest.approx(1)


async def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: Any) -> Any:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", refused)
    with pytest.raises(CannotConnect, match="Connection refused"):
        await Load(Plan(port=1, requests=1)).run()


async def test_a_server_that_goes_away_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(port=1, requests=5, connections=1)
    server = ScriptedServer(plan, lambda _: (None, 0.01))
    loop = asyncio.get_running_loop()

    async def once(*arguments: Any) -> Any:
        if server.connections:
            raise ConnectionRefusedError(111, "Connection refused")
        return await server.connect(*arguments)

    monkeypatch.setattr(loop, "create_connection", once)
    with pytest.raises(CannotConnect):
        await Load(plan, clock=loop.time, early=0).run()


async def test_a_request_is_an_sdks_and_its_own_headers_win() -> None:
    plan = Plan(port=8080, requests=1, headers={"Authorization": "Bearer mine", "x-more": "1"})
    head, _, body = request_bytes(plan).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/chat/completions HTTP/1.1"
    assert {"host: 127.0.0.1:8080", "authorization: Bearer mine", "x-more: 1", "content-length: 1024"} <= set(lines)
    assert body == request_body(1024, Script())


async def test_quantiles_are_of_those_that_were_measured() -> None:
    assert quantiles([]) is None
    found = quantiles([number / 1000 for number in range(1, 102)])
    assert found is not None
    assert (found.p50, found.p90, found.p99, found.max) == (51, 91, 100, 101)
