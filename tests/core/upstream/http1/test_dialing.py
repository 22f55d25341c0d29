"""Names, addresses and the race between them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from helicone_gw.upstream.http1 import dialing
from helicone_gw.upstream.http1.dialing import ATTEMPT_DELAY, Address, first_to_answer, interleaved
from helicone_gw.upstream.http1.wire import Origin
from tests.core.upstream.http1.serving import OK, answering, asking, serving, transport, turns, whole

V4, V6 = socket.AF_INET, socket.AF_INET6


def at(*hosts: str, port: int = 1) -> list[Address]:
    return [(V6 if ":" in host else V4, (host, port)) for host in hosts]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Names:
    """A resolver that is told what to say, and counts what it was asked."""

    def __init__(self, *answers: Sequence[Address] | OSError) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append(host)
        await turns(2)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, OSError):
            raise answer
        return answer


def test_families_take_turns_and_the_first_ones_begins() -> None:
    assert interleaved(at("::1", "::2", "::3", "1.1.1.1", "2.2.2.2")) == at("::1", "1.1.1.1", "::2", "2.2.2.2", "::3")
    assert interleaved(at("1.1.1.1", "2.2.2.2")) == at("1.1.1.1", "2.2.2.2")


# The race, in virtual time


class Net:
    """Addresses that answer after so many seconds, never, or refuse."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **hosts: float | OSError | None) -> None:
        self.hosts = hosts
        self.tried: list[tuple[str, float]] = []
        self.sockets: list[Any] = []
        monkeypatch.setattr(dialing, "_open", self._open)

    def race(self) -> Any:
        return first_to_answer([(V4, (name, 1)) for name in self.hosts])

    async def _open(self, address: Address) -> Any:
        loop = asyncio.get_running_loop()
        name = address[1][0]
        self.tried.append((name, round(loop.time() - self.start, 3)))
        answer = self.hosts[name]
        if isinstance(answer, OSError):
            raise answer
        await asyncio.sleep(1e9 if answer is None else answer)
        made = Fake(name)
        self.sockets.append(made)
        return made

    @property
    def start(self) -> float:
        if not hasattr(self, "_start"):
            self._start = asyncio.get_running_loop().time()
        return self._start


class Fake:
    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.mark.virtual_time
