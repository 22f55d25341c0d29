"""Users: those of the configuration and those of the database, found, made, changed and removed."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError

from helicone_gw import GatewayKey, Role
from helicone_gw_security.identity_tables import USER

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database

MAX_ACCOUNTS: Final = 5
"""Users of one e-mail address, each in an organisation of its own, that a login looks at."""

_EMAIL = re.compile(r"[^\s@,;<>\"()]{1,64}@[^\s@,;<>\"()]{1,189}")


class EmailTaken(Exception):
    """The organisation has a user of this e-mail address already."""


class LastAdmin(Exception):
    """Nobody would be left who can log in and administer the organisation."""

    def __init__(self) -> None:
        super().__init__(
            "This is the organisation's last administrator who can log in: make somebody else one first, "
            "with a password or by a login at an OpenID provider."
        )


@dataclass(frozen=True, slots=True)
class User:
    """A person in one organisation. ``password_hash`` and ``subject`` say how they may log in; times are epoch
    seconds. ``stored`` users are in the database, others in the configuration. Until ``temporary_until`` the password,
    which somebody else set, is good for choosing another."""

    id: str
    organization: str
    email: str
    name: str
    role: Role
    password_hash: str | None = field(default=None, repr=False)
    subject: str | None = None
    created_at: float | None = None
    last_login_at: float | None = None
    stored: bool = True
    temporary_until: float | None = None

    @property
    def administers(self) -> bool:
        """Whether this is an administrator who can log in."""
        return self.role == "admin" and (self.password_hash is not None or self.subject is not None)

    @property
    def key(self) -> GatewayKey:
        """Who this is to the gateway's own pages."""
        return GatewayKey(f"user:{self.id}", self.email, self.email, organization=self.organization, role=self.role)

    def described(self) -> dict[str, Any]:
        """What an audit entry says of the user."""
        return {"email": self.email, "name": self.name, "role": self.role}


def checked_email(text: str) -> str:
    """``text`` as an e-mail address in lower case. Raises `ValueError`."""
    email = text.strip().lower()
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise ValueError("not an e-mail address")
    return email


