"""What the plugin's commands share: the log in the configured database, and what the audit log is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import typer

from helicone_gw import CommandDatabase, Database, audit_command
from helicone_gw_logging.plugin import VERSIONS

LOG: Final = CommandDatabase({"logging": VERSIONS})
"""The log, for commands to read and change: a starting gateway makes it, and `db upgrade`."""


async def tell(
    context: typer.Context,
    database: Database,
    action: str,
    subject: str,
    after: Mapping[str, Any],
    organization: str = "default",
) -> None:
    """Have the audit log say that somebody did ``action`` here; what keeps it from being kept is told, no more."""
    problem = await audit_command(context.obj.config, database, action, subject, organization=organization, after=after)
    if problem is not None:
        typer.echo(problem, err=True)
