"""Threads for foreign functions: results, failures, how many at once, and functions that never return."""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref

import pytest

from helicone_gw_alerts.threads import Threads


def test_results_and_failures_come_back() -> None:
    threads = Threads(2, "test")
    assert threads.submit(int, "7").result(10) == 7
    with pytest.raises(ValueError, match="invalid literal"):
        threads.submit(int, "seven").result(10)
    with pytest.raises(RuntimeError, match="SystemExit"):
        threads.submit(sys.exit, 1).result(10)
    assert threads.submit(int, "8").result(10) == 8


def test_what_finds_no_thread_waits_and_what_is_cancelled_is_forgotten() -> None:
    threads, returns = Threads(1, "test"), threading.Event()
    blocked = threads.submit(returns.wait, 10)
    material = threading.Event()
    kept = weakref.ref(material)
    waiting = threads.submit(material.wait, 10)
    assert waiting.cancel()
    last = threads.submit(int, "7")
    del material
    assert kept() is None, "nothing of a cancelled call is kept"
    returns.set()
    assert (blocked.result(10), last.result(10)) == (True, 7)


def test_a_process_ends_although_a_function_does_not() -> None:
    code = "import threading; from helicone_gw_alerts.threads import Threads"
    call = "Threads(1, 'test').submit(threading.Event().wait)"
    assert subprocess.run([sys.executable, "-c", f"{code}; {call}"], timeout=30, check=False).returncode == 0
