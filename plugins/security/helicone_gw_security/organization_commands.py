"""``helicone-gw organizations``: make, list, rename and remove organisations."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from helicone_gw_security.command_line import AsJson, Office, Offices, fail, moment, organization_id, show
from helicone_gw_security.organizations import OrganizationTaken

if TYPE_CHECKING:
    from pathlib import Path


def organization_commands(versions: Path) -> typer.Typer:
    """The commands on organisations."""
    app = typer.Typer(help="Make, list, rename and remove organisations.", no_args_is_help=True)
    offices = Offices(versions)

    @app.command()
    def create(
        context: typer.Context,
        id: Annotated[str, typer.Argument(help="What keys and users name it by.")],
        name: Annotated[str, typer.Option(help="What people call it.")] = "",
    ) -> None:
        """Make an organisation."""
        wanted = organization_id(id)

        async def work(here: Office) -> None:
            made = await here.organizations.create(wanted, name or wanted, now=time.time())
            await here.tell("default", "organization.create", f"organization:{made.id}", None, {"name": made.name})

        try:
            offices.make(context, work)
        except OrganizationTaken:
            fail(f"There is an organisation {wanted!r}.")
        typer.echo(f"Organisation {wanted!r} is made.")

    @app.command("list")
    def list_(context: typer.Context, as_json: AsJson = False) -> None:
        """List the organisations: those that were made, and those that keys or users name."""
        found = offices.read(context, lambda here: here.organizations.all(), [])
        show([{"id": each.id, "name": each.name, "created": moment(each.created_at)} for each in found], as_json)

    @app.command()
    def rename(
        context: typer.Context,
        id: Annotated[str, typer.Argument(help="The organisation's id.")],
        name: Annotated[str, typer.Argument(help="What people call it from now on.")],
    ) -> None:
        """Call an organisation something else; its id stays."""

        async def work(here: Office) -> None:
            before = await here.organizations.get(id)
            await here.organizations.rename(organization_id(id), name, now=time.time())
            await here.tell(id, "organization.change", f"organization:{id}", {"name": before.name}, {"name": name})

        offices.make(context, work)
        typer.echo(f"Organisation {id!r} is called {name!r}.")

    @app.command()
    def remove(context: typer.Context, id: Annotated[str, typer.Argument(help="The organisation's id.")]) -> None:
        """Remove an organisation that has neither users nor valid keys; what was logged of it stays."""

        async def work(here: Office) -> bool:
            removed = await here.organizations.remove(id)
            if removed:
                await here.tell("default", "organization.remove", f"organization:{id}")
            return removed

        if not offices.make(context, work):
            fail(f"There is no organisation {id!r} that was made and has neither users nor valid keys.")
        typer.echo(f"Organisation {id!r} is removed.")

    return app
