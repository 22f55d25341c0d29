"""The hooks of ``cost``."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import TYPE_CHECKING

from helicone_gw import Plugin, hookimpl
from helicone_gw_cost.catalogue import Catalogue
from helicone_gw_cost.config import CostConfig
from helicone_gw_cost.overrides import Overrides, built_in, from_entries, from_models

if TYPE_CHECKING:
    import typer

    from helicone_gw import Gateway


class CostPlugin(Plugin):
    """Supplies the core's price service: the models', the plugin's own, what it ships with, genai-prices' data."""

    Config = CostConfig
    on_failure = "open"
    config: CostConfig

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Hand the prices to the core; the catalogue is read in a thread."""
        gateway.prices.use(Overrides((*from_models(gateway.config.models), *from_entries(self.config.prices))))
        gateway.prices.use(built_in(version("helicone-gw-cost")))
        if self.config.catalogue:
            gateway.prices.use(await asyncio.to_thread(Catalogue.load))

    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        """Add ``helicone-gw cost``, and whatever other plugins have put into that group."""
        from helicone_gw_cost.commands import commands

        group = commands(self.config)
        for other in [each for each in cli.registered_groups if each.name == "cost"]:
            if other.typer_instance is not None:
                group.registered_commands += other.typer_instance.registered_commands
            cli.registered_groups.remove(other)
        cli.add_typer(group, name="cost")
