"""What the log costs a request of 1 KB: ``python -m tests.bench.log_cost --help``.

Gateways with ``logging`` and without any plugin run beside each other on one core and take turns; in each the other
programs' traces in the caches are there for both. What is told is CPU by the scheduler's count, of the event loop's
thread and of all others (writer, journal, bodies, sums), in microseconds of each request, and the difference.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from helicone_gw.bench.accounting import CpuTime, cpu_time
from helicone_gw.bench.helpers import LoadGenerator, load_generator, mock_provider
from helicone_gw.bench.plan import Plan
from helicone_gw.bench.processes import Probe, cores, free_port, running
from helicone_gw.bench.subjects import GatewaySubject, gateway
from helicone_gw.bench.workload import PATH, Script, request_body

SETTLE = 1.0
"""Seconds behind a turn in which what waits is written."""
HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-bench"}


class Spent(NamedTuple):
    """Microseconds of CPU a request."""

    loop: float
    beside: float


class Gateway:
    """A gateway that runs: turns, and what they cost."""

    def __init__(self, port: int, pid: int, load: LoadGenerator) -> None:
        self._port, self._pid, self._load = port, pid, load
        self.turns: list[Spent] = []

    def ask(self, requests: int) -> None:
        """Send so many, over sixteen connections. A bad answer ends the measurement."""
        plan = Plan(port=self._port, headers=HEADERS, requests=requests)
        outcome = self._load.run(plan)
        if outcome.bad:
            raise SystemExit(f"{outcome.bad} bad answers: {outcome.faults}")

    def turn(self, requests: int) -> None:
        """Send so many, and note what they cost."""
        before = self._spent()
        self.ask(requests)
        time.sleep(SETTLE)
        now, main = self._spent(), (self._pid, self._pid)
        used = {thread: seconds - before.threads.get(thread, 0.0) for thread, seconds in now.threads.items()}
        loop = used.pop(main)
        self.turns.append(Spent(loop * 1e6 / requests, sum(used.values()) * 1e6 / requests))

    def _spent(self) -> CpuTime:
        spent = cpu_time(self._pid)
        if spent is None:
            raise SystemExit("CPU is read from Linux's /proc, which is not there.")
        return spent


def main() -> None:
    """Measure, and print one line."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--engine", default="hypercorn", help="hypercorn (default) or uvicorn")
    asked.add_argument("--turns", type=int, default=13, help="turns of each gateway (13)")
    asked.add_argument("--requests", type=int, default=1000, help="requests of a turn (1000)")
    options = asked.parse_args()
    available = cores()
    first, last = (available[:1], available[-1:]) if len(available) > 1 else ([], [])
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="helicone-gw-log-cost-")))
        provider, _ = stack.enter_context(mock_provider(last))
        load = stack.enter_context(load_generator(last))

        def started(name: str, subject: GatewaySubject) -> Gateway:
            place, port = directory / name, free_port()
            place.mkdir()
            probe = Probe(port, PATH, HEADERS, request_body(1024, Script()))
            launch = subject.launch(place, port, provider, "default")
            program = stack.enter_context(running(launch, probe, place, on=first))
            return Gateway(port, program.pid, load)

        without = started("without", gateway(options.engine, "fast"))
        logging = started("logging", gateway(options.engine, "fast", plugins=["logging"]))
        for each in (without, logging):
            each.ask(3000)
        for _ in range(options.turns):
            for each in (without, logging):
                each.turn(options.requests)
    for word, of in (("least", min), ("quarter", _quarter), ("median", statistics.median)):
        plain, loop = of([one.loop for one in without.turns]), of([one.loop for one in logging.turns])
        beside = of([one.beside for one in logging.turns])
        print(f"{word:8} loop {loop:6.1f} - {plain:6.1f} = {loop - plain:5.1f} us, beside {beside:5.1f} us")


def _quarter(values: list[float]) -> float:
    return sorted(values)[(len(values) - 1) // 4]


if __name__ == "__main__":
    main()
