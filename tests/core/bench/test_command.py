"""``helicone-gw bench`` as its users run it, with tiny counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helicone_gw.bench.accounting import available, tree
from helicone_gw.bench.cases import CASES
from helicone_gw.bench.history import read
from helicone_gw.bench.page import BEGIN, END
from helicone_gw.bench.report import from_json
from helicone_gw.cli import program
from tests.program import free_port, gateway

TINY = ("bench", "--quick", "--requests", "40", "--connections", "4", "--peers", "none")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_whole_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("page.md").write_text(f"{BEGIN}\n{END}\n")
    outputs = ("--json", "report.json", "--page", "page.md", "--history", "history.json", "--check")
    code = program([*TINY, "--cases", "unary-1k,sse-burst,pass-through,rate-100,memory,cache-hit,start", *outputs])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    report = from_json(Path("report.json").read_bytes())
    ours = {row.case: row for row in report.rows if row.ours}
    assert set(ours) == {"unary-1k", "sse-burst", "pass-through", "rate-100", "memory", "cache-hit", "start"}
    assert not any(row.bad or row.failed for row in report.rows)
    assert ours["sse-burst"].events == 40 * 101
    assert ours["cache-hit"].skipped is None
    assert ours["cache-hit"].requests == 40
    assert ours["rate-100"].added is not None
    assert ours["memory"].requests == 360
    assert len(read(Path("history.json"))) == 1
    assert "| unary-1k | helicone-gw hypercorn |" in Path("page.md").read_text()
    assert "unary-1k" in printed.out
    assert "warming up" in printed.err


@pytest.mark.slow
def test_a_gateway_that_runs_already_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    provider = free_port()
    openai = {"base_url": f"http://127.0.0.1:{provider}/v1", "api_key": "any"}
    with gateway({"providers": {"openai": openai}}, tmp_path) as url:
        running = ["--target", f"{url}/v1", "--provider-port", str(provider), "--pid", str(os.getpid())]
        code = program([*TINY, "--cases", "unary-1k,sse-burst,start", *running, "--json", "report.json"])
    assert code == 0, capsys.readouterr().err
    rows = [row for row in from_json(Path("report.json").read_bytes()).rows if row.subject == "target"]
    assert [(row.case, row.bad, row.failed) for row in rows] == [("unary-1k", 0, None), ("sse-burst", 0, None)]
    assert (rows[0].cpu_us_request is not None) is available()


@pytest.mark.full
@pytest.mark.skipif(not available(), reason="the processes are found in /proc")
def test_asked_to_stop_it_stops_what_it_started() -> None:
    command = [sys.executable, "-m", "helicone_gw", *TINY, "--cases", "memory", "--requests", "1000000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"memory" in line:
                break
        started = tree(process.pid)
        assert len(started) > 3
        process.terminate()
        process.stderr.read()
        assert process.wait() != 0
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]


def test_the_list_names_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert program(["bench", "--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in CASES)


def test_a_target_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert program([*TINY, "--cases", "unary-1k", "--target", "http://127.0.0.1:1"]) == 1
    assert "accepts no connections" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cases", "nary"], "no case 'nary'"),
        (["--engine", "apache"], "--engine 'apache': one of hypercorn"),
        (["--transport", "pigeon"], "--transport 'pigeon'"),
        (["--peers", "tensorzero"], "--peers 'tensorzero'"),
        (["--peers", "litellm", "--peers-in", "nowhere"], "litellm is not installed"),
        (["--target", "https://127.0.0.1:1"], "--target"),
        (["--plugins-from", "nowhere.yaml"], "--plugins-from"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program(["bench", "--cases", "unary-1k", "--peers", "none", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_history_that_is_none_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Path("history.json").write_text(json.dumps({"not": "one"}))
    program([*TINY, "--cases", "unary-1k", "--target", "http://127.0.0.1:1", "--history", "history.json"])
    assert "no history of this benchmark" in capsys.readouterr().err
    assert Path("history.json").read_text() == '{"not": "one"}'
