"""Runs the application: sockets, signals, workers, and the HTTP server that the configuration names."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import structlog
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config as HypercornConfig

from helicone_gw.app import App
from helicone_gw.config import GatewayConfig
from helicone_gw.errors import ConfigError
from helicone_gw.gateway import Gateway

log = structlog.get_logger("helicone_gw.server")

KEEP_ALIVE = 75.0
"""Seconds that an idle client connection stays open; longer than the pools of the usual SDKs keep theirs."""

BACKLOG = 2048
MAX_HEADER_BYTES = 64 * 1024
MAX_WEBSOCKET_MESSAGE = 16 * 1024 * 1024
QUICK_DEATH = 5.0
"""A worker that lives shorter than this many seconds is not started again: its fault is not going to go away."""

Build = Callable[[], Gateway]
Listening = Callable[[Gateway, str], None]


def listen(config: GatewayConfig, *, shared: bool = False) -> socket.socket:
    """A bound, listening socket. ``shared`` lets several workers listen on the same port.

    Raises `ConfigError` when the address cannot be had.
    """
    host, port = config.server.host, config.server.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise ConfigError(
            [f"server: cannot listen on {host}:{port}: {reason}; choose another server.port"]
        ) from problem
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """The address under which ``listener`` is reached."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - where to reach it, not where to bind
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(gateway: Gateway, listener: socket.socket, stop: asyncio.Event, started: Listening) -> None:
    """Start ``gateway``, serve until ``stop`` is set, let streams finish, and stop it. Raises `ConfigError`."""
    await gateway.start()
    try:
        app = App(gateway)
        app.mount_plugins()
        started(gateway, url_of(listener))
        await ENGINES[gateway.config.server.engine](app, listener, stop)
    finally:
        await gateway.stop()


async def _hypercorn(app: App, listener: socket.socket, stop: asyncio.Event) -> None:
    settings = app.gateway.config.server
    config = HypercornConfig()
    config.bind = [f"fd://{listener.fileno()}"]
    config.graceful_timeout = settings.drain_timeout
    config.shutdown_timeout = settings.drain_timeout
    config.keep_alive_timeout = KEEP_ALIVE
    config.backlog = BACKLOG
    config.h11_max_incomplete_size = MAX_HEADER_BYTES
    config.websocket_max_message_size = MAX_WEBSOCKET_MESSAGE
    # The provider's own Date and Server pass through; a second one of each would be ours.
    config.include_date_header = False
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = None
    await hypercorn_serve(app, config, shutdown_trigger=stop.wait, mode="asgi")


async def _uvicorn(app: App, listener: socket.socket, stop: asyncio.Event) -> None:
    import uvicorn

    settings = app.gateway.config.server
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_keep_alive=int(KEEP_ALIVE),
            timeout_graceful_shutdown=int(settings.drain_timeout),
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            ws_max_size=MAX_WEBSOCKET_MESSAGE,
        )
    )
    # Signals are ours: uvicorn would take them over and raise them again once it has stopped.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]

    async def ask_to_stop() -> None:
        await stop.wait()
        server.should_exit = True

    asking = asyncio.ensure_future(ask_to_stop())
    try:
        await server.serve(sockets=[listener])
    finally:
        asking.cancel()


ENGINES: dict[str, Callable[[App, socket.socket, asyncio.Event], Awaitable[None]]] = {
    "hypercorn": _hypercorn,
    "uvicorn": _uvicorn,
}


def run(config: GatewayConfig, build: Build, started: Listening) -> int:
    """Serve in this process until SIGTERM or SIGINT; the exit code. Raises `ConfigError`."""
    listener = listen(config)
    return asyncio.run(_until_signalled(build, listener, started))


async def _until_signalled(build: Build, listener: socket.socket, started: Listening) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with listener:
        await serve(build(), listener, stop, started)
    return 0


def run_workers(config: GatewayConfig, path: Path, started: Callable[[str], None]) -> int:
    """Serve with ``server.workers`` processes on one port, each with a gateway of its own; the exit code.

    A worker that dies is replaced; one that dies at once ends everything with its exit code.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ConfigError(["server.workers: this system has no SO_REUSEPORT; use workers: 1"])
    reserved = listen(config, shared=True)
    port = reserved.getsockname()[1]
    reserved.close()
    context = multiprocessing.get_context("spawn")
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        for worker in workers:
            if worker.pid is not None and worker.is_alive():
                os.kill(worker.pid, signal.SIGTERM)

    def start() -> BaseProcess:
        worker = context.Process(target=_worker, args=(str(path), port), name="helicone-gw-worker")
        worker.start()
        born[worker.name] = time.monotonic()
        return worker

    born: dict[str, float] = {}
    workers: list[BaseProcess] = []
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for _ in range(config.server.workers):
        workers.append(start())  # noqa: PERF401 - `stop` must see each worker as soon as it runs
    started(f"http://{config.server.host}:{port}")
    code = 0
    while workers:
        for worker in list(workers):
            worker.join(timeout=0.2)
            if worker.is_alive():
                continue
            workers.remove(worker)
            if stopping:
                code = code or worker.exitcode or 0
                continue
            if time.monotonic() - born[worker.name] < QUICK_DEATH:
                code = worker.exitcode or 1
                stop()
                continue
            log.error("worker died; starting another", pid=worker.pid, exitcode=worker.exitcode)
            workers.append(start())
    return code


def _worker(path: str, port: int) -> None:
    from helicone_gw.commands.loading import build_gateway, load

    loaded = load(Path(path))
    server = loaded.config.server.model_copy(update={"port": port})
    config = loaded.config.model_copy(update={"server": server})
    try:
        listener = listen(config, shared=True)
        code = asyncio.run(_until_signalled(lambda: build_gateway(config), listener, lambda gateway, url: None))
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201
        code = 2
    sys.exit(code)
