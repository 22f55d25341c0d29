"""Programs started for a measurement: on cores of their own, watched until they answer, and always stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

POLL = 0.02
TERM_PATIENCE = 15.0
LOG_TAIL = 2000


class DidNotStart(Exception):
    """A program ended, or gave no good answer, before it could be measured; the message ends with what it printed."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a program: its command line, and what its environment has beside ours."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Probe:
    """The request whose good answer says that a program is up: a POST to this port."""

    port: int
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Running:
    """A started program. ``start_seconds``: from its start to its first good answer."""

    pid: int
    start_seconds: float


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cores() -> list[int]:
    """The cores that this process may use; empty where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextmanager
def pinned(wanted: Sequence[int]) -> Iterator[None]:
    """What is started in this block runs on these cores alone; with none given, anywhere."""
    if not wanted:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(
    launch: Launch, probe: Probe, directory: Path, *, on: Sequence[int] = (), patience: float = 120.0
) -> Iterator[Running]:
    """Run a program in ``directory`` until the block is left. Raises `DidNotStart`.

    It leads a process group of its own, so that nothing which it started outlives the block.
    """
    log = directory / "output.log"
    begun = time.monotonic()
    with log.open("wb") as output, pinned(on):
        process = subprocess.Popen(  # noqa: S603 - the programs that the user asked to measure
            list(launch.command),
            cwd=directory,
            env={**os.environ, **launch.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, probe, log, begun + patience)
        yield Running(process.pid, time.monotonic() - begun)
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], probe: Probe, log: Path, deadline: float) -> None:
    last = "no answer"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DidNotStart(f"ended with status {process.returncode}:\n{_tail(log)}")
        connection = HTTPConnection("127.0.0.1", probe.port, timeout=10)
        try:
            connection.request("POST", probe.path, probe.body, dict(probe.headers))
            status = connection.getresponse().status
        except (OSError, HTTPException) as problem:
            last = type(problem).__name__
        else:
            if status == 200:
                return
            last = f"status {status}"
        finally:
            connection.close()
        time.sleep(POLL)
    raise DidNotStart(f"gave no good answer ({last}):\n{_tail(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(TERM_PATIENCE)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_TAIL:]
