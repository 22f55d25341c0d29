"""The hooks of ``security``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from helicone_gw import AuthenticationFailed, PermissionDenied, Plugin, hookimpl
from helicone_gw_security.commands import commands
from helicone_gw_security.config import SecurityConfig
from helicone_gw_security.keys import StaticKeys
from helicone_gw_security.source import Keys
from helicone_gw_security.store import KeyTable

if TYPE_CHECKING:
    import typer

    from helicone_gw import Exchange, Gateway, KeyRing

VERSIONS = Path(__file__).parent / "migrations" / "versions"
"""The Alembic migrations of this plugin's tables."""


class SecurityPlugin(Plugin):
    """Who may call: gateway keys with permits and expiry."""

    Config = SecurityConfig

    def __init__(self, config: SecurityConfig, name: str) -> None:
        super().__init__(config.without_secrets(), name)
        self._static = config.stored()
        self._keys: Keys | None = None
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

    @hookimpl
    async def shutdown(self, gateway: Gateway) -> None:
        """Stop asking the database."""
        if self._keys is not None:
            await self._keys.close()

    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        """Add ``helicone-gw keys``."""
        cli.add_typer(commands(self._static, VERSIONS), name="keys")

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        """Put the key's permits on the exchange; refuse a path that the key may not ask for."""
        key = exchange.key
        if key is None:
            if self._ring is None or self._ring.configured:
                # The core has refused this already; should it ever not have, nothing passes here.
                raise AuthenticationFailed("This gateway needs a key. Send one as `Authorization: Bearer <key>`.")
            return
        exchange.permits = key.permits
        path = exchange.original.path
        if not key.permits.allows_path(path):
            raise PermissionDenied(f"Key {key.name!r} may not use path {path!r}.", code="path_not_permitted")
