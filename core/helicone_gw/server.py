"""Runs the application: signals, reloads, and the HTTP server that the configuration names."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
import socket
from collections.abc import Callable, Iterator

import structlog

from helicone_gw.app import App
from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.config import GatewayConfig
from helicone_gw.engines import load_engine
from helicone_gw.engines.http1.lane import LANES
from helicone_gw.engines.tls import server_context
from helicone_gw.errors import ConfigError
from helicone_gw.gateway import Gateway
from helicone_gw.measurement import Measurement, measured
from helicone_gw.sockets import listen, url_of

log = structlog.get_logger("helicone_gw.server")

_YOUNG = 30_000
"""Objects, more than are gone, that may be made before the collector looks at them: some megabytes."""

_SOON = 0.1
"""Seconds after the start when plugins' routes are mounted, if they were put off."""

Build = Callable[[], Gateway]
Listening = Callable[[Gateway, str], None]


class Serving:
    """The application in service, which a reload replaces; ASGI calls go to whichever is there when they begin."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._app: App | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._mounting: asyncio.Task[None] | None = None

    @property
    def app(self) -> App:
        """The application that new requests get."""
        assert self._app is not None
        return self._app

    async def start(self, *, mount_later: bool = False) -> None:
        """Build a gateway, start it, and put it in service. Raises `ConfigError`, and then nothing has changed.

        ``mount_later``: providers' paths are served before the plugins' own are; `mount` is then to be called.
        """
        if self._mounting is not None:
            await asyncio.wait({self._mounting})
        gateway = self._build()
        gateway.measure(self._measurements)
        await gateway.start()
        try:
            app = App(gateway)
            if mount_later:
                app.put_off_mounting()
            else:
                app.mount_plugins()
                await app.startup()
        except BaseException:
            await gateway.stop()
            raise
        previous, self._app = self._app, app
        if previous is not None:
            retiring = asyncio.ensure_future(self._retire(previous))
            self._tasks.add(retiring)
            retiring.add_done_callback(self._tasks.discard)

    def mount(self, stop: asyncio.Event) -> asyncio.Task[None]:
        """Mount in the background what `start` left; the task raises `ConfigError` where it cannot be, and ``stop`` is
        set."""

        async def mounting() -> None:
            # The first answer is not kept waiting for pages: what has come meanwhile goes first.
            await asyncio.sleep(_SOON)
            try:
                await self.app.mount_put_off()
            except BaseException:
                stop.set()
                raise

        self._mounting = asyncio.ensure_future(mounting())
        return self._mounting

    def _measurements(self) -> Iterator[Measurement]:
        """What the connections of clients come to, where the engine has the gateway's own HTTP/1.1."""
        for lane in LANES:
            if lane.app is self:
                yield Measurement("clients_connected", "gauge", "Connections of clients now.", len(lane.connections))
                yield from measured("clients", lane.counters, "Connections of clients")

    def ask_to_reload(self) -> None:
        """`reload`, from a signal handler; one that comes while another is under way waits for it."""
        task = asyncio.ensure_future(self.reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reload(self) -> None:
        """Start anew from the configuration; exchanges under way end on the old gateway. A faulty one is refused."""
        try:
            async with self._one_at_a_time:
                await self.start()
        except ConfigError as error:
            log.error("not reloaded; the gateway goes on as it was", problems=error.problems)
        except Exception as fault:
            log.error("not reloaded; the gateway goes on as it was", exc_info=fault)
        else:
            log.info("reloaded")

    async def stop(self) -> None:
        """Stop the gateway in service and wait for those that a reload retired."""
        self._stopping.set()
        if self._app is not None:
            await self._retire(self._app)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _retire(self, app: App) -> None:
        """Stop ``app``: at once when the program stops, otherwise when its last exchange has ended by itself."""
        app.gateway.ready = False
        idle, stopping = asyncio.ensure_future(app.gateway.idle()), asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({idle, stopping}, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        stopping.cancel()
        await app.gateway.stop()
        await app.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await self.app(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    # An application starts and ends with its gateway, not with the server: a reload brings another one.
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


async def serve(
    build: Build, listener: socket.socket, stop: asyncio.Event, started: Listening, *, mount_later: bool = False
) -> None:
    """Serve on ``listener`` until ``stop`` is set; streams may finish. Raises `ConfigError` when it cannot start.

    ``mount_later``: begin to serve before the plugins' own routes are mounted, which takes a tenth of the start; where
    they cannot be, this ends with the same `ConfigError` a moment later.
    """
    serving = Serving(build)
    await serving.start(mount_later=mount_later)
    mounting = serving.mount(stop) if mount_later else None
    closing = asyncio.ensure_future(_close_pages(serving, stop))
    try:
        if hasattr(signal, "SIGHUP"):
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, serving.ask_to_reload)
        gateway = serving.app.gateway
        started(gateway, url_of(listener, tls=gateway.config.server.tls is not None))
        settings = gateway.config.server
        await load_engine(settings.engine)(serving, settings, listener, stop)
    finally:
        closing.cancel()
        if mounting is not None:
            await asyncio.wait({mounting})
        await serving.stop()
    if mounting is not None:
        mounting.result()


async def _close_pages(serving: Serving, stop: asyncio.Event) -> None:
    """Once ``stop`` is set, tell pages that follow what happens to end: the server waits for every answer."""
    await stop.wait()
    serving.app.gateway.pages.closing = True


def run(config: GatewayConfig, build: Build, started: Listening, *, shared: bool = False) -> int:
    """Serve in this process until SIGTERM or SIGINT; the exit code. Raises `ConfigError`.

    ``shared``: other processes listen on the same port.
    """
    # What is missing or wrong is to be told before the port opens.
    load_engine(config.server.engine)
    if config.server.tls is not None:
        server_context(config.server.tls)
    listener = listen(config, shared=shared)

    def settled(gateway: Gateway, url: str) -> None:
        _spare_the_collector()
        started(gateway, url)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        # Who runs workers wants to know of each whether it could start before it says that it did.
        return runner.run(_until_signalled(build, listener, settled, mount_later=not shared))


def _spare_the_collector() -> None:
    """What was made up to now stays until the end: the cyclic garbage collector need not walk it again and again.

    It is not asked to collect first: looking at everything once took a tenth of a second, for two megabytes.
    Exchanges leave no cycles; what waits for the log is no garbage, and was walked over and over.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)
    gc.enable()  # it may have been paused for the start


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop: uvloop's where it is installed, else ``None``, Python's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _until_signalled(build: Build, listener: socket.socket, started: Listening, *, mount_later: bool) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if (parent := multiprocessing.parent_process()) is not None:
        # A worker whose parent was killed would keep the port, and nobody could stop or replace it any more.
        loop.add_reader(parent.sentinel, _orphaned, parent.sentinel, stop)
    with listener:
        await serve(build, listener, stop, started, mount_later=mount_later)
    return 0


def _orphaned(sentinel: int, stop: asyncio.Event) -> None:
    asyncio.get_running_loop().remove_reader(sentinel)
    log.error("the program that started this worker has ended; the worker stops")
    stop.set()
