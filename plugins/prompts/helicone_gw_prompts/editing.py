"""Editing: what changes prompts. Every edit is one transaction that begins by counting itself.

The counter's row is what editors wait for each other at, so that no two of them take the same version number; and it
tells workers that what they remember is old.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from helicone_gw_prompts import reading
from helicone_gw_prompts.body import BodyError, check_body
from helicone_gw_prompts.errors import NoSuch, Refusal, Taken
from helicone_gw_prompts.reading import PRODUCTION, Version
from helicone_gw_prompts.tables import ENVIRONMENT, PROMPT, STATE, VERSION

if TYPE_CHECKING:
    from helicone_gw import Database

_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 6  # Helicone's own: its clients know partials of ids of this length only


class Bounds(Struct, frozen=True):
    """How much there may be."""

    max_size: int = 256 * 1024
    max_prompts: int = 10_000
    max_versions: int = 1_000


class Editor:
    """Edits of prompts, made at ``now()`` (epoch seconds). ``changed`` is called after each, for what this process
    remembers of them.

    Methods raise `NoSuch`, `Taken` and `Refusal`, and SQLAlchemy's errors.
    """

    def __init__(
        self, database: Database, now: Callable[[], float], bounds: Bounds, changed: Callable[[], None]
    ) -> None:
        self.database = database
        self._now = now
        self.bounds = bounds
        self._changed = changed

    @asynccontextmanager
    async def edit(self) -> AsyncIterator[AsyncConnection]:
        """A transaction in which to edit; `changed` is told at its end."""
        async with self.database.begin() as connection:
            await connection.execute(update(STATE).values(changes=STATE.c.changes + 1))
            yield connection
        self._changed()

    async def create(
        self,
        organization: str,
        name: str,
        tags: Sequence[str],
        body: Any,
        *,
        id: str | None = None,
        message: str = "First version",
        environments: Sequence[str] = (PRODUCTION,),
    ) -> tuple[str, str]:
        """Make a prompt with its first version, 1.0; the ids of both. ``id`` is made where it is not given."""
        checked = self.checked(body)
        async with self.edit() as connection:
            return await self.add_prompt(
                connection, organization, name, tags, checked, id=id, message=message, environments=environments
            )

    async def add_prompt(
        self,
        connection: AsyncConnection,
        organization: str,
        name: str,
        tags: Sequence[str],
        body: dict[str, Any],
        *,
        id: str | None = None,
        message: str,
        environments: Sequence[str],
    ) -> tuple[str, str]:
        """`create`, within an edit; ``body`` has been checked."""
        if await reading.count(connection, organization) >= self.bounds.max_prompts:
            raise Refusal(f"There are {self.bounds.max_prompts:,} prompts already; no more are kept.")
        given = id or await self._new_id(connection, organization)
        if id is not None and await _exists(connection, organization, id):
            raise Taken(f"There is a prompt {id!r} already.")
        row = {"organization_id": organization, "id": given, "name": name, "tags": sorted(set(tags))}
        await connection.execute(insert(PROMPT).values(**row, highest={}, created_at=self._now()))
        version = await self.add_version(connection, organization, given, None, body, message, major=True)
        for environment in environments:
            await set_environment(connection, organization, given, version, environment)
        return given, version

    async def add_version(
        self,
        connection: AsyncConnection,
        organization: str,
        prompt_id: str,
        after: Version | None,
        body: dict[str, Any],
        message: str,
        *,
        major: bool,
    ) -> str:
        """A version that follows ``after``, within an edit: the next major one, or the next minor one of the same.

        After none comes the next major one. ``body`` has been checked.
        """
        own = (VERSION.c.organization_id == organization, VERSION.c.prompt_id == prompt_id)
        total = (await connection.execute(select(func.count()).where(*own))).scalar_one()
        if total >= self.bounds.max_versions:
            raise Refusal(f"The prompt has {self.bounds.max_versions:,} versions already; delete some of them first.")
        place = (PROMPT.c.organization_id == organization, PROMPT.c.id == prompt_id)
        highest: dict[str, int] = dict((await connection.execute(select(PROMPT.c.highest).where(*place))).scalar_one())
        if major or after is None:
            number = max(map(int, highest), default=0) + 1, 0
        else:
            number = after.major_version, highest[str(after.major_version)] + 1
        highest[str(number[0])] = number[1]
        await connection.execute(update(PROMPT).where(*place).values(highest=highest))
        return await self._add(connection, organization, prompt_id, body, number, message)

    async def rename(self, organization: str, id: str, name: str) -> None:
        """Give a prompt another name."""
        await self._set(organization, id, name=name)

    async def tag(self, organization: str, id: str, tags: Sequence[str]) -> list[str]:
        """Give a prompt these tags and no others; they are returned, sorted."""
        sorted_tags = sorted(set(tags))
        await self._set(organization, id, tags=sorted_tags)
        return sorted_tags

    async def update(
        self,
        organization: str,
        prompt_id: str,
        version_id: str,
        body: Any,
        message: str,
        *,
        major: bool,
        environment: str | None = None,
    ) -> str:
        """Make a version that follows that one; its id. ``environment`` goes to it."""
        checked = self.checked(body)
        async with self.edit() as connection:
            after = await _version_of(connection, organization, prompt_id, version_id)
            made = await self.add_version(connection, organization, prompt_id, after, checked, message, major=major)
            if environment is not None:
                await set_environment(connection, organization, prompt_id, made, environment)
        return made

    async def move(self, organization: str, prompt_id: str, version_id: str, environment: str) -> None:
        """Let ``environment`` be at that version."""
        async with self.edit() as connection:
            await _version_of(connection, organization, prompt_id, version_id)
            await set_environment(connection, organization, prompt_id, version_id, environment)

    async def leave(self, organization: str, prompt_id: str, version_id: str, environment: str) -> None:
        """Let ``environment`` be at that version no longer."""
        async with self.edit() as connection:
            await _version_of(connection, organization, prompt_id, version_id)
            if not await clear_environment(connection, organization, prompt_id, version_id, environment):
                raise NoSuch(f"The version is not in the environment {environment[:100]!r}.")

    async def delete(self, organization: str, prompt_id: str) -> None:
        """Delete a prompt with its versions. Its file does not bring it back: what was taken over of it stays known."""
        async with self.edit() as connection:
            await reading.prompt(connection, organization, prompt_id)
            for table, column in (
                (ENVIRONMENT, ENVIRONMENT.c.prompt_id),
                (VERSION, VERSION.c.prompt_id),
                (PROMPT, PROMPT.c.id),
            ):
                await connection.execute(
                    delete(table).where(table.c.organization_id == organization, column == prompt_id)
                )

    async def delete_version(self, organization: str, prompt_id: str, version_id: str) -> None:
        """Delete a version that no environment is at."""
        async with self.edit() as connection:
            version = await _version_of(connection, organization, prompt_id, version_id)
            if version.environments:
                raise Taken(f"The version is in {', '.join(version.environments)}: let another version be there first.")
            await connection.execute(
                delete(VERSION).where(VERSION.c.organization_id == organization, VERSION.c.id == version_id)
            )

    def checked(self, body: Any) -> dict[str, Any]:
        """``body`` if it may be a prompt's. Raises `Refusal` that says where what is wrong."""
        try:
            return check_body(body, self.bounds.max_size)
        except BodyError as problem:
            raise Refusal(f"The prompt cannot be used: {problem}.") from None

    async def _set(self, organization: str, id: str, **values: Any) -> None:
        async with self.edit() as connection:
            await reading.prompt(connection, organization, id)
            await connection.execute(
                update(PROMPT).where(PROMPT.c.organization_id == organization, PROMPT.c.id == id).values(**values)
            )

    async def _add(
        self,
        connection: AsyncConnection,
        organization: str,
        prompt_id: str,
        body: dict[str, Any],
        number: tuple[int, int],
        message: str,
    ) -> str:
        given = str(uuid.uuid4())
        await connection.execute(
            insert(VERSION).values(
                organization_id=organization,
                id=given,
                prompt_id=prompt_id,
                model=body.get("model") or "",
                major_version=number[0],
                minor_version=number[1],
                commit_message=message,
                created_at=self._now(),
                body=msgspec.json.encode(body),
                sha256=fingerprint(body),
            )
        )
        return given

    async def _new_id(self, connection: AsyncConnection, organization: str) -> str:
        while True:
            given = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
            if not await _exists(connection, organization, given):
                return given


