"""The history: what became dearer is seen, what the machine did is not."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from helicone_gw.bench.history import KEPT, Entry, entry, read, regressions, write
from tests.core.bench.reports import MACHINE, MEASURED, OURS, report, row


def of(ours: float, nginx: float | None = None, case: str = "unary-1k", **more: object) -> Entry:
    rows = [row(case, OURS, ours)]
    rows += [] if nginx is None else [row("unary-1k", "nginx", nginx)]
    return entry(report(*rows, **more))


def test_an_entry_keeps_good_figures_by_event_for_streams() -> None:
    kept = entry(MEASURED).cpu_us
    assert kept[f"unary-1k / {OURS}"] == 300
    assert kept[f"sse-burst / {OURS}"] == 7
    assert f"streams-256 / {OURS}" not in kept
    assert f"memory / {OURS}" not in kept


@pytest.mark.parametrize(("now", "seen"), [(100, False), (114, False), (116, True), (300, True), (50, False)])
def test_more_than_fifteen_percent_is_seen(now: float, seen: bool) -> None:
    found = regressions([of(100)], of(now))
    assert bool(found) is seen
    if found:
        assert str(found[0]).startswith(f"REGRESSION unary-1k, {OURS}: 100.0 -> {now:.1f} us")


def test_a_slower_machine_is_no_regression_where_nginx_became_slower_too() -> None:
    assert not regressions([of(100, 20)], of(200, 40))


def test_what_a_faster_machine_would_hide_is_seen() -> None:
    (found,) = regressions([of(200, 40)], of(150, 20))
    assert found.times == pytest.approx(1.5)
    assert "relative to nginx" in str(found)


def test_a_case_of_ours_alone_is_measured_by_its_base() -> None:
    assert not regressions([of(100, 20, "pass-through")], of(200, 40, "pass-through"))
    assert regressions([of(100, 20, "pass-through")], of(200, 20, "pass-through"))


def test_without_nginx_in_both_the_figures_are_compared_as_they_are() -> None:
    (found,) = regressions([of(100, 20)], of(120))
    assert found.against == "as measured"


def test_only_the_newest_entry_of_the_same_machine_and_size_counts() -> None:
    elsewhere = msgspec.structs.replace(of(10), machine=msgspec.structs.replace(MACHINE, cpu="Another"))
    quick = of(10, quick=True)
    assert not regressions([of(10), of(100), elsewhere, quick], of(110))
    assert not regressions([elsewhere, quick], of(110))
    assert not regressions([], of(110))


def test_peers_may_become_dearer() -> None:
    before, now = entry(report(row("unary-1k", "Portkey", 1.0))), entry(report(row("unary-1k", "Portkey", 9.0)))
    assert not regressions([before], now)


def test_a_file_keeps_the_last_entries(tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    assert read(file) == []
    for number in range(KEPT + 5):
        write(file, read(file), of(number + 1))
    kept = read(file)
    assert len(kept) == KEPT
    assert kept[-1] == of(KEPT + 5)
    assert kept[0] == of(6)
