"""``helicone-gw users``: add, list, change and remove those who log in."""

from __future__ import annotations

import asyncio
import getpass
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final, get_args

import typer

from helicone_gw import Role
from helicone_gw_security.command_line import AsJson, Office, Offices, fail, moment, organization_id, show
from helicone_gw_security.passwords import TEMPORARY, Passwords, password_problem
from helicone_gw_security.users import EmailTaken, User, checked_email

if TYPE_CHECKING:
    from pathlib import Path

ROLES: Final[tuple[str, ...]] = get_args(Role)

Email = Annotated[str, typer.Argument(help="The user's e-mail address.")]
Organization = Annotated[str, typer.Option(help="The organisation that is meant.")]


def user_commands(static: Sequence[User], versions: Path) -> typer.Typer:
    """The commands. ``static`` are the configuration's users (listed, never changed), ``versions`` the migrations."""
    app = typer.Typer(help="Add, list, change and remove those who log in.", no_args_is_help=True)
    offices = Offices(versions, static)

    @app.command()
    def add(
        context: typer.Context,
        email: Email,
        role: Annotated[str, typer.Option(help="viewer, member or admin.")] = "member",
        name: Annotated[str, typer.Option(help="What to call them.")] = "",
        organization: Organization = "default",
        password: Annotated[
            bool, typer.Option(help="Read a password; without one, only an OpenID provider lets them in.")
        ] = True,
    ) -> None:
        """Add a user; the password is asked for, or read from standard input."""
        address, wanted = _email(email), _role(role)
        secret = _password() if password else None

        async def work(here: Office) -> User:
            hashed = None if secret is None else await _hash(secret)
            user = await here.users.add(
                address,
                wanted,
                now=time.time(),
                organization=organization_id(organization),
                name=name,
                password_hash=hashed,
            )
            await here.tell(organization, "user.create", f"user:{user.id}", None, user.described())
            return user

        if any(user.email == address and user.organization == organization for user in static):
            fail(f"{address} is in the configuration already.")
        try:
            user = offices.make(context, work)
        except EmailTaken:
            fail(f"{address} is a user of {organization!r} already.")
        typer.echo(f"{user.email} is {user.role} of {user.organization!r}.")

    @app.command("list")
    def list_(
        context: typer.Context,
        organization: Annotated[str | None, typer.Option(help="Only this one's.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """List those who may log in."""
        users = [user for user in static if organization in (None, user.organization)]
        users += offices.read(context, lambda here: here.users.all(organization), [])
        described = [
            {
                "email": user.email,
                "name": user.name,
                "role": user.role,
                "organization": user.organization,
                "password": user.password_hash is not None,
                "openid": user.subject is not None,
                "last_login": moment(user.last_login_at),
                "configured": not user.stored,
                "id": user.id,
            }
            for user in users
        ]
        show(described, as_json)

    @app.command("set-password")
    def set_password(
        context: typer.Context,
        email: Email,
        organization: Organization = "default",
        temporary: Annotated[
            bool, typer.Option(help="Good for choosing another at the next login, for a week.")
        ] = False,
    ) -> None:
        """Give a user another password, and end their sessions."""
        secret = _password()

        async def work(here: Office) -> None:
            user = await _stored(here, static, email, organization)
            until = time.time() + TEMPORARY if temporary else None
            await here.users.change(user.id, organization, password_hash=await _hash(secret), temporary_until=until)
            await here.end_sessions(user)
            await here.tell(organization, "user.set_password", f"user:{user.id}")

        offices.make(context, work)
        typer.echo(f"{email} has a new password.")

    @app.command("set-role")
    def set_role(
        context: typer.Context,
        email: Email,
        role: Annotated[str, typer.Argument(help="viewer, member or admin.")],
        organization: Organization = "default",
    ) -> None:
        """Give a user another role, and end their sessions."""
        wanted = _role(role)

        async def work(here: Office) -> None:
            user = await _stored(here, static, email, organization)
            changed = await here.users.change(user.id, organization, role=wanted)
            await here.end_sessions(user)
            after = None if changed is None else changed.described()
            await here.tell(organization, "user.change", f"user:{user.id}", user.described(), after)

        offices.make(context, work)
        typer.echo(f"{email} is {wanted} of {organization!r}.")

    @app.command()
    def remove(context: typer.Context, email: Email, organization: Organization = "default") -> None:
        """Remove a user, and end their sessions."""

        async def work(here: Office) -> None:
            user = await _stored(here, static, email, organization)
            await here.users.remove(user.id, organization, now=time.time())
            await here.end_sessions(user)
            await here.tell(organization, "user.remove", f"user:{user.id}", user.described())

        offices.make(context, work)
        typer.echo(f"{email} is removed.")

    @app.command("hash")
    def hash_() -> None:
        """Print the hash of a password, for ``password_hash`` in the configuration."""
        typer.echo(asyncio.run(_hash(_password())))

    return app


async def _stored(here: Office, static: Sequence[User], email: str, organization: str) -> User:
    address = _email(email)
    for user in await here.users.of_email(address, organization):
        return user
    if any(user.email == address and user.organization == organization for user in static):
        fail(f"{address} is in the configuration: change it there and restart.")
    return fail(f"{address} is no user of {organization!r}; `helicone-gw users list` shows all.")


async def _hash(secret: str) -> str:
    passwords = Passwords()
    try:
        return await passwords.hash(secret)
    finally:
        passwords.close()


def _password() -> str:
    """Asked for on a terminal, twice; otherwise the first line of standard input."""
    if sys.stdin.isatty():
        secret = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != secret:
            fail("The two are not the same.")
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    if (problem := password_problem(secret)) is not None:
        fail(f"This will not do: {problem}.")
    return secret


def _email(text: str) -> str:
    try:
        return checked_email(text)
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="EMAIL") from None


def _role(text: str) -> Role:
    if text not in ROLES:
        raise typer.BadParameter(f"should be one of {', '.join(ROLES)}", param_hint="--role")
    return text  # type: ignore[return-value]
