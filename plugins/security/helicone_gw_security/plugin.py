"""The hooks of ``security``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from helicone_gw import AuthenticationFailed, Measurement, PermissionDenied, Plugin, hookimpl
from helicone_gw_security.audit_log import AuditLog
from helicone_gw_security.ciphers import Cipher
from helicone_gw_security.config import SecurityConfig
from helicone_gw_security.enforcement import check_enforced, unenforced
from helicone_gw_security.identity import Identity
from helicone_gw_security.identity_tables import BRANCH, IDENTITY_VERSIONS
from helicone_gw_security.isolation import Isolation
from helicone_gw_security.keys import StaticKeys
from helicone_gw_security.ledger import Ledger
from helicone_gw_security.object_table import ObjectTable
from helicone_gw_security.provider_keys import ProviderKeys, standing_for
from helicone_gw_security.provider_table import ProviderTable
from helicone_gw_security.source import Keys
from helicone_gw_security.store import KeyTable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    import typer
    from quart import Blueprint

    from helicone_gw import Chunk, Database, Exchange, Gateway, GatewayConfig, KeyRing, Request, Response

VERSIONS = Path(__file__).parent / "migrations" / "versions"
"""The Alembic migrations of this plugin's tables."""


class SecurityPlugin(Plugin):
    """Who may call, and who may log in: gateway keys with permits, users with roles."""

    Config = SecurityConfig
    chunks_on_request = True
    answers_on_request = True
    migrations: ClassVar[dict[str, Path]] = {"security": VERSIONS, BRANCH: IDENTITY_VERSIONS}

    def __init__(self, config: SecurityConfig, name: str) -> None:
        super().__init__(config.without_secrets(), name)
        self._static = config.stored()
        self._cipher = Cipher(config.encryption_keys) if config.encryption_keys else None
        self._provider_keys: ProviderKeys | None = None
        self._keys: Keys | None = None
        self._objects = config.objects
        self._isolation: Isolation | None = None
        # A plugin outside this one may have the first word on routes: then what it has not yet changed is looked at.
        self._early = False
        self._identity = Identity(config.identity())
        self._listed = config.identity().listed()
        self._ring: KeyRing | None = None

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Migrate the table, read whether it holds keys, and offer this plugin's keys to the gateway."""
        await gateway.database.migrate("security", VERSIONS)
        self._keys = Keys(StaticKeys(self._static), KeyTable(gateway.database), gateway.clock, gateway.log)
        await self._keys.refresh()
        self._ring = gateway.keys
        gateway.keys.register(self._keys)
        self._keys.start()
        await self._identity.start(gateway, self._keys)
        ledger = Ledger(ObjectTable(gateway.database), gateway.clock, gateway.log)
        self._isolation = Isolation(self._objects, ledger, gateway, KeyTable(gateway.database))
        named = {stored.key.organization for stored in self._static} | {user.organization for user in self._listed}
        await self._isolation.start(named)
        routing = [hook.plugin for hook in gateway.chain.route_model]
        self._early = bool(routing) and routing[0] != self.name
        if self._cipher is not None:
            gateway.sealing.use(self._cipher)
            self._provider_keys = ProviderKeys(
                ProviderTable(gateway.database, self._cipher),
                self._cipher,
                gateway.clock,
                gateway.log,
                lambda name: name if (known := gateway.catalogue.get(name)) is None else known.name,
            )

    @hookimpl
    async def shutdown(self, gateway: Gateway) -> None:
        """Stop asking the database."""
        await self._identity.close()
        if self._isolation is not None:
            await self._isolation.close()
        if self._keys is not None:
            await self._keys.close()
        if self._provider_keys is not None:
            await self._provider_keys.close()

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint | None:
        """Log people in and out, and let administrators administer."""
        from quart import Blueprint

        table = None if self._cipher is None else ProviderTable(gateway.database, self._cipher)
        pages = Blueprint(self.name, __name__)
        for part in self._identity.pages(self.name, gateway, KeyTable(gateway.database), self._static, table):
            pages.register_blueprint(part)
        return pages

    def measurements(self) -> Iterator[Measurement]:
        """Logins that were refused for their number, and what became of objects."""
        yield from self._identity.measurements()
        if self._isolation is not None:
            yield from self._isolation.measurements()

    def warnings(self, config: GatewayConfig) -> Iterator[str]:
        """Keys with limits or budgets that nothing enforces: they are not served."""
        return unenforced({stored.key.name: stored.key for stored in self._static}.values(), config)

    @staticmethod
    def audit_sink(database: Database) -> AuditLog:
        """The audit log."""
        return AuditLog(database)

    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        """Add the commands on keys, providers' keys, users and organisations."""
        from helicone_gw_security.commands import commands
        from helicone_gw_security.organization_commands import organization_commands
        from helicone_gw_security.provider_commands import provider_commands
        from helicone_gw_security.user_commands import user_commands

        cli.add_typer(commands(self._static, VERSIONS), name="keys")
        cli.add_typer(provider_commands(self._cipher, VERSIONS), name="provider-keys")
        cli.add_typer(user_commands(self._listed, VERSIONS), name="users")
        cli.add_typer(organization_commands(VERSIONS), name="organizations")

    @hookimpl
    def pre_request(self, exchange: Exchange) -> Awaitable[Request | None] | Request | None:
        """Put the key's permits on the exchange; refuse a path that the key may not ask for."""
        key = exchange.key
        if key is None:
            if self._ring is None or self._ring.configured:
                # The core has refused this already; should it ever not have, nothing passes here.
                raise AuthenticationFailed("This gateway needs a key. Send one as `Authorization: Bearer <key>`.")
            return None if self._provider_keys is None else self._provider_keys.give(exchange)
        exchange.permits = permits = key.permits
        if permits.paths is not None and not permits.allows_path(path := exchange.original.path):
            raise PermissionDenied(f"Key {key.name!r} may not use path {path!r}.", code="path_not_permitted")
        if key.limits or key.budgets:
            check_enforced(key, self._ring)
        if self._provider_keys is not None or self._early:
            return self._looked_up(exchange)
        if key.provider_key is not None:
            standing_for(exchange, key, None)
        return None if self._isolation is None else self._isolation.listing(exchange)

    async def _looked_up(self, exchange: Exchange) -> Request | None:
        """The same for a key, where something is to be looked up."""
        key = exchange.key
        if self._provider_keys is not None:
            await self._provider_keys.give(exchange)
        elif key is not None and key.provider_key is not None:
            standing_for(exchange, key, None)
        if self._isolation is None:
            return None
        if self._early and (checking := self._isolation.check(exchange)) is not None:
            await checking
        return self._isolation.listing(exchange)

    @hookimpl
    def route_model(self, exchange: Exchange) -> Awaitable[None] | None:
        """Refuse what names another organisation's object, now that nobody changes the request any more."""
        return None if self._isolation is None or self._early else self._isolation.check(exchange)

    @hookimpl
    def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> None:
        """Note what a stream says was made; only where something may be."""
        if self._isolation is not None:
            self._isolation.notes.event(exchange, chunk)

    @hookimpl
    async def on_response(self, exchange: Exchange, response: Response) -> Response | None:
        """Note what was made, and filter lists; only where there may be either."""
        return None if self._isolation is None else await self._isolation.notes.answered(exchange, response)