class UserTable:
    """The users in the database, each call one transaction. SQLAlchemy's errors pass through.

    ``organization`` narrows a call to the users of one: the others are as if they were not. ``static`` are the users of
    the configuration, whose organisations they administer beside those here.
    """

    def __init__(self, database: Database, static: Iterable[User] = ()) -> None:
        self._database = database
        self._administered = frozenset(user.organization for user in static if user.administers)

    async def exist(self) -> bool:
        """Whether there is any user, or ever was one: removing the last one must not open the gateway."""
        async with self._database.connect() as connection:
            return (await connection.execute(select(USER.c.id).limit(1))).first() is not None

    async def get(self, id: str, organization: str | None = None) -> User | None:
        """The user ``id``, if there is one that was not removed."""
        query = select(USER).where(USER.c.id == id, USER.c.removed_at.is_(None))
        if organization is not None:
            query = query.where(USER.c.organization_id == organization)
        async with self._database.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else _user(row)

    async def of_email(self, email: str, organization: str | None = None) -> list[User]:
        """The users of an e-mail address (in lower case), `MAX_ACCOUNTS` at most."""
        query = select(USER).where(USER.c.email == email, USER.c.removed_at.is_(None))
        if organization is not None:
            query = query.where(USER.c.organization_id == organization)
        async with self._database.connect() as connection:
            rows = await connection.execute(query.order_by(USER.c.organization_id).limit(MAX_ACCOUNTS))
            return [_user(row) for row in rows.mappings()]

    async def of_subject(self, subject: str, organization: str) -> User | None:
        """The user who logs in as ``subject`` in ``organization``."""
        query = select(USER).where(
            USER.c.subject == subject, USER.c.organization_id == organization, USER.c.removed_at.is_(None)
        )
        async with self._database.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else _user(row)

    async def with_subject(self, subject: str) -> list[str]:
        """The ids of those who log in as ``subject``, in whatever organisation."""
        query = select(USER.c.id).where(USER.c.subject == subject)
        async with self._database.connect() as connection:
            return list((await connection.execute(query)).scalars())

    async def all(self, organization: str | None = None) -> list[User]:
        """Every user, by organisation and e-mail address."""
        query = select(USER).where(USER.c.removed_at.is_(None)).order_by(USER.c.organization_id, USER.c.email)
        if organization is not None:
            query = query.where(USER.c.organization_id == organization)
        async with self._database.connect() as connection:
            return [_user(row) for row in (await connection.execute(query)).mappings()]

    async def add(
        self,
        email: str,
        role: Role,
        *,
        now: float,
        organization: str = "default",
        name: str = "",
        password_hash: str | None = None,
        subject: str | None = None,
        temporary_until: float | None = None,
    ) -> User:
        """Make a user. Raises `EmailTaken`, also when ``subject`` is another user's; `ValueError` for no address."""
        user = User(
            str(uuid.uuid4()),
            organization,
            checked_email(email),
            name,
            role,
            password_hash,
            subject,
            created_at=now,
            temporary_until=temporary_until,
        )
        row = {
            "organization_id": organization,
            "id": user.id,
            "email": user.email,
            "name": name,
            "role": role,
            "password_hash": password_hash,
            "subject": subject,
            "created_at": now,
            "temporary_until": temporary_until,
        }
        try:
            async with self._database.begin() as connection:
                await connection.execute(insert(USER).values(**row))
        except IntegrityError:
            raise EmailTaken(user.email) from None
        return user

    async def change(self, id: str, organization: str | None = None, /, **values: Any) -> User | None:
        """Give the user other ``values`` (columns); the user as it is then, ``None`` when there is none.

        Raises `EmailTaken`, and `LastAdmin` where nobody would be left to administer the organisation.
        """
        statement = update(USER).where(USER.c.id == id, USER.c.removed_at.is_(None)).values(**values)
        if organization is not None:
            statement = statement.where(USER.c.organization_id == organization)
        try:
            async with self._database.begin() as connection:
                if values.get("role", "admin") != "admin" or "removed_at" in values:
                    await self._leave_an_admin(connection, id)
                await connection.execute(statement)
        except IntegrityError:
            raise EmailTaken(str(values.get("email", ""))) from None
        return await self.get(id, organization)

    async def rehash(self, id: str, before: str, after: str) -> bool:
        """Put ``after`` in the place of the hash ``before``, if that is still the user's; whether it was.

        It is then a password that the user has chosen.
        """
        mine = (USER.c.id == id, USER.c.password_hash == before)
        async with self._database.begin() as connection:
            return bool(
                (
                    await connection.execute(
                        update(USER).where(*mine).values(password_hash=after, temporary_until=None)
                    )
                ).rowcount
            )

    async def remove(self, id: str, organization: str | None = None, *, now: float) -> User | None:
        """Remove the user, and return who it was; ``None`` when there is none. Raises `LastAdmin`."""
        user = await self.get(id, organization)
        if user is not None:
            await self.change(
                id,
                organization,
                email=f"removed:{id}",
                name="",
                password_hash=None,
                subject=None,
                removed_at=now,
            )
        return user

    async def _leave_an_admin(self, connection: AsyncConnection, id: str) -> None:
        """Raise `LastAdmin` if the user is the only one who administers; nobody else's role changes meanwhile."""
        mine = select(USER.c.organization_id).where(USER.c.id == id).scalar_subquery()
        admins = select(USER).where(USER.c.organization_id == mine, USER.c.role == "admin", USER.c.removed_at.is_(None))
        found = await connection.execute(admins.order_by(USER.c.id).with_for_update())
        able = [user for user in map(_user, found.mappings()) if user.administers]
        if [user.id for user in able] == [id] and able[0].organization not in self._administered:
            raise LastAdmin


class Users:
    """All users: those of the configuration, which only a change of the file changes, and those of the database."""

    def __init__(self, static: Iterable[User], table: UserTable) -> None:
        self.static: Mapping[str, User] = {user.id: user for user in static}
        self.table = table
        self.configured = bool(self.static)
        """Whether anybody can log in as a user, as far as is known; never false again while the process lives."""

    async def refresh(self) -> bool:
        """Ask the database whether it holds a user, unless that is known; `configured`. Raises SQLAlchemy's errors."""
        if not self.configured:
            self.configured = await self.table.exist()
        return self.configured

    async def get(self, id: str, organization: str | None = None) -> User | None:
        """The user ``id``."""
        user = self.static.get(id)
        if user is None:
            return await self.table.get(id, organization)
        return user if organization in (None, user.organization) else None

    async def of_email(self, email: str, organization: str | None = None) -> list[User]:
        """The users of an e-mail address (in lower case): a few at most."""
        here = [user for user in self.static.values() if user.email == email]
        here = [user for user in here if organization in (None, user.organization)]
        return [*here, *await self.table.of_email(email, organization)][:MAX_ACCOUNTS]

    async def all(self, organization: str | None = None) -> list[User]:
        """Every user, those of the configuration first."""
        here = [user for user in self.static.values() if organization in (None, user.organization)]
        return [*here, *await self.table.all(organization)]


def _user(row: RowMapping) -> User:
    return User(
        id=row["id"],
        organization=row["organization_id"],
        email=row["email"],
        name=row["name"],
        role=row["role"],
        password_hash=row["password_hash"],
        subject=row["subject"],
        created_at=row["created_at"],
        last_login_at=row["last_login_at"],
        temporary_until=row["temporary_until"],
    )
