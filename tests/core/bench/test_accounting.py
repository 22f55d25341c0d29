"""CPU and memory of a process tree: what a child burns is counted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helicone_gw.bench import accounting

linux = pytest.mark.skipif(not accounting.available(), reason="this system has no /proc with scheduler statistics")

BURN = "sum(i * i for i in range(3_000_000))"
IN_A_THREAD = f"import threading; t = threading.Thread(target=lambda: {BURN}); t.start(); t.join()"
TELL = "print(flush=True); input()"


@contextmanager
def python(code: str) -> Iterator[int]:
    """A program that runs ``code``, tells when it has, and then waits."""
    command = [sys.executable, "-c", f"{code}\n{TELL}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.stdin.write(b"\n")
        process.stdin.close()


def in_a_child(code: str) -> str:
    """Code that runs ``code`` in a process of its own, and goes on once that has told."""
    start = f"p = subprocess.Popen([sys.executable, '-c', {code!r}], stdin=-1, stdout=-1)"
    return f"import subprocess, sys; {start}; p.stdout.readline()"


def spent(code: str) -> float:
    with python(code) as pid:
        return used(pid)


def used(pid: int, before: accounting.CpuTime = accounting.NO_TIME) -> float:
    now = accounting.cpu_time(pid)
    assert now is not None
    return now.since(before)


@linux
def test_what_a_program_burns_is_counted() -> None:
    assert spent(BURN) > 2 * spent("pass")


@linux
def test_what_its_child_burns_is_counted() -> None:
    assert spent(in_a_child(f"{BURN}; {TELL}")) > 1.5 * spent(in_a_child(f"pass; {TELL}"))


@linux
def test_what_a_thread_burned_is_counted_after_its_end() -> None:
    assert spent(IN_A_THREAD) > 2 * spent(IN_A_THREAD.replace("3_000_000", "3"))


def test_what_was_used_before_does_not_count() -> None:
    before = accounting.CpuTime({(1, 1): 5.0, (1, 2): 1.0}, {1: 6.5})
    now = accounting.CpuTime({(1, 1): 5.25, (1, 3): 0.125, (9, 9): 0.5}, {1: 6.87, 9: 0.5})
    assert now.since(before) == 0.25 + 0.125 + 0.5


def test_ticks_count_where_they_say_more_than_their_rounding_can() -> None:
    before = accounting.CpuTime({(1, 1): 5.0}, {1: 5.0})
    assert accounting.CpuTime({(1, 1): 5.1}, {1: 5.11}).since(before) == pytest.approx(0.1)
    assert accounting.CpuTime({(1, 1): 5.1}, {1: 7.0}).since(before) == pytest.approx(2.0)


@linux
def test_a_tree_holds_children_and_their_children() -> None:
    with python(in_a_child(in_a_child(TELL) + f"; {TELL}")) as pid:
        assert accounting.tree(pid)[0] == pid
        assert len(accounting.tree(pid)) == 3
        with python("pass") as other:
            assert other not in accounting.tree(pid)
            assert {pid, other} <= set(accounting.tree(os.getpid()))


@linux
def test_memory_that_is_held_is_counted() -> None:
    with python("held = b'x' * (64 << 20)") as large, python("pass") as small:
        more, less = accounting.rss_mib(large), accounting.rss_mib(small)
    assert more is not None
    assert less is not None
    assert more > less + 60


def test_elsewhere_neither_is_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounting, "PROC", tmp_path)
    assert not accounting.available()
    assert accounting.cpu_time(os.getpid()) is None
    assert accounting.rss_mib(os.getpid()) is None


@linux
def test_a_process_that_is_gone_costs_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        process.wait()
    assert used(process.pid) == 0
