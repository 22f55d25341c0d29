"""The hooks of ``dashboard``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helicone_gw import Plugin, hookimpl
from helicone_gw_dashboard.config import DashboardConfig

if TYPE_CHECKING:
    from quart import Blueprint

    from helicone_gw import Gateway


class DashboardPlugin(Plugin):
    """The dashboard: what happens in the gateway, in a browser."""

    Config = DashboardConfig
    on_failure = "open"
    config: DashboardConfig

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Be the page to log in at, unless another plugin is already."""
        if gateway.keys.login_page is None:
            gateway.keys.login_page = f"{self.config.prefix}/login"
        gateway.keys.open_pages(f"{self.config.prefix}/login", f"{self.config.prefix}/assets/")

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint | None:
        """Serve the pages."""
        from helicone_gw_dashboard.pages import MODULES
        from helicone_gw_dashboard.site import Site

        return Site(gateway, self.config).blueprint(self.name, MODULES)
