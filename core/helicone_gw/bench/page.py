"""A report in a page of Markdown: between two markers, and nothing else of the page is touched."""

from __future__ import annotations

from pathlib import Path

from helicone_gw.bench.bars import bars
from helicone_gw.bench.report import COLUMNS, Report, cells, markdown

BEGIN = "<!-- bench: begin (written by make bench) -->"
END = "<!-- bench: end -->"


class NoMarkers(Exception):
    """The page does not have the two markers, once each and in their order."""


def section(report: Report) -> str:
    """The Markdown that stands between the markers."""
    machine = report.machine
    versions = ", ".join(f"{name} {version}".rstrip() for name, version in report.versions.items())
    where = "the program under test on a core of its own" if machine.pinned else "not pinned to cores"
    quick = " A quick run: only good for a first look." if report.quick else ""
    lines = [
        f"Measured {report.date[:10]}, {where}.{quick}",
        "",
        f"Machine: {machine.cpu}, {machine.cores} cores, {machine.system}, Python {machine.python}.",
        "",
        f"Versions: {versions}.",
        "",
        *(f"{note}\n" for note in report.notes),
        markdown(COLUMNS, [cells(report, row) for row in report.rows]),
    ]
    held = bars(report)
    if held:
        verdicts = {True: "yes", False: "**no**", None: ""}
        rows = [[bar.engine, bar.what, bar.limit, bar.measured, verdicts[bar.holds]] for bar in held]
        lines += ["The bars:", "", markdown(("engine", "what", "bar", "measured", "holds"), rows)]
    return "\n".join(lines)


def update(file: Path, report: Report) -> None:
    """Put ``report`` between the markers of a page. Raises `NoMarkers`, and then the page is as it was."""
    text = file.read_text()
    before, found, rest = text.partition(BEGIN)
    _, also, after = rest.partition(END)
    if not (found and also) or BEGIN in rest or END in after:
        raise NoMarkers(f"{file.name} has not one '{BEGIN}' and after it one '{END}'")
    file.write_text(f"{before}{BEGIN}\n\n{section(report)}\n{END}{after}")
