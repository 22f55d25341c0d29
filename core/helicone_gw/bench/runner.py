"""The whole run: every subject in its own process, what costs CPU in turns, the rest one by one, and the report."""

from __future__ import annotations

import platform
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from helicone_gw.bench import accounting
from helicone_gw.bench.cases import UNARY, Case, why_not
from helicone_gw.bench.helpers import LoadFailed, LoadGenerator, load_generator, mock_provider
from helicone_gw.bench.measure import Effort, Measurement, Place, Turn
from helicone_gw.bench.processes import DidNotStart, Probe, cores, free_port, running
from helicone_gw.bench.report import PROVIDER, Machine, Report, Row
from helicone_gw.bench.subjects import ExternalSubject, GatewaySubject, Profile, Subject, cpu_model
from helicone_gw.bench.workload import PATH, request_body

STARTS = 3
WARM = Case(name="warm-up", title="warm-up")

Progress = Callable[[str], None]


@dataclass
class Taking:
    """A subject's turns in one case, so far."""

    subject: str
    measurement: Measurement
    case: Case
    turns: list[Turn] = field(default_factory=list)
    failed: bool = False


@dataclass
class Run:
    """One run of the benchmark, and its rows so far."""

    effort: Effort
    progress: Progress
    load: LoadGenerator
    provider: int
    provider_pid: int
    core: Sequence[int]
    all_cores: Sequence[int]
    directory: Path
    rows: list[Row] = field(default_factory=list)
    _started: int = 0

    def direct(self, cases: Sequence[Case]) -> None:
        """Measure the provider by itself: the latency that others add to."""
        measurement = Measurement(self._provider_place(), self.load, self.effort)
        measurement.warm_up(WARM, 1000)
        for case in cases:
            if case.everyone and case.kind == "open":
                self._measure(PROVIDER, measurement, case)

    def in_turns(self, subjects: Sequence[Subject], cases: Sequence[Case]) -> None:
        """Measure the CPU of all subjects in all their cases without a rate: all run, and they take turns.

        A machine that is slow for a minute is so for everyone: within a round each subject has one turn of each case.
        """
        with ExitStack() as stack:
            provider = Measurement(self._provider_place(), self.load, self.effort)
            taking = [
                Taking(PROVIDER, provider, case)
                for case in cases
                if case.profile == "default" and case.everyone and case.kind == "closed"
            ]
            for subject in subjects:
                meant = [case for case in self._meant(subject, cases) if case.kind == "closed"]
                for profile in dict.fromkeys(case.profile for case in meant):
                    theirs = [case for case in meant if case.profile == profile]
                    measurement = self._running(stack, subject, profile, theirs)
                    if measurement is not None:
                        taking += [Taking(subject.name, measurement, case) for case in theirs]
            rounds = max((self.effort.turns_of(one.case) for one in taking), default=0)
            for number in range(rounds):
                self.progress(
                    f"round {number + 1} of {rounds}: {', '.join(dict.fromkeys(t.case.name for t in taking))}"
                )
                for one in taking:
                    if number < self.effort.turns_of(one.case):
                        self._turn(one)
            self.rows += [one.measurement.closed(one.case, one.turns) for one in taking if not one.failed]

    def alone(self, subject: Subject, cases: Sequence[Case]) -> None:
        """Measure a subject's latency at a rate, its memory and its start, with nothing else running."""
        meant = self._meant(subject, cases)
        paced = [case for case in meant if case.kind == "open"]
        for profile in dict.fromkeys(case.profile for case in paced):
            self._profile(subject, profile, [case for case in paced if case.profile == profile])
        for case in meant:
            if case.kind == "memory":
                self._profile(subject, case.profile, [case])
            elif case.kind == "start" and not subject.external:
                self._start(subject, case)

    def skipped(self, subject: Subject, cases: Sequence[Case]) -> None:
        """Say in which cases a subject is not measured though one might look for it."""
        for case in cases:
            if reason := self._why_not(subject, case):
                self.rows.append(Row(case=case.name, subject=subject.name, skipped=reason))

    def _meant(self, subject: Subject, cases: Sequence[Case]) -> list[Case]:
        return [case for case in cases if self._why_not(subject, case) is None]

    def _why_not(self, subject: Subject, case: Case) -> str | None:
        return why_not(
            case,
            gateway=isinstance(subject, GatewaySubject),
            weight=subject.weight,
            profiles=subject.profiles,
            cache=subject.has_cache,
        )

    def _provider_place(self) -> Place:
        return Place(subject=PROVIDER, port=self.provider, pid=self.provider_pid, headers={}, exact=True)

    def _running(
        self, stack: ExitStack, subject: Subject, profile: Profile, cases: Sequence[Case], *, warm: bool = True
    ) -> Measurement | None:
        """The subject, running until ``stack`` ends; ``None`` where it would not, and the rows of its cases say so."""
        try:
            place, _ = stack.enter_context(self._place(subject, profile))
            measurement = Measurement(place, self.load, self.effort, subject.weight)
            if warm:
                self.progress(f"{subject.name}: warming up")
                measurement.warm_up(WARM, int(subject.warmup * min(1.0, self.effort.share)))
        except DidNotStart as problem:
            self._failed(subject.name, cases, "did not start", str(problem))
        except LoadFailed as problem:
            self._failed(subject.name, cases, str(problem), "")
        else:
            return measurement
        return None

    def _turn(self, one: Taking) -> None:
        if one.failed:
            return
        try:
            turn = one.measurement.turn(one.case)
        except LoadFailed as problem:
            one.failed = True
            self._failed(one.subject, [one.case], str(problem), "")
        else:
            if turn.outcome.bad:
                self.progress(f"{one.subject}: {one.case.name}: {turn.outcome.bad} bad answers: {turn.outcome.faults}")
            one.turns.append(turn)

    def _profile(self, subject: Subject, profile: Profile, cases: Sequence[Case]) -> None:
        with ExitStack() as stack:
            measurement = self._running(stack, subject, profile, cases, warm=cases[0].kind != "memory")
            if measurement is not None:
                for case in cases:
                    self._measure(subject.name, measurement, case)

    def _measure(self, subject: str, measurement: Measurement, case: Case) -> None:
        self.progress(f"{subject}: {case.name}, {case.title}")
        try:
            if case.kind == "memory":
                row = measurement.memory(case)
            else:
                direct = next((row for row in self.rows if (row.case, row.subject) == (case.name, PROVIDER)), None)
                row = measurement.open(case, direct)
        except LoadFailed as problem:
            self._failed(subject, [case], str(problem), "")
        else:
            if row.bad:
                self.progress(f"{subject}: {case.name}: {row.bad} bad answers: {row.faults}")
            self.rows.append(row)

    def _start(self, subject: Subject, case: Case) -> None:
        self.progress(f"{subject.name}: {case.name}, {case.title}")
        try:
            times = []
            for _ in range(STARTS if subject.weight >= 1 else 1):
                with self._place(subject, case.profile) as (_, seconds):
                    times.append(seconds)
        except DidNotStart as problem:
            self._failed(subject.name, [case], "did not start", str(problem))
        else:
            row = Row(case=case.name, subject=subject.name, start_seconds=round(statistics.median(times), 3))
            self.rows.append(row)

    def _failed(self, subject: str, cases: Sequence[Case], reason: str, details: str) -> None:
        self.progress(f"{subject}: {reason} {details}".rstrip())
        self.rows += [Row(case=case.name, subject=subject, failed=reason) for case in cases]

    @contextmanager
    def _place(self, subject: Subject, profile: Profile) -> Iterator[tuple[Place, float]]:
        """The subject, running; where it is, and the seconds from its start to its first answer."""
        headers = subject.request_headers(self.provider)
        if isinstance(subject, ExternalSubject):
            yield (
                Place(
                    subject=subject.name,
                    host=subject.host,
                    port=subject.port,
                    path=subject.path,
                    pid=subject.pid,
                    headers=headers,
                    exact=subject.exact,
                ),
                0.0,
            )
            return
        self._started += 1
        directory = self.directory / str(self._started)
        directory.mkdir()
        port = free_port()
        sdk = {"content-type": "application/json", "authorization": "Bearer sk-bench"}
        probe = Probe(port, PATH, {**sdk, **headers}, request_body(1024, UNARY))
        several = isinstance(subject, GatewaySubject) and subject.workers > 1
        launch = subject.launch(directory, port, self.provider, profile)
        with running(launch, probe, directory, on=self.all_cores if several else self.core) as program:
            place = Place(subject=subject.name, port=port, pid=program.pid, headers=headers, exact=subject.exact)
            yield place, program.start_seconds


