"""The result of a benchmark: rows of figures, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.table import Table

from helicone_gw.bench.plan import Quantiles

OURS = "helicone-gw"
TARGET = "target"
PROVIDER = "mock provider"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured. ``pinned``: the program under test had a core of its own."""

    cpu: str
    cores: int
    system: str
    python: str
    pinned: bool


class Added(msgspec.Struct, frozen=True):
    """Milliseconds more than a direct run to the provider took."""

    p50: float
    p99: float
    first_byte_p50: float
    first_byte_p99: float

    def felt(self, *, stream: bool) -> tuple[float, float]:
        """What a user feels, as p50 and p99: of a stream the first token, of a reply the whole."""
        return (self.first_byte_p50, self.first_byte_p99) if stream else (self.p50, self.p99)


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The figures of one subject in one case; `None` is a figure that was not taken or is not available.

    CPU is in microseconds of the subject's process tree, the lower quartile of ``cpu_us_runs``, one for each turn.
    ``rss_mib`` is after the case; ``rss_early_mib`` after a tenth of its requests, in the case about memory.
    """

    case: str
    subject: str
    skipped: str | None = None
    failed: str | None = None
    requests: int = 0
    events: int = 0
    bad: int = 0
    faults: dict[str, int] = {}
    cpu_us_request: float | None = None
    cpu_us_event: float | None = None
    cpu_us_runs: list[float] = []
    latency: Quantiles | None = None
    first_byte: Quantiles | None = None
    added: Added | None = None
    rss_mib: float | None = None
    rss_early_mib: float | None = None
    start_seconds: float | None = None

    @property
    def ours(self) -> bool:
        """Whether the subject is this gateway."""
        return self.subject.startswith(OURS)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the benchmark. ``date`` is ISO 8601, in UTC; ``versions`` are by subject."""

    format: int = 1
    date: str
    quick: bool
    machine: Machine
    versions: dict[str, str]
    notes: list[str] = []
    rows: list[Row]

    def row(self, case: str, subject: str) -> Row | None:
        """The figures of a subject in a case, if it was measured."""
        return next((row for row in self.rows if (row.case, row.subject) == (case, subject)), None)

    def cpu(self, case: str, subject: str, *, per_event: bool = False) -> float | None:
        """CPU per request or event of a subject in a case, if it was measured and every answer was good."""
        row = self.row(case, subject)
        if row is None or row.bad:
            return None
        return row.cpu_us_event if per_event else row.cpu_us_request

    @property
    def sound(self) -> bool:
        """Whether this gateway, or the target, did all it was asked for: nothing failed, no answer was bad."""
        return not any((row.ours or row.subject == TARGET) and (row.failed or row.bad) for row in self.rows)


def to_json(report: Report) -> bytes:
    """``report`` as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def from_json(text: bytes) -> Report:
    """The report of `to_json`. Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(text, type=Report)


COLUMNS = (
    "case",
    "subject",
    "CPU us/request",
    "us/event",
    "of nginx",
    "of Portkey",
    "of LiteLLM",
    "p50 ms",
    "p99 ms",
    "added p50",
    "added p99",
    "RSS MiB",
    "bad",
)
BASES = {"pass-through": "unary-1k", "no-bodies-1k": "unary-1k", "no-bodies-20k": "unary-20k", "cache-hit": "unary-1k"}
"""Cases of this gateway alone, and the case whose peers' figures they stand beside."""
BASES |= {"pass-through-sse": "sse-burst"}


def cells(report: Report, row: Row) -> list[str]:
    """The texts of `COLUMNS` for a row."""
    if row.skipped is not None or row.failed is not None:
        said = f"skipped: {row.skipped}" if row.failed is None else f"FAILED: {row.failed}"
        return [row.case, f"{row.subject} ({said})", *([""] * (len(COLUMNS) - 2))]
    if row.start_seconds is not None:
        return [row.case, f"{row.subject}: {row.start_seconds:.2f} s", *([""] * (len(COLUMNS) - 2))]
    streams = row.cpu_us_event is not None
    base = BASES.get(row.case, row.case)
    ratios = [_ratio(row, report.row(base, peer), per_event=streams) for peer in ("nginx", "Portkey", "LiteLLM")]
    # The latency of a closed loop says how fast the load pushed, and nothing about the program.
    latency = row.first_byte if streams else row.latency
    if row.added is None and row.subject != PROVIDER:
        latency = None
    rss = _figure(row.rss_mib, 0)
    if row.rss_early_mib is not None:
        rss = f"{_figure(row.rss_early_mib, 0)} -> {rss}"
    pairs = [None if latency is None else (latency.p50, latency.p99), row.added and row.added.felt(stream=streams)]
    latencies = [_figure(value, 2) for pair in pairs for value in pair or (None, None)]
    return [
        row.case,
        row.subject,
        _figure(row.cpu_us_request, 0 if (row.cpu_us_request or 0) >= 100 else 1),
        _figure(row.cpu_us_event, 2),
        *ratios,
        *latencies,
        rss,
        str(row.bad),
    ]


def table(report: Report) -> Table:
    """All rows, for a terminal."""
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for number, name in enumerate(COLUMNS):
        drawn.add_column(name, justify="left" if number < 2 else "right", no_wrap=number == 0)
    previous = ""
    for row in report.rows:
        case, *rest = cells(report, row)
        drawn.add_row("" if case == previous else case, *rest)
        previous = case
    return drawn


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(text.replace("|", "/") for text in line) + " |" for line in lines) + "\n"


def _ratio(row: Row, peer: Row | None, *, per_event: bool) -> str:
    if peer is None or peer.subject == row.subject or peer.bad or row.bad:
        return ""  # an error is cheap, and no measure of anything
    mine, theirs = (one.cpu_us_event if per_event else one.cpu_us_request for one in (row, peer))
    if not mine or not theirs:
        return ""
    return f"{mine / theirs:.1f} x" if mine >= theirs else f"1/{theirs / mine:.1f}"


def _figure(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
