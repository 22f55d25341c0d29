"""Programs that give secrets: what ``${command:...}`` and ``${shell:...}`` of the configuration run."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import IO

TIME_LIMIT = 10.0
"""Seconds that a command may take; it is then killed, with everything that it started."""

MAX_OUTPUT = 64 << 10
"""Bytes that a command may write; one that writes more is killed, and counts as wrong."""


def output_of(command: str, *, shell: bool, environ: Mapping[str, str], directory: Path) -> str:
    """What ``command`` writes to its standard output, without the line break at its end.

    Args:
        command: a program and its arguments, quoted as a shell has them, but no shell reads them; with ``shell``
            ``/bin/sh -c`` does.
        environ: its environment; its standard input is empty, and what it writes to standard error is not kept.
        directory: where it runs.

    Raises:
        ValueError: it cannot be run, takes longer than `TIME_LIMIT`, writes more than `MAX_OUTPUT` or no UTF-8, or ends
            with another status than 0. What it wrote is never part of the message.
    """
    try:
        words = ["/bin/sh", "-c", command] if shell else shlex.split(command)
    except ValueError:
        raise ValueError("a command has a quotation mark without its other half") from None
    name = "the shell command" if shell else f"the command {Path(words[0]).name!r}" if words else ""
    if not words:
        raise ValueError("a command names no program")
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own file says what to run
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            cwd=directory,
            start_new_session=True,
        )
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else None
        raise ValueError(f"cannot run {name}: {reason or type(problem).__name__}") from None
    assert process.stdout is not None
    until = time.monotonic() + TIME_LIMIT
    try:
        data = _read(process.stdout, until, name)
        status = process.wait(max(0.0, until - time.monotonic()))
    except BaseException as problem:
        # Before it is waited for: as long as it is not, nobody else can have its number.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(problem, subprocess.TimeoutExpired):
            raise ValueError(f"{name} took longer than {TIME_LIMIT:g} seconds") from None
        raise
    finally:
        process.stdout.close()
    if status != 0:
        raise ValueError(f"{name} ended with status {status}")
    try:
        return without_line_break(data.decode())
    except UnicodeDecodeError:
        raise ValueError(f"what {name} writes is not UTF-8 text") from None


def without_line_break(text: str) -> str:
    """``text`` without the one line break at its end."""
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def _read(stream: IO[bytes], until: float, name: str) -> bytes:
    """Everything that comes, until its end. Raises `ValueError` when that is too much, or takes too long."""
    pieces: list[bytes] = []
    size = 0
    with DefaultSelector() as selector:
        selector.register(stream, EVENT_READ)
        while True:
            if not selector.select(max(0.0, until - time.monotonic())):
                raise ValueError(f"{name} took longer than {TIME_LIMIT:g} seconds")
            piece = os.read(stream.fileno(), 65_536)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            size += len(piece)
            if size > MAX_OUTPUT:
                raise ValueError(f"{name} writes more than {MAX_OUTPUT >> 10} KiB")
