"""One program, one case: warm up, load, and read the CPU and memory of its process tree around the load."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import msgspec

from helicone_gw.bench.accounting import CpuTime, cpu_time, rss_mib
from helicone_gw.bench.cases import Case
from helicone_gw.bench.helpers import LoadGenerator
from helicone_gw.bench.plan import Outcome, Plan, Quantiles
from helicone_gw.bench.report import Added, Row
from helicone_gw.bench.workload import PATH

SETTLE = 0.6
"""Seconds after a load for what it left to be done: a log's last batch is part of its cost."""

EARLY, LATE = 1, 10
"""In the case about memory: RSS after so many times its requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a program under test is reached, and its process, if that is known."""

    subject: str
    host: str = "127.0.0.1"
    port: int
    path: str = PATH
    pid: int | None
    headers: dict[str, str]
    exact: bool


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is asked: the share of a case's requests, in how many turns, and a cap on connections."""

    share: float = 1.0
    turns: int = 15
    connections: int | None = None
    requests: int | None = None

    def requests_of(self, case: Case, weight: float) -> int:
        """How many requests ``case`` takes in all; never fewer than there are connections."""
        wanted = case.requests if self.requests is None else self.requests
        # At a rate the time is the same for everyone.
        share = self.share * (weight if case.kind == "closed" else 1.0)
        return max(self.connections_of(case), ceil(wanted * share))

    def turns_of(self, case: Case) -> int:
        """In how many turns ``case`` is measured: what keeps a pace takes seconds each time, and gets a fifth."""
        return max(1, self.turns // 5) if case.keeps_pace else self.turns

    def connections_of(self, case: Case) -> int:
        """How many connections a measurement of ``case`` takes."""
        return case.connections if self.connections is None else min(self.connections, case.connections)


class Turn(NamedTuple):
    """What one turn asked for, what became of it, and the seconds of CPU that it took, where they are known."""

    requests: int
    outcome: Outcome
    cpu: float | None


class Measurement:
    """Measures one running program. Raises `LoadFailed` where it accepts no connections."""

    def __init__(self, place: Place, load: LoadGenerator, effort: Effort, weight: float = 1.0) -> None:
        self._place = place
        self._load = load
        self._effort = effort
        self._weight = weight

    def warm_up(self, case: Case, requests: int) -> None:
        """Bring the program to its steady state."""
        self._run(case, max(self._effort.connections_of(case), requests), rate=None)

    def turn(self, case: Case) -> Turn:
        """One turn of a case without a rate: its share of the requests, and what they cost.

        Half as many go before, uncounted: since its last turn other programs have had the core's caches.
        """
        connections = self._effort.connections_of(case)
        requests = ceil(self._effort.requests_of(case, self._weight) / self._effort.turns_of(case))
        requests = max(connections, requests)
        self.warm_up(case, requests // 2)
        return Turn(requests, *self._with_cpu(case, requests))

    def closed(self, case: Case, turns: Sequence[Turn]) -> Row:
        """CPU per request and per event, of all turns."""
        runs = [round(turn.cpu * 1e6 / turn.requests, 2) for turn in turns if turn.cpu is not None]
        cpu = _undisturbed(runs)
        outcome = _worst([turn.outcome for turn in turns])
        per_event = cpu * outcome.requests / outcome.events if cpu is not None and outcome.events else None
        row = self._row(case, outcome, cpu=cpu, per_event=per_event, runs=runs)
        return msgspec.structs.replace(
            row, requests=sum(turn.requests for turn in turns), events=sum(turn.outcome.events for turn in turns)
        )

    def open(self, case: Case, direct: Row | None) -> Row:
        """Latency at a fixed rate, and what it is more than ``direct``, the same without the program."""
        requests = self._effort.requests_of(case, self._weight)
        self.warm_up(case, requests // 10)
        outcome, seconds = self._with_cpu(case, requests, rate=case.rate)
        cpu = None if seconds is None else seconds * 1e6 / requests
        per_event = cpu * requests / outcome.events if cpu is not None and outcome.events else None
        return self._row(case, outcome, cpu=cpu, per_event=per_event, added=_added(outcome, direct))

    def memory(self, case: Case) -> Row:
        """RSS after the case's requests and after ten times as many."""
        requests = self._effort.requests_of(case, self._weight)
        self._run(case, EARLY * requests, rate=None)
        early = self._rss()
        outcome = self._run(case, (LATE - EARLY) * requests, rate=None)
        return self._row(case, outcome, early=early)

    def _with_cpu(self, case: Case, requests: int, *, rate: float | None = None) -> tuple[Outcome, float | None]:
        before = self._cpu()
        outcome = self._run(case, requests, rate=rate)
        time.sleep(SETTLE)
        after = self._cpu()
        return outcome, None if before is None or after is None else after.since(before)

    def _run(self, case: Case, requests: int, *, rate: float | None) -> Outcome:
        place = self._place
        return self._load.run(
            Plan(
                host=place.host,
                port=place.port,
                path=place.path,
                headers={**place.headers, **case.headers},
                script=case.script,
                body_size=case.body_size,
                exact=place.exact,
                requests=requests,
                connections=self._effort.connections_of(case),
                rate=rate,
            )
        )

    def _cpu(self) -> CpuTime | None:
        return None if self._place.pid is None else cpu_time(self._place.pid)

    def _rss(self) -> float | None:
        time.sleep(SETTLE)
        return None if self._place.pid is None else rss_mib(self._place.pid)

    def _row(
        self,
        case: Case,
        outcome: Outcome,
        *,
        cpu: float | None = None,
        per_event: float | None = None,
        runs: list[float] | None = None,
        added: Added | None = None,
        early: float | None = None,
    ) -> Row:
        return Row(
            case=case.name,
            subject=self._place.subject,
            requests=outcome.requests,
            events=outcome.events,
            bad=outcome.bad,
            faults=outcome.faults,
            cpu_us_request=_rounded(cpu),
            cpu_us_event=_rounded(per_event, 3),
            cpu_us_runs=runs or [],
            latency=outcome.latency,
            first_byte=outcome.first_byte,
            added=added,
            rss_mib=_rounded(self._rss(), 1),
            rss_early_mib=_rounded(early, 1),
        )


def _worst(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome with the most bad answers: none of them is to go unseen."""
    return max(outcomes, key=lambda outcome: outcome.bad)


def _undisturbed(runs: Sequence[float]) -> float | None:
    """The lower quartile (nearest rank): what else a machine does only ever adds to what a program costs."""
    return sorted(runs)[(len(runs) - 1) // 4] if runs else None


def _added(outcome: Outcome, direct: Row | None) -> Added | None:
    if direct is None or None in (outcome.latency, outcome.first_byte, direct.latency, direct.first_byte):
        return None

    def more(mine: Quantiles | None, theirs: Quantiles | None, which: Callable[[Quantiles], float]) -> float:
        assert mine is not None
        assert theirs is not None
        return round(which(mine) - which(theirs), 3)

    return Added(
        more(outcome.latency, direct.latency, lambda found: found.p50),
        more(outcome.latency, direct.latency, lambda found: found.p99),
        more(outcome.first_byte, direct.first_byte, lambda found: found.p50),
        more(outcome.first_byte, direct.first_byte, lambda found: found.p99),
    )


def _rounded(value: float | None, digits: int = 2) -> float | None:
    return None if value is None else round(value, digits)
