"""The hooks of ``logging``."""

from __future__ import annotations

import asyncio
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from helicone_gw import Plugin, Unavailable, hookimpl, measured
from helicone_gw_logging.config import LoggingConfig
from helicone_gw_logging.counters import Counters
from helicone_gw_logging.janitor import Janitor
from helicone_gw_logging.journal.service import JournalService, root_of
from helicone_gw_logging.objects import Objects
from helicone_gw_logging.rebuild import rebuild, sums_are_missing
from helicone_gw_logging.record import record
from helicone_gw_logging.redact import OVERLAP
from helicone_gw_logging.vocabulary import Vocabulary
from helicone_gw_logging.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import typer
    from quart import Blueprint

    from helicone_gw import ApiOperation, Exchange, Gateway, Measurement
    from helicone_gw_logging.ingest.routes import Ingestion
    from helicone_gw_logging.record import LogRecord

VERSIONS = Path(__file__).parent / "migrations" / "versions"
"""The Alembic revisions of this plugin's tables, branch ``logging``."""


class LoggingPlugin(Plugin):
    """One row per exchange, whatever its outcome."""

    Config = LoggingConfig
    migrations: ClassVar[dict[str, Path]] = {"logging": VERSIONS}
    on_failure = "open"
    config: LoggingConfig

    def __init__(self, config: LoggingConfig, name: str) -> None:
        super().__init__(config, name)
        self.capture_bytes = config.max_body + OVERLAP if config.bodies == "full" else 0
        self._writer: Writer | None = None
        self._janitor: Janitor | None = None
        self._ingestion: Ingestion | None = None
        self._objects: Objects | None = None
        self._journal: JournalService | None = None
        self._opening: asyncio.Task[None] | None = None
        """What goes on trying to open a journal that could not be opened."""
        if not config.journal.enabled:
            self.unused_hooks = ("pre_request", "before_stream", "before_end")
        elif config.journal.on_full == "drop":
            self.unused_hooks = ("pre_request",)

    @property
    def counters(self) -> Counters:
        """What became of the records; all zero before `startup`."""
        return self._writer.counters if self._writer is not None else Counters()

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Bring the tables up to date and begin to write."""
        await gateway.database.migrate("logging", VERSIONS)
        if await sums_are_missing(gateway.database):
            async for done, of in rebuild(gateway.database, Vocabulary(self.config.rollup_values)):
                gateway.log.info("the log of an older version is summed up", requests=done, of=of)
        secrets = [
            provider.api_key.get_secret_value()
            for provider in gateway.config.providers.values()
            if provider.api_key is not None
        ]
        log = gateway.log.bind(plugin=self.name)
        if self.config.body_storage is not None:
            self._objects = Objects(self.config.body_storage, gateway.clock.monotonic, log)
        root = root_of(self.config, gateway.database)
        if root is not None:
            try:
                self._journal = JournalService(root, self.config, secrets, log)
            except OSError as problem:
                log.error("there is no journal: its directory cannot be used", problem=type(problem).__name__)
                opening = self._open_later(gateway, root, secrets, log)
                self._opening = asyncio.get_running_loop().create_task(opening, name="logging.journal")
        self._writer = Writer(
            gateway.database,
            self.config,
            log,
            secrets=secrets,
            objects=self._objects,
            journal=None if self._journal is None else self._journal.journal,
            now=gateway.clock.now,
        )
        self._writer.start()
        if self._journal is not None:
            self._journal.start(gateway.database, self._writer.write_left)
        self._janitor = Janitor(
            gateway.database, self.config.retention, gateway.clock, log, self._writer.counters, self._objects
        )
        self._janitor.start()

    async def _open_later(self, gateway: Gateway, root: Path, secrets: Sequence[str], log: Any) -> None:
        """Try again, more and more seldom, until there is a journal."""
        for wait in chain((1, 2, 4, 8, 16, 32), repeat(60)):
            await gateway.clock.sleep(wait)
            try:
                self._journal = JournalService(root, self.config, secrets, log)
            except OSError:
                continue
            assert self._writer is not None
            self._writer.journaled(self._journal.journal)
            self._journal.start(gateway.database, self._writer.write_left)
            log.info("there is a journal now")
            return

    @hookimpl
    async def shutdown(self, gateway: Gateway) -> None:
        """Write what is still waiting; what the database does not take stays in the journal."""
        if self._janitor is not None:
            await self._janitor.close()
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        try:
            if self._journal is not None:
                await self._journal.stop()
            if self._writer is not None:
                await self._writer.close()
        finally:
            if self._journal is not None:
                await self._journal.close(gateway.database)

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint | None:
        """Serve the REST API over the log and take what is told afterwards, once: all instances share a database."""
        if next(plugin for plugin in gateway.plugins if isinstance(plugin, LoggingPlugin)) is not self:
            return None
        from helicone_gw_logging.api.blueprint import blueprint, operations
        from helicone_gw_logging.api.routes import Service
        from helicone_gw_logging.api.schemas import filter_schemas
        from helicone_gw_logging.ingest.routes import Ingestion, routes

        pages = blueprint(self.name, Service(gateway.database, gateway.clock, self.flush, self._objects))
        bodies, max_body = self.config.bodies == "full", self.config.max_body + OVERLAP
        self._ingestion = Ingestion(gateway, self.take, bodies=bodies, max_body=max_body)
        pages.register_blueprint(routes(self.name, self._ingestion))

        def described() -> list[ApiOperation]:
            from helicone_gw_logging.ingest.operations import OPERATIONS  # hardly anybody asks

            return [*(each.described() for each in operations()), *OPERATIONS]

        gateway.pages.describe(described, filter_schemas)
        return pages

    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        """Add ``logs``, ``sessions``, ``export``, ``db`` and ``sql``, once: all instances share a database."""
        if any(group.name == "logs" for group in cli.registered_groups):
            return
        from helicone_gw_logging import cost_commands, session_commands
        from helicone_gw_logging.commands import commands
        from helicone_gw_logging.database_commands import database_commands
        from helicone_gw_logging.export_commands import export
        from helicone_gw_logging.sql_commands import sql

        cli.add_typer(commands(self.config), name="logs")
        cli.add_typer(session_commands.commands(), name="sessions")
        cli.command()(export)
        database_commands(self.config, cli)
        cli.command()(sql)
        cost_commands.add_to(cli)

    @property
    def _refuses(self) -> bool:
        """Whether there is no journal although there should be, or none that takes anything, and that is to refuse."""
        if self._journal is None:
            # Without it a killed process loses what waits in memory. Whether that is a reason to refuse is configured.
            return self._opening is not None and self.config.journal.on_full == "refuse"
        return self._journal.journal.refuses

    def unready(self) -> str | None:
        """Where the journal's policy is to refuse, whether it does so."""
        return "what is answered could not be logged, and is refused" if self._refuses else None

    def measurements(self) -> Iterator[Measurement]:
        """What became of the records, how many wait, and what was told afterwards."""
        yield from measured(self.name, self.counters, "Records of exchanges", gauges=("queue_rows", "queue_bytes"))
        if self._journal is not None:
            counters, gauges = self._journal.counters, ("bytes", "lag")
            yield from measured(f"{self.name}_journal", counters, "Records in the journal", gauges=gauges)
        if self._objects is not None:
            yield from measured(f"{self.name}_objects", self._objects.counters, "Bodies in the object storage")
        if self._ingestion is not None:
            yield from measured(f"{self.name}_ingest", self._ingestion.counters, "What was told of afterwards")

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        """Refuse what could not be logged, where the journal's policy is to refuse."""
        if self._refuses:
            raise Unavailable(
                "The gateway cannot keep its log, and is configured to answer nothing that is not logged.",
                code="log_unavailable",
                headers={"Retry-After": "5"},
            )

    @hookimpl
    def before_stream(self, exchange: Exchange) -> None:
        """Put into the journal that a streamed answer begins."""
        if self._journal is not None:
            self._journal.keeper.before_stream(exchange)

    @hookimpl
    def before_end(self, exchange: Exchange) -> None:
        """Put the record into the journal, before its client has the whole answer."""
        if self._journal is not None:
            self._journal.keeper.before_end(exchange)

    @hookimpl
    def on_finish(self, exchange: Exchange) -> None:
        """Hand the record to the writer; nothing on the client's path waits for the database."""
        if self._writer is None:
            raise RuntimeError("the plugin was not started")
        if self._journal is None:
            self._writer.put(record(exchange, bodies=self.config.bodies == "full", country=self.config.country_header))
        else:
            keeper = self._journal.keeper
            kept = keeper.on_finish(exchange)
            if not self._writer.leave(kept):
                self._writer.put(kept.record or keeper.record(exchange), kept)

    def take(self, record: LogRecord) -> bool:
        """Hand over the record of an exchange that somebody told of; whether there was room for it."""
        if self._writer is None:
            raise RuntimeError("the plugin was not started")
        counters = self._writer.counters
        lost = counters.rows_dropped + counters.rows_lost_at_shutdown
        kept = None if self._journal is None else self._journal.keeper.keep(record)
        if kept is None or not self._writer.leave(kept):
            self._writer.put(record, kept)
        return counters.rows_dropped + counters.rows_lost_at_shutdown == lost

    async def flush(self) -> None:
        """Wait until everything that was logged so far is in the database."""
        if self._writer is not None:
            await self._writer.flush()
