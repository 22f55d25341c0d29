"""What a plugin offers beside exchanges: pages of its own, and subcommands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from helicone_gw import registry
from helicone_gw.chain import lifecycle_hooks
from helicone_gw.testing.conformance.suite import Suite
from helicone_gw.testing.running import GatewayFactory


class Offers(Suite):
    """The part of the suite about ``register_routes`` and ``register_commands``; a plugin without them passes."""

    @pytest.mark.asyncio
    async def test_its_pages_answer(self, gateway: GatewayFactory) -> None:
        """Every page whose path has no variable part answers, and not with a fault."""
        async with gateway() as without:
            core = {rule.rule for rule in without.app.url_map.iter_rules()}
        async with self._running(gateway) as running:
            for rule in running.app.url_map.iter_rules():
                if rule.rule not in core and not rule.arguments and "GET" in (rule.methods or ()):
                    reply = await running.request("GET", rule.rule, headers=self.headers)
                    assert reply.status < 500, f"{rule.rule} answers {reply.status}: {reply.body!r:.500}"

    def test_its_commands_explain_themselves(self) -> None:
        """They are added without ``startup``, and each has a ``--help``."""
        instance = self._instance()
        manager = registry.new_manager()
        manager.register(instance, name=instance.name)
        cli = typer.Typer(add_completion=False)
        cli.callback()(_root)
        for _, register_commands in lifecycle_hooks([instance], manager, "register_commands"):
            register_commands(cli)
            command = typer.main.get_command(cli)
            assert getattr(command, "commands", None), "register_commands added no command"
            for path in _paths(command):
                result = CliRunner().invoke(cli, [*path, "--help"])
                assert result.exit_code == 0, f"{' '.join(path)} --help failed: {result.output}"


def _root() -> None:
    """Stands for ``helicone-gw``."""


def _paths(command: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The command's own path and those of all below it."""
    # Newer versions of typer bring a click of their own, so that there is no class to ask for.
    yield above
    for name, below in getattr(command, "commands", {}).items():
        yield from _paths(below, (*above, name))
