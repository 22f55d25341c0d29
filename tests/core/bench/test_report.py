"""Reports: JSON and back, and what a reader sees."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from helicone_gw.bench.report import COLUMNS, PROVIDER, TARGET, cells, from_json, markdown, table, to_json
from tests.core.bench.reports import MEASURED, OURS, report, row


def shown(case: str, subject: str) -> dict[str, str]:
    found = MEASURED.row(case, subject)
    assert found is not None
    return dict(zip(COLUMNS, cells(MEASURED, found), strict=True))


def test_json_and_back() -> None:
    assert from_json(to_json(MEASURED)) == MEASURED


def test_figures_stand_beside_the_peers_of_the_same_case() -> None:
    line = shown("unary-1k", OURS)
    assert (line["CPU us/request"], line["of nginx"], line["of Portkey"], line["of LiteLLM"]) == (
        "300",
        "15.0 x",
        "1/4.0",
        "1/30.0",
    )
    assert shown("unary-1k", "nginx")["of nginx"] == ""


def test_nothing_is_compared_with_bad_answers() -> None:
    bad = report(row("unary-1k", OURS, 200.0), row("unary-1k", "nginx", 2.0, bad=1))
    assert dict(zip(COLUMNS, cells(bad, bad.rows[0]), strict=True))["of nginx"] == ""


def test_a_stream_is_compared_by_the_event() -> None:
    line = shown("sse-burst", OURS)
    assert (line["us/event"], line["of Portkey"], line["of nginx"]) == ("7.00", "1/3.4", "")


def test_a_case_of_ours_alone_stands_beside_its_base() -> None:
    assert shown("pass-through", OURS)["of nginx"] == "10.0 x"


def test_latency_is_shown_where_it_says_something() -> None:
    assert shown("rate-100", OURS)["p50 ms"] == "1.00"
    assert shown("rate-100", OURS)["added p50"] == "0.80"
    assert shown("unary-1k", PROVIDER)["p50 ms"] == "0.10"
    assert shown("unary-1k", OURS)["p50 ms"] == ""


def test_memory_start_and_what_was_not_measured() -> None:
    assert shown("memory", OURS)["RSS MiB"] == "105 -> 110"
    assert shown("start", OURS)["subject"] == f"{OURS}: 1.25 s"
    assert "skipped: too slow" in shown("sse-paced", "LiteLLM")["subject"]
    assert "FAILED: did not start" in shown("sse-burst", "nginx")["subject"]


def test_a_table_names_each_case_once() -> None:
    out = io.StringIO()
    Console(file=out, width=220).print(table(MEASURED))
    assert out.getvalue().count("unary-1k") == 1
    assert "Portkey" in out.getvalue()


def test_markdown_has_a_line_for_each_row_and_no_stray_column() -> None:
    lines = markdown(("a", "b"), [("1", "x|y")]).splitlines()
    assert lines == ["| a | b |", "| --- | --- |", "| 1 | x/y |"]


@pytest.mark.parametrize(
    ("rows", "sound"),
    [
        ([row("unary-1k", OURS, 1.0)], True),
        ([row("unary-1k", OURS, 1.0, bad=1)], False),
        ([row("unary-1k", OURS, failed="did not start")], False),
        ([row("unary-1k", TARGET, bad=1)], False),
        ([row("unary-1k", "Portkey", bad=1), row("unary-1k", OURS, 1.0)], True),
    ],
)
def test_a_run_is_sound_when_this_gateway_did_all_it_was_asked_for(rows: list, sound: bool) -> None:
    assert report(*rows).sound is sound
