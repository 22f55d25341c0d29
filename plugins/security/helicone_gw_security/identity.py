"""Identity: users, sessions, logins and the audit log of one gateway, put together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import Measurement
from helicone_gw_security.attempts import Attempts
from helicone_gw_security.audit_log import AuditLog
from helicone_gw_security.browsers import OPEN_PAGES
from helicone_gw_security.cached import STALE_AFTER
from helicone_gw_security.identity_tables import BRANCH, IDENTITY_VERSIONS
from helicone_gw_security.logins import Logins
from helicone_gw_security.organizations import OrganizationTable
from helicone_gw_security.passwords import Passwords
from helicone_gw_security.sessions import Sessions
from helicone_gw_security.users import User, Users, UserTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from quart import Blueprint

    from helicone_gw import Gateway
    from helicone_gw_security.identity_config import IdentityConfig
    from helicone_gw_security.keys import StoredKey
    from helicone_gw_security.provider_table import ProviderTable
    from helicone_gw_security.source import Keys
    from helicone_gw_security.store import KeyTable

DAY = 86_400.0
"""Seconds between two prunings of the audit log."""

_FAILURES = (SQLAlchemyError, OSError, TimeoutError)


class Identity:
    """Who people are, for one gateway. ``config`` may lose its secrets after `start`."""

    def __init__(self, config: IdentityConfig, passwords: Passwords | None = None) -> None:
        self._config = config
        self._secrets = config.passwords()
        self._passwords = passwords or Passwords()
        self._tasks: list[asyncio.Task[None]] = []
        self.users: Users
        self.sessions: Sessions
        self.logins: Logins
        self.audit_log: AuditLog
        self.organizations: OrganizationTable

    async def start(self, gateway: Gateway, keys: Keys) -> None:
        """Migrate the tables, and let the gateway know people. Raises what the database does."""
        database, clock, log = gateway.database, gateway.clock, gateway.log
        if self._config.oidc:
            from helicone_gw_security.oidc import check_installed

            check_installed()
        await database.migrate(BRANCH, IDENTITY_VERSIONS)
        static = await self._static()
        self.users = Users(static, UserTable(database, static))
        await self.users.refresh()
        login = self._config.login
        self.sessions = Sessions(
            database,
            clock,
            log,
            lambda holder, organization: self.logins.holder(holder, organization),
            idle=login.idle,
            lifetime=login.lifetime,
            configured=lambda: self.users.configured or bool(self._config.oidc),
            https=(login.public_url or "").startswith("https:"),
        )
        if login.public_url is not None:
            gateway.keys.path_prefix = urlsplit(login.public_url).path
        self.logins = Logins(
            self.users,
            keys,
            self.sessions,
            self._passwords,
            Attempts(gateway.store.scope("security"), clock),
            clock,
            gateway.audit,
            key_login=login.keys,
            public_url=login.public_url,
        )
        self.audit_log = AuditLog(database)
        self.organizations = OrganizationTable(database)
        gateway.audit.register(self.audit_log)
        gateway.keys.register_sessions(self.sessions)
        gateway.keys.open_pages(*OPEN_PAGES)
        if not gateway.keys.configured:
            self._tasks.append(asyncio.create_task(self._until_configured(gateway), name="security.users"))
        if self._config.audit_days is not None:
            keep = self._config.audit_days * DAY
            self._tasks.append(asyncio.create_task(self._prune(gateway, keep), name="security.audit"))

    async def close(self) -> None:
        """Stop asking the database."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()
        self._passwords.close()

    def pages(
        self,
        name: str,
        gateway: Gateway,
        keys: KeyTable,
        configured_keys: Sequence[StoredKey],
        provider_keys: ProviderTable | None,
    ) -> list[Blueprint]:
        """The pages of the plugin instance ``name``: logins, and the administrators' API over what is given."""
        # Only a gateway that serves needs a web framework.
        from helicone_gw_security.admin.pages import admin_pages, described
        from helicone_gw_security.admin.routing import Desk
        from helicone_gw_security.auth_operations import AUTH
        from helicone_gw_security.auth_pages import auth_pages

        providers = [
            {"name": provider, "label": entry.label or provider} for provider, entry in self._config.oidc.items()
        ]
        desk = Desk(
            keys=keys,
            configured_keys=configured_keys,
            provider_keys=provider_keys,
            logins=self.logins,
            organizations=self.organizations,
            audit_log=self.audit_log,
            audit=gateway.audit,
            clock=gateway.clock,
        )
        gateway.pages.describe(lambda: [*described(), *AUTH])
        if not self._config.oidc:
            return [auth_pages(name, self.logins, gateway.keys, providers), admin_pages(name, desk)]
        from helicone_gw_security.oidc import OidcProvider
        from helicone_gw_security.oidc_logout import farewell
        from helicone_gw_security.oidc_pages import oidc_pages
        from helicone_gw_security.oidc_states import LoginStates

        oidc = {
            provider: OidcProvider(provider, entry, lambda: gateway.http, gateway.clock)
            for provider, entry in self._config.oidc.items()
        }
        url, states = self._config.login.public_url, LoginStates(gateway.database, gateway.clock)
        elsewhere = farewell(oidc, gateway.keys, gateway.log, url)
        return [
            auth_pages(name, self.logins, gateway.keys, providers, elsewhere),
            admin_pages(name, desk),
            oidc_pages(name, oidc, states, self.logins, gateway.keys, gateway.clock, gateway.log, url),
        ]

    def measurements(self) -> Iterator[Measurement]:
        """What is counted here."""
        attempts = self.logins.attempts.refused
        yield Measurement("security_login_attempts_refused", "counter", "Logins refused: too many attempts.", attempts)
        busy = self._passwords.refused
        yield Measurement("security_logins_busy", "counter", "Logins refused: too many at the same moment.", busy)

    async def _static(self) -> list[User]:
        users: list[User] = []
        for email, entry in self._config.users.items():
            secret = self._secrets.get(email)
            text = None if secret is None else secret.get_secret_value()
            if entry.password is not None and text is not None:
                text = await self._passwords.hash(text)
            users.append(entry.user(email, text))
        self._secrets = {}
        return users

    async def _prune(self, gateway: Gateway, keep: float) -> None:
        while True:
            try:
                await self.audit_log.prune(gateway.clock.now() - keep)
            except _FAILURES as problem:
                gateway.log.warning("the audit log cannot be pruned", problem=type(problem).__name__)
            await gateway.clock.sleep(DAY)

    async def _until_configured(self, gateway: Gateway) -> None:
        # A timer and not the next request: the first request after a user was made must already need somebody.
        while not gateway.keys.configured:
            await gateway.clock.sleep(STALE_AFTER)
            try:
                await self.users.refresh()
            except _FAILURES as problem:
                gateway.log.warning("users cannot be read", problem=type(problem).__name__)
