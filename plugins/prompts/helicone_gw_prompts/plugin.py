"""The hooks of ``prompts``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec
from msgspec import Struct

from helicone_gw import GatewayError, MalformedBody, Plugin, Request, hookimpl, measured
from helicone_gw_prompts import editing, expansion, reading
from helicone_gw_prompts.asking import Asked, asked
from helicone_gw_prompts.config import PromptsConfig
from helicone_gw_prompts.legacy import MARK, read_marks
from helicone_gw_prompts.library import Library
from helicone_gw_prompts.links import Links
from helicone_gw_prompts.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence

    import typer
    from quart import Blueprint

    from helicone_gw import ApiOperation, Exchange, Gateway, GatewayConfig, Measurement
    from helicone_gw_prompts.watching import Watch

VERSIONS = Path(__file__).parent / "migrations" / "versions"
"""The Alembic revisions of this plugin's tables, branch ``prompts``."""


class PromptsCounters(Struct):
    """What became of requests that asked for a prompt, and of those that marked their inputs."""

    expanded: int = 0
    refused: int = 0
    marked: int = 0


def _described() -> Sequence[ApiOperation]:
    from helicone_gw_prompts.operations import OPERATIONS  # hardly anybody asks

    return OPERATIONS


class PromptsPlugin(Plugin):
    """Prompts kept, versioned and filled in by the gateway: Helicone's templates and prompts, as files too."""

    Config = PromptsConfig
    migrations: ClassVar[dict[str, Path]] = {"prompts": VERSIONS}
    after = ("logging", "security")
    before = ("ratelimit", "cache", "semantic-cache", "moderation", "router")
    config: PromptsConfig
    library: Library
    """The versions that requests ask for; there from `startup` on."""
    editor: editing.Editor
    """Edits of prompts; there from `startup` on."""

    def __init__(self, config: PromptsConfig, name: str) -> None:
        super().__init__(config, name)
        self.counters = PromptsCounters()
        self._expander: expansion.Expander
        self._templates: Templates
        self._links: Links
        self._watch: Watch | None = None

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Bring the tables up to date, and take over the files of ``dir``."""
        config, database = self.config, gateway.database
        await database.migrate("prompts", VERSIONS)
        self.library = Library(
            database,
            gateway.clock,
            size=config.max_cached,
            stale_after=config.stale_after,
            deadline=config.deadline,
        )
        bounds = expansion.Bounds(int(config.max_expanded), config.max_nesting)
        self._expander = expansion.Expander(self.library, bounds, keep_falsy=config.keep_falsy)
        self.editor = editing.Editor(database, gateway.clock.now, config.bounds(), self.library.forget)
        log = gateway.log.bind(plugin=self.name)
        self._templates = Templates(
            database,
            gateway.clock,
            gateway.background,
            log,
            max_size=int(config.max_size),
            max_prompts=config.max_prompts,
            max_versions=config.max_versions,
        )
        async with database.connect() as connection:
            key = await reading.signing_key(connection)
        self._links = Links(key, gateway.clock, config.url_lifetime)
        gateway.keys.register(self._links)
        if config.dir is not None:
            from helicone_gw_prompts.watching import Watch

            self._watch = Watch(Path(config.dir), config.organization, self.editor, log, gateway.audit)
            await self._watch.start(watch=config.watch)

    @hookimpl
    async def shutdown(self, gateway: Gateway) -> None:
        """Stop looking at files and at the database."""
        if self._watch is not None:
            await self._watch.close()
        await self.library.close()

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint | None:
        """Serve ``/v1/prompt-2025``, once: all instances share a database."""
        if next(plugin for plugin in gateway.plugins if isinstance(plugin, PromptsPlugin)) is not self:
            return None
        from helicone_gw_prompts.api import Service, routes
        from helicone_gw_prompts.comparing import Comparing

        gateway.pages.describe(_described)
        return routes(self.name, Service(self.editor, self._links, Comparing(gateway), gateway.audit))

    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        """Add ``helicone-gw prompts``, once: every instance of this plugin has the same database."""
        if any(group.name == "prompts" for group in cli.registered_groups):
            return
        from helicone_gw_prompts.commands import commands

        cli.add_typer(commands(self.config, VERSIONS), name="prompts")

    def remarks(self, config: GatewayConfig) -> list[str]:
        """What is wrong with the files of ``dir``, a line each."""
        if self.config.dir is None:
            return []
        from helicone_gw_prompts.files import read_folder

        return read_folder(Path(self.config.dir), int(self.config.max_size), self.config.max_prompts)[1]

    def measurements(self) -> Iterator[Measurement]:
        """What became of requests, look-ups, templates and files."""
        yield from measured(self.name, self.counters, "Requests with prompts")
        yield from measured(f"{self.name}_library", self.library.counters, "Look-ups of prompts")
        yield from measured(f"{self.name}_templates", self._templates.counters, "Templates of requests")
        if self._watch is not None:
            yield from measured(f"{self.name}_files", self._watch.counters, "Prompts as files")

    @hookimpl
    def pre_request(self, exchange: Exchange) -> Awaitable[Request] | Request | None:
        """Put the prompt in that the request asks for, and take its marks out."""
        request = exchange.request
        if request.helicone.prompt_id is not None and request.helicone.prompt_mode != "deactivated":
            request = self._unmarked(exchange, request)
        try:
            wanted = asked(request)
        except GatewayError:
            self.counters.refused += 1
            raise
        if wanted is not None:
            return self._expanded(exchange, request, wanted)
        return None if request is exchange.request else request

    async def _expanded(self, exchange: Exchange, request: Request, wanted: Asked) -> Request:
        try:
            expanded = await self._expander.expand(request, wanted, exchange.organization)
        except GatewayError:
            self.counters.refused += 1
            raise
        exchange.annotate_all({f"prompts.{name}": value for name, value in expanded.notes.items()})
        self.counters.expanded += bool(expanded.notes)
        return expanded.request

    def _unmarked(self, exchange: Exchange, request: Request) -> Request:
        """``request`` without the marks of legacy inputs, which are noted for the log."""
        body = request.body
        if body is None or MARK not in body:
            return request
        try:
            marked = read_marks(msgspec.json.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return request
        except RecursionError:
            raise MalformedBody("The request body nests too deep.") from None
        self.counters.marked += 1
        helicone = request.helicone
        if not helicone.omit_request:
            for name, value in expansion.noted_inputs(marked.inputs).items():
                exchange.annotate(f"prompts.{name}", value)
            exchange.annotate("prompts.auto_inputs", len(marked.auto_inputs))
            if helicone.prompt_mode == "production":
                version = self._templates.seen(exchange.organization, helicone.prompt_id or "", marked.template)
                if version is not None:
                    exchange.annotate("prompts.template_version", version)
        return request.replace(body=msgspec.json.encode(marked.body))