def fingerprint(body: Any) -> str:
    """The same for bodies that say the same: SHA-256 of the JSON with its keys sorted."""
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()


async def set_environment(
    connection: AsyncConnection, organization: str, prompt_id: str, version_id: str, environment: str
) -> None:
    """Let ``environment`` be at that version, within an edit."""
    place = {"organization_id": organization, "prompt_id": prompt_id, "environment": environment}
    where = [ENVIRONMENT.c[name] == value for name, value in place.items()]
    await connection.execute(delete(ENVIRONMENT).where(*where))
    await connection.execute(insert(ENVIRONMENT).values(**place, version_id=version_id))


async def clear_environment(
    connection: AsyncConnection, organization: str, prompt_id: str, version_id: str, environment: str
) -> bool:
    """Let ``environment`` be at that version no longer, within an edit; whether it was."""
    done = await connection.execute(
        delete(ENVIRONMENT).where(
            ENVIRONMENT.c.organization_id == organization,
            ENVIRONMENT.c.prompt_id == prompt_id,
            ENVIRONMENT.c.version_id == version_id,
            ENVIRONMENT.c.environment == environment,
        )
    )
    return bool(done.rowcount)


async def _exists(connection: AsyncConnection, organization: str, id: str) -> bool:
    found = await connection.execute(
        select(PROMPT.c.id).where(PROMPT.c.organization_id == organization, PROMPT.c.id == id)
    )
    return found.first() is not None


async def _version_of(connection: AsyncConnection, organization: str, prompt_id: str, version_id: str) -> Version:
    version = await reading.version(connection, organization, version_id)
    if version.prompt_id != prompt_id:
        raise NoSuch(f"The prompt {prompt_id[:100]!r} has no version {version_id[:100]!r}.")
    return version