async def test_the_first_address_has_a_head_start(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(monkeypatch, a=ATTEMPT_DELAY / 2, b=0.0)
    assert (await net.race()).name == "a"
    assert net.tried == [("a", 0.0)]


@pytest.mark.virtual_time
async def test_a_silent_address_is_overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(monkeypatch, a=None, b=None, c=0.1)
    assert (await net.race()).name == "c"
    assert net.tried == [("a", 0.0), ("b", ATTEMPT_DELAY), ("c", 2 * ATTEMPT_DELAY)]
    await turns(3)
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.virtual_time
async def test_a_refusal_makes_the_next_one_start_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(monkeypatch, a=ConnectionRefusedError(111, "refused"), b=0.0)
    assert (await net.race()).name == "b"
    assert net.tried == [("a", 0.0), ("b", 0.0)]


@pytest.mark.virtual_time
async def test_when_none_answers_the_first_ones_error_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    first = ConnectionRefusedError(111, "refused")
    net = Net(monkeypatch, a=first, b=OSError(113, "no route"))
    with pytest.raises(ConnectionRefusedError) as raised:
        await net.race()
    assert raised.value is first


@pytest.mark.virtual_time
async def test_those_that_answer_too_late_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(monkeypatch, a=ATTEMPT_DELAY + 0.1, b=0.1)
    winner = await net.race()
    await turns(3)
    assert [each.closed for each in net.sockets] == [each is not winner for each in net.sockets]


@pytest.mark.virtual_time
@pytest.mark.parametrize("when", [0.0, 0.3, 0.35, 0.4, 0.6])
async def test_a_race_may_be_called_off_at_any_moment(monkeypatch: pytest.MonkeyPatch, when: float) -> None:
    net = Net(monkeypatch, a=None, b=0.1, c=None)
    task = asyncio.ensure_future(net.race())
    await asyncio.sleep(when)
    task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    await turns(3)
    assert all(each.closed for each in net.sockets if each is not result)
    assert len(asyncio.all_tasks()) == 1


# Over the network


async def test_a_name_whose_first_addresses_refuse() -> None:
    async with serving(answering(OK)) as server:
        port = server.origin.port
        addresses = [(V6, ("::1", port)), (V4, ("127.0.0.2", port)), (V4, ("127.0.0.1", port))]
        async with transport(resolve=Names(addresses)) as made:
            assert await whole(made, asking(Origin("http", "llm.example", port))) == b"ok"


async def test_nobody_listens() -> None:
    async with transport() as made:
        with pytest.raises(httpx.ConnectError) as raised:
            await made.send(asking(Origin("http", "127.0.0.1", free_port())))
        assert isinstance(raised.value.__cause__, ConnectionRefusedError)
        assert made.counters.failed == 1


@pytest.mark.parametrize("host", ["nobody.invalid", "a" * 64 + ".invalid", "a..b"])
async def test_names_that_nobody_has(host: str) -> None:
    async with transport() as made:
        with pytest.raises(httpx.ConnectError):
            await made.send(asking(Origin("http", host, 80)))


async def test_a_connection_that_nobody_accepts_takes_so_long_and_no_longer() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        filling = [socket.socket() for _ in range(4)]
        for each in filling:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        async with transport(connect=0.05) as made:
            with pytest.raises(httpx.ConnectTimeout):
                await made.send(asking(Origin("http", "127.0.0.1", port)))
        for each in filling:
            each.close()


async def test_a_pinned_address_is_where_it_goes_and_nobody_is_asked() -> None:
    names = Names(OSError("nobody may ask"))
    async with serving(answering(OK)) as server, transport(resolve=names) as made:
        origin = server.origin._replace(host="llm.example", address="127.0.0.1")
        assert await whole(made, asking(origin)) == b"ok"
    assert names.asked == []


async def test_a_name_is_asked_for_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answering(OK)) as server:
        origin = server.origin._replace(host="llm.example")
        names = Names(at("127.0.0.1", port=origin.port))
        async with transport(resolve=names) as made:
            await asyncio.gather(*(whole(made, asking(origin)) for _ in range(5)))
            assert made.counters.opened == 5
            assert names.asked == ["llm.example"]
            for entry in list(made._dialer._known):
                made._dialer._known[entry] = (0.0, made._dialer._known[entry][1])
            await asyncio.gather(*(whole(made, asking(origin)) for _ in range(6)))
            assert len(names.asked) == 2


async def test_failures_are_not_remembered_and_nor_are_addresses_that_fail() -> None:
    async with serving(answering(OK)) as server:
        origin = server.origin._replace(host="llm.example")
        names = Names(
            socket.gaierror(-3, "later"), at("127.0.0.1", port=free_port()), at("127.0.0.1", port=origin.port)
        )
        async with transport(resolve=names) as made:
            for _ in range(2):
                with pytest.raises(httpx.ConnectError):
                    await made.send(asking(origin))
            assert await whole(made, asking(origin)) == b"ok"


async def test_names_that_are_remembered_are_bounded() -> None:
    async with (
        serving(answering(OK)) as server,
        transport(resolve=Names(at("127.0.0.1", port=server.origin.port))) as made,
    ):
        made._dialer._known.update({(str(n), 1): (1e9, []) for n in range(dialing.MAX_NAMES)})
        await whole(made, asking(server.origin._replace(host="llm.example")))
        assert len(made._dialer._known) == dialing.MAX_NAMES
        assert ("0", 1) not in made._dialer._known


async def test_whoever_asked_for_a_name_may_leave_and_others_get_it() -> None:
    async with serving(answering(OK)) as server:
        origin = server.origin._replace(host="llm.example")
        names = Names(at("127.0.0.1", port=origin.port))
        async with transport(resolve=names) as made:
            first, second = (asyncio.ensure_future(whole(made, asking(origin))) for _ in range(2))
            await turns(2)
            first.cancel()
            assert await second == b"ok"
            assert names.asked == ["llm.example"]


@pytest.mark.parametrize("options", [{}, {"host": "::1"}])
async def test_what_is_set_on_a_socket(options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    made_sockets: list[socket.socket] = []
    real: Callable[[Address], Any] = dialing._open

    async def noting(address: Address) -> socket.socket:
        made_sockets.append(await real(address))
        sock = made_sockets[-1]
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        return sock

    monkeypatch.setattr(dialing, "_open", noting)
    async with serving(answering(OK), **options) as server, transport() as made:
        assert await whole(made, asking(server)) == b"ok"
    assert len(made_sockets) == 1
