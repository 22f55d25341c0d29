"""The hooks of ``dashboard``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helicone_gw import Measurement, Plugin, hookimpl
from helicone_gw_dashboard.config import DashboardConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quart import Blueprint

    from helicone_gw import Gateway
    from helicone_gw_dashboard.site import Site


class DashboardPlugin(Plugin):
    """The dashboard: what happens in the gateway, in a browser."""

    Config = DashboardConfig
    on_failure = "open"
    config: DashboardConfig

    def __init__(self, config: DashboardConfig, name: str) -> None:
        super().__init__(config, name)
        self._site: Site | None = None

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

        self._site = Site(gateway, self.config)
        return self._site.blueprint(self.name, MODULES)

    @property
    def followers(self) -> int:
        """Pages that are being told of new requests."""
        return 0 if self._site is None else self._site.live

    def measurements(self) -> Iterator[Measurement]:
        """How many pages follow what happens."""
        yield Measurement(f"{self.name}_live", "gauge", "Pages that are told of new requests.", self.followers)
