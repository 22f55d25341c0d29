"""The two helper processes of a benchmark, the mock provider and the load generator, and how they are spoken to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import msgspec

from helicone_gw.bench.plan import Outcome, Plan
from helicone_gw.bench.processes import pinned


class LoadFailed(Exception):
    """A plan could not be carried out: what it needs accepts no connections, or could not be started."""


class LoadGenerator:
    """A load generator in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def run(self, plan: Plan) -> Outcome:
        """Carry out ``plan``. Raises `LoadFailed`."""
        _pipe(self._process.stdin).write(msgspec.json.encode(plan) + b"\n")
        _pipe(self._process.stdin).flush()
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise LoadFailed("the load generator ended")
        try:
            return msgspec.json.decode(line, type=Outcome)
        except msgspec.ValidationError:
            problem = msgspec.json.decode(line, type=dict[str, str]).get("problem", "unknown")
            raise LoadFailed(f"the program under test accepts no connections: {problem}") from None


@contextmanager
def load_generator(on: Sequence[int] = ()) -> Iterator[LoadGenerator]:
    """A load generator on these cores, until the block is left."""
    with _module("load", on) as process:
        yield LoadGenerator(process)


@contextmanager
def mock_provider(on: Sequence[int] = (), port: int = 0) -> Iterator[tuple[int, int]]:
    """A mock provider on these cores and on this port (0: any), until the block is left; its port and process id.

    Raises `LoadFailed` when it cannot have the port.
    """
    with _module("provider", on, str(port)) as process:
        told = _pipe(process.stdout).readline()
        if not told:
            raise LoadFailed(f"the mock provider cannot listen on port {port}")
        yield int(told), process.pid


@contextmanager
def _module(name: str, on: Sequence[int], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with pinned(on):
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", f"helicone_gw.bench.{name}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    with process:
        try:
            yield process
            _pipe(process.stdin).close()
            process.wait(timeout=10)
        finally:
            process.kill()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
