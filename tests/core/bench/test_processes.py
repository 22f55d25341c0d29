"""Programs that are started for a measurement, and always stopped."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from helicone_gw.bench.processes import DidNotStart, Launch, Probe, cores, free_port, pinned, running

SERVER = """
import http.server, os, sys
answers = [503, 200]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
        self.end_headers()
    def log_message(self, *_): pass
print(sorted(os.sched_getaffinity(0)), os.environ.get("BENCH_SAID"), flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_a_program_runs_until_the_block_is_left(tmp_path: Path) -> None:
    port = free_port()
    launch = Launch([sys.executable, "-c", SERVER, str(port)], {"BENCH_SAID": "this"})
    on = cores()[:1]
    before = cores()
    with running(launch, Probe(port, "/", {}, b"{}"), tmp_path, on=on) as program:
        os.kill(program.pid, 0)
        assert program.start_seconds > 0
        assert cores() == before
    with pytest.raises(ProcessLookupError):
        os.kill(program.pid, 0)
    assert (tmp_path / "output.log").read_text().startswith(f"{on} this")


def test_a_program_that_ends_says_what_it_printed(tmp_path: Path) -> None:
    launch = Launch([sys.executable, "-c", "print('no such luck'); raise SystemExit(3)"])
    with (
        pytest.raises(DidNotStart, match=r"status 3:\nno such luck"),
        running(launch, Probe(1, "/", {}, b""), tmp_path),
    ):
        pytest.fail("it never ran")


def test_a_program_that_gives_no_good_answer_is_stopped(tmp_path: Path) -> None:
    port = free_port()
    launch = Launch([sys.executable, "-c", SERVER.replace("[503, 200]", "[503]"), str(port)])
    probe = Probe(port, "/", {}, b"{}")
    with pytest.raises(DidNotStart), running(launch, probe, tmp_path, patience=2.0):
        pytest.fail("it was never good")


def test_no_cores_named_means_any() -> None:
    before = cores()
    with pinned([]):
        assert cores() == before
