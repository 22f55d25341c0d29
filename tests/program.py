"""The gateway as its users run it: the real program, in a process of its own, on a free port of this machine."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

EXECUTABLE = Path(sys.executable).with_name("helicone-gw")


class DidNotStart(Exception):
    """A program ended, or stayed unready, before it could be used; the message ends with what it printed."""


class DidNotStay(Exception):
    """A program ended while it was still needed; the message ends with what it printed."""


def free_port() -> int:
    """A port of the loopback interface that nothing listens on.

    It lies below the ports that systems give to outgoing connections, so that none of those takes it meanwhile.
    """
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def process(command: Sequence[str | Path], ready: str, log: Path, **options: Any) -> Iterator[int]:
    """Run ``command`` until the block is left, then ask it to stop; in the block, ``ready`` (a URL) answers 200.

    The value is its process id.

    It leads a process group of its own, so that nothing which it started outlives the block.
    Raises `DidNotStart`, `DidNotStay`, and `subprocess.TimeoutExpired` when it does not stop within 30 seconds.
    """
    with log.open("wb") as output:
        running = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **options)
    try:
        _wait(running, ready, log)
        yield running.pid
        if running.poll() is not None:
            raise DidNotStay(f"ended by itself with status {running.returncode}:\n{_tail(log)}")
        running.send_signal(signal.SIGTERM)
        running.wait(timeout=30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@contextmanager
def gateway(config: Mapping[str, Any], directory: Path, executable: Path = EXECUTABLE) -> Iterator[str]:
    """Run ``helicone-gw --config`` on ``config`` (``server.port`` is chosen here); the value is its URL."""
    port = free_port()
    server = {"host": "127.0.0.1", **config.get("server", {}), "port": port}
    file = directory / "gateway.yaml"
    file.write_text(json.dumps({**config, "server": server}, indent=2))  # JSON is YAML
    url = f"http://127.0.0.1:{port}"
    with process([executable, "--config", file], f"{url}/readyz", directory / "gateway.log", cwd=directory):
        yield url


def _wait(running: subprocess.Popen[bytes], ready: str, log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if running.poll() is not None:
            raise DidNotStart(f"ended with status {running.returncode}:\n{_tail(log)}")
        try:
            # Whether anybody listens is asked in a simpler way first: starting takes a while, and machines are busy.
            address = urlsplit(ready)
            socket.create_connection((address.hostname or "", address.port or 0), timeout=5).close()
            if httpx.get(ready, trust_env=False, timeout=5, verify=False).status_code == 200:
                return
        except (OSError, httpx.TransportError):
            pass
        time.sleep(0.05)
    raise DidNotStart(f"{ready} did not answer 200 within {seconds} seconds:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]