def run(
    subjects: Sequence[Subject],
    cases: Sequence[Case],
    effort: Effort,
    progress: Progress,
    *,
    quick: bool = False,
    provider_port: int = 0,
) -> Report:
    """Measure every subject in every case that is meant for it.

    Where there are two cores, the program under test has the first for itself, and the provider and the load share the
    last. Raises `LoadFailed` when the provider or the load generator cannot run.
    """
    available = cores()
    pinned = len(available) > 1
    first, last = (available[:1], available[-1:]) if pinned else ([], [])
    notes = [] if pinned else ["Not pinned to cores: there is only one, or this system does not offer it."]
    if not accounting.available():
        notes.append("CPU and memory are unavailable: they are read from Linux's /proc.")
    with (
        tempfile.TemporaryDirectory(prefix="helicone-gw-bench-") as directory,
        mock_provider(last, provider_port) as (port, pid),
        load_generator(last) as load,
    ):
        this = Run(effort, progress, load, port, pid, first, available if pinned else [], Path(directory))
        this.in_turns(subjects, cases)
        this.direct(cases)
        for subject in subjects:
            this.skipped(subject, cases)
            this.alone(subject, cases)
    names = [PROVIDER, *(subject.name for subject in subjects)]
    order = {(case.name, name): number for number, (case, name) in enumerate(product(cases, names))}
    return Report(
        date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        quick=quick,
        machine=Machine(
            cpu=cpu_model(),
            cores=len(available) or 1,
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            pinned=pinned,
        ),
        versions={subject.name: subject.version for subject in subjects},
        notes=notes,
        rows=sorted(this.rows, key=lambda row: order[row.case, row.subject]),
    )
