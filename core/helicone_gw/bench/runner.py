"""The whole run: every subject in its own process, each case on it, one after the other, and the report of it all."""

from __future__ import annotations

import platform
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from helicone_gw.bench import accounting
from helicone_gw.bench.cases import UNARY, Case, why_not
from helicone_gw.bench.helpers import LoadFailed, LoadGenerator, load_generator, mock_provider
from helicone_gw.bench.measure import Effort, Measurement, Place
from helicone_gw.bench.processes import DidNotStart, Probe, cores, free_port, running
from helicone_gw.bench.report import PROVIDER, Machine, Report, Row
from helicone_gw.bench.subjects import DirectSubject, ExternalSubject, GatewaySubject, Profile, Subject, cpu_model
from helicone_gw.bench.workload import PATH, request_body

STARTS = 3
WARM = Case(name="warm-up", title="warm-up")
DIRECT = DirectSubject(name=PROVIDER)

Progress = Callable[[str], None]


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
        """Measure the provider by itself: the latency that others add to, and that its cost is small."""
        place = Place(subject=PROVIDER, port=self.provider, pid=self.provider_pid, headers={}, exact=True)
        measurement = Measurement(place, self.load, self.effort)
        measurement.warm_up(WARM, 1000)
        for case in cases:
            if case.profile == "default" and case.everyone and case.kind in ("closed", "open"):
                self._measure(measurement, case)

    def subject(self, subject: Subject, cases: Sequence[Case]) -> None:
        """Measure a subject in all cases that are meant for it."""
        meant: list[Case] = []
        for case in cases:
            reason = why_not(
                case,
                gateway=isinstance(subject, GatewaySubject),
                weight=subject.weight,
                profiles=subject.profiles,
                cache=subject.has_cache,
            )
            if reason is None:
                meant.append(case)
            elif reason:
                self.rows.append(Row(case=case.name, subject=subject.name, skipped=reason))
        loads = [case for case in meant if case.kind in ("closed", "open")]
        for profile in dict.fromkeys(case.profile for case in loads):
            self._profile(subject, profile, [case for case in loads if case.profile == profile])
        for case in meant:
            if case.kind == "memory":
                self._profile(subject, case.profile, [case])
            elif case.kind == "start" and not subject.external:
                self._start(subject, case)

    def _profile(self, subject: Subject, profile: Profile, cases: Sequence[Case]) -> None:
        try:
            with self._place(subject, profile) as (place, _):
                measurement = Measurement(place, self.load, self.effort, subject.weight)
                if cases[0].kind != "memory":
                    self.progress(f"{subject.name}: warming up")
                    measurement.warm_up(WARM, int(subject.warmup * min(1.0, self.effort.share)))
                for case in cases:
                    self._measure(measurement, case, subject)
        except DidNotStart as problem:
            self._failed(subject, cases, "did not start", str(problem))
        except LoadFailed as problem:
            self._failed(subject, cases, str(problem), "")

    def _measure(self, measurement: Measurement, case: Case, subject: Subject = DIRECT) -> None:
        self.progress(f"{subject.name}: {case.name}, {case.title}")
        try:
            if case.kind == "memory":
                row = measurement.memory(case)
            elif case.kind == "open":
                direct = next((row for row in self.rows if (row.case, row.subject) == (case.name, PROVIDER)), None)
                row = measurement.open(case, direct)
            else:
                row = measurement.closed(case)
        except LoadFailed as problem:
            self._failed(subject, [case], str(problem), "")
        else:
            if row.bad:
                self.progress(f"{subject.name}: {case.name}: {row.bad} bad answers: {row.faults}")
            self.rows.append(row)

    def _start(self, subject: Subject, case: Case) -> None:
        self.progress(f"{subject.name}: {case.name}, {case.title}")
        try:
            times = []
            for _ in range(STARTS if subject.weight >= 1 else 1):
                with self._place(subject, case.profile) as (_, seconds):
                    times.append(seconds)
        except DidNotStart as problem:
            self._failed(subject, [case], "did not start", str(problem))
        else:
            row = Row(case=case.name, subject=subject.name, start_seconds=round(statistics.median(times), 3))
            self.rows.append(row)

    def _failed(self, subject: Subject, cases: Sequence[Case], reason: str, details: str) -> None:
        self.progress(f"{subject.name}: {reason} {details}".rstrip())
        self.rows += [Row(case=case.name, subject=subject.name, failed=reason) for case in cases]

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
        this.direct(cases)
        for subject in subjects:
            this.subject(subject, cases)
    order = {case.name: number for number, case in enumerate(cases)}
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
        rows=sorted(this.rows, key=lambda row: order[row.case]),
    )
