"""The hooks of ``dashboard``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from helicone_gw import Measurement, Plugin, hookimpl
from helicone_gw_dashboard.config import DashboardConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quart import Blueprint

    from helicone_gw import Gateway
    from helicone_gw_dashboard.site import Site


VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"
"""The Alembic revisions of this plugin's table, branch ``dashboard``."""
QUIET: Final = 0.5
"""Seconds after the start in which nothing is done ahead: the gateway has other things to do then."""


class DashboardPlugin(Plugin):
    """The dashboard: what happens in the gateway, in a browser."""

    Config = DashboardConfig
    migrations: ClassVar[dict[str, Path]] = {"dashboard": VERSIONS}
    on_failure = "open"
    config: DashboardConfig

    def __init__(self, config: DashboardConfig, name: str) -> None:
        super().__init__(config, name)
        self._site: Site | None = None
        self._warming: asyncio.Task[None] | None = None

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Bring the table up to date; be the page to log in at, unless another plugin is; make ready for visitors."""
        await gateway.database.migrate("dashboard", VERSIONS)
        if gateway.keys.login_page is None:
            gateway.keys.login_page = f"{self.config.prefix}/login"
        gateway.keys.open_pages(f"{self.config.prefix}/login", f"{self.config.prefix}/assets/")
        # Not one of the gateway's own tasks in the background: the end waits for those.
        self._warming = asyncio.create_task(self._warm(gateway), name=f"{self.name}: make ready")

    async def _warm(self, gateway: Gateway) -> None:
        await gateway.clock.sleep(QUIET)
        if self._site is None:
            return
        try:
            await self._site.warm()
        except Exception:
            # Pages do without.
            gateway.log.exception("the dashboard could not be made ready ahead")

    @hookimpl
    async def shutdown(self, gateway: Gateway) -> None:
        """Stop what is done ahead."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait((self._warming,))

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint | None:
        """Serve the pages, and once for all instances, which share a database, the views that are saved."""
        from helicone_gw_dashboard import api
        from helicone_gw_dashboard.pages import MODULES
        from helicone_gw_dashboard.saved import Saved
        from helicone_gw_dashboard.site import Site

        self._site = Site(gateway, self.config)
        blueprint = self._site.blueprint(self.name, MODULES)
        if next(plugin for plugin in gateway.plugins if isinstance(plugin, DashboardPlugin)) is self:
            api.mount(blueprint, gateway, Saved(gateway.database, gateway.clock))
            gateway.pages.describe(api.operations)
        return blueprint

    @property
    def followers(self) -> int:
        """Pages that are being told of new requests."""
        return 0 if self._site is None else self._site.live

    def measurements(self) -> Iterator[Measurement]:
        """How many pages follow what happens."""
        yield Measurement(f"{self.name}_live", "gauge", "Pages that are told of new requests.", self.followers)
