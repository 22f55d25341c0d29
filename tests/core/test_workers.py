"""Worker processes: a signal that comes at any moment reaches every one of them."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from multiprocessing.context import SpawnProcess
from types import SimpleNamespace
from typing import Any

import pytest

from helicone_gw import workers
from helicone_gw.config import GatewayConfig

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def live_for_a_while(path: str, port: int) -> None:
    time.sleep(20)  # long enough to be told, short enough not to hang the tests when nobody tells


class Failing:
    """A worker that is over as soon as it was begun, without a process."""

    pid = None
    is_alive = join = start = lambda self, **how: False

    def __init__(self, exitcode: int) -> None:
        self.exitcode = exitcode


class Signalled(SpawnProcess):
    """A worker whose maker is told to stop before it has taken down that there is one more."""

    def start(self) -> None:
        super().start()
        signal.raise_signal(signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_while_a_worker_is_being_made_ends_that_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[SpawnProcess] = []

    def being_made(**how: Any) -> Signalled:
        made.append(process := Signalled(**how))
        return process

    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda method: SimpleNamespace(Process=being_made))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = GatewayConfig.model_validate({"server": {"port": port, "workers": 2}})
    assert workers.run_workers(config, "gateway.yaml", live_for_a_while, lambda url: None) == 0
    assert [worker.exitcode for worker in made] == [-signal.SIGTERM]


def test_workers_that_all_fail_end_the_program_with_the_first_ones_code(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter((3, 4, -signal.SIGTERM))
    context = SimpleNamespace(Process=lambda **how: Failing(next(codes)))
    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda method: context)
    watched = workers._Workers(live_for_a_while, "gateway.yaml", 0)
    for _ in range(3):
        watched.start()
    rounds = 0

    def joined(worker: Failing, timeout: float) -> None:
        nonlocal rounds
        rounds += 1
        assert rounds <= 3, "somebody is watched who is over"

    monkeypatch.setattr(Failing, "join", joined)
    assert watched.watch() == 3
