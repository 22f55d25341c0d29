"""Worker processes: several gateways on one port, started, watched and stopped together."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess

import structlog

from helicone_gw.config import GatewayConfig
from helicone_gw.errors import ConfigError
from helicone_gw.sockets import claim, url_of

log = structlog.get_logger("helicone_gw.workers")

QUICK_DEATH = 5.0
"""A worker that lives shorter than this many seconds is not started again: its fault is not going to go away."""

WATCH_INTERVAL = 0.2

Work = Callable[[str, int], None]
"""What a worker process runs: the configuration file's path, and the port that it shares. It must be picklable."""


def run_workers(config: GatewayConfig, path: str, work: Work, started: Callable[[str], None]) -> int:
    """Run ``server.workers`` processes of ``work`` until SIGTERM or SIGINT; the exit code.

    A worker that dies is replaced; one that dies at once ends everything with its exit code. Raises `ConfigError`.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ConfigError(["server.workers: this system has no SO_REUSEPORT; use workers: 1"])
    with claim(config) as claimed:
        port, url = claimed.getsockname()[1], url_of(claimed, tls=config.server.tls is not None)
        workers = _Workers(work, path, port)
        signal.signal(signal.SIGTERM, workers.stop)
        signal.signal(signal.SIGINT, workers.stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, workers.reload)
        for _ in range(config.server.workers):
            workers.start()
        started(url)
        return workers.watch()


class _Workers:
    def __init__(self, work: Work, path: str, port: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._work = work
        self._arguments = (path, port)
        self._born: dict[BaseProcess, float] = {}
        self._stopping = False

    def start(self) -> None:
        if self._stopping:
            return
        worker = self._context.Process(target=self._work, args=self._arguments, name="helicone-gw-worker")
        worker.start()
        self._born[worker] = time.monotonic()
        if self._stopping:
            # The signal came while this one was being made, and could not find it.
            self.stop()

    def stop(self, *_: object) -> None:
        self._stopping = True
        for worker in self._born:
            if worker.pid is not None and worker.is_alive():
                os.kill(worker.pid, signal.SIGTERM)

    def reload(self, *_: object) -> None:
        for worker, born in self._born.items():
            # A worker that is still starting reads the configuration anyway, and would die of the signal.
            if worker.pid is not None and worker.is_alive() and time.monotonic() - born > QUICK_DEATH:
                os.kill(worker.pid, signal.SIGHUP)

    def watch(self) -> int:
        code = 0
        while self._born:
            for worker in list(self._born):
                worker.join(timeout=WATCH_INTERVAL)
                if not worker.is_alive():
                    # Each of them has to be seen to, whatever became of the first.
                    ended = self._ended(worker)
                    code = code or ended
        return code

    def _ended(self, worker: BaseProcess) -> int:
        age = time.monotonic() - self._born.pop(worker)
        if self._stopping:
            # A worker that was still starting dies of the signal itself, which is what was asked for.
            return 0 if worker.exitcode == -signal.SIGTERM else worker.exitcode or 0
        if age < QUICK_DEATH:
            self.stop()
            return worker.exitcode or 1
        log.error("worker died; starting another", pid=worker.pid, exitcode=worker.exitcode)
        self.start()
        return 0
