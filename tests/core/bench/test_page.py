"""A page between two markers."""

from __future__ import annotations

from pathlib import Path

import pytest

from helicone_gw.bench.page import BEGIN, END, NoMarkers, section, update
from tests.core.bench.reports import MEASURED, report, row


def test_only_what_stands_between_the_markers_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nwhat was here\n{END}\nafter\n")
    update(page, MEASURED)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"\n{END}\nafter\n")
    assert "what was here" not in text
    update(page, MEASURED)
    assert page.read_text() == text


def test_it_says_when_where_and_with_what() -> None:
    text = section(MEASURED)
    for said in (
        "2026-01-02",
        "Some CPU, 2 cores",
        "Python 3.11.7",
        "a core of its own",
        "helicone-gw hypercorn 0.1.0",
    ):
        assert said in text
    assert "| hypercorn | unary-1k, CPU per request, of Portkey's | <= 1/3 | 1/4.0 | yes |" in text
    assert "quick" not in text
    assert "quick" in section(report(row("unary-1k", "nginx", 1.0), quick=True))


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"])
def test_a_page_without_one_pair_of_markers_is_left_alone(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(NoMarkers):
        update(page, MEASURED)
    assert page.read_text() == text
