"""ProviderTable: providers' keys in the database, encrypted."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from helicone_gw_security.ciphers import Cipher, Unreadable
from helicone_gw_security.tables import PROVIDER_KEY, ProviderKeyRow

if TYPE_CHECKING:
    from helicone_gw import Database

MAX_KEYS = 1000
"""Providers' keys of one organisation: all of them are held in memory while it is served."""

MAX_SECRET = 8192
"""Characters of a provider's key."""

AT_ONCE = 100
"""Rows that are encrypted anew in one transaction."""


class NameTaken(Exception):
    """A provider key of this name exists in the organisation."""


class TooMany(Exception):
    """The organisation has `MAX_KEYS`."""


class ProviderTable:
    """The providers' keys, each call one transaction. SQLAlchemy's errors pass through.

    ``organization`` narrows a call to one; ``None``: every one's. A name means the one key that has it, or none.
    """

    def __init__(self, database: Database, cipher: Cipher) -> None:
        self._database = database
        self._cipher = cipher

    async def all(self, organization: str | None = None) -> list[ProviderKeyRow]:
        """Every key, oldest first."""
        query = _of(organization).order_by(PROVIDER_KEY.c.created_at, PROVIDER_KEY.c.id)
        async with self._database.connect() as connection:
            return [ProviderKeyRow(**row) for row in (await connection.execute(query)).mappings()]

    async def add(
        self, name: str, provider: str, secret: str, *, now: float, organization: str = "default", shared: bool = False
    ) -> ProviderKeyRow:
        """Keep a provider's key. Raises `NameTaken`, `TooMany`, `ValueError` for a secret that cannot be one."""
        made = str(uuid.uuid4())
        row = ProviderKeyRow(
            organization_id=organization,
            id=made,
            name=name,
            provider=provider,
            ciphertext=self._cipher.encrypt(check_secret(secret), (organization, made, provider)),
            hint=hint(secret),
            shared=shared,
            created_at=now,
            changed_at=now,
        )
        count = select(func.count()).select_from(PROVIDER_KEY).where(PROVIDER_KEY.c.organization_id == organization)
        try:
            async with self._database.begin() as connection:
                if (await connection.execute(count)).scalar_one() >= MAX_KEYS:
                    raise TooMany(f"an organisation keeps {MAX_KEYS} keys of providers at most")
                await connection.execute(insert(PROVIDER_KEY).values(**row.model_dump()))
        except IntegrityError:
            raise NameTaken(name) from None
        return row

    async def replace(
        self, name_or_id: str, secret: str, *, now: float, organization: str | None = None
    ) -> ProviderKeyRow | None:
        """Put another secret in the place of the one that is kept, which is gone at once. Raises `ValueError`."""
        check_secret(secret)

        def changed(row: ProviderKeyRow) -> dict[str, Any]:
            return {
                "ciphertext": self._cipher.encrypt(secret, identity(row)),
                "hint": hint(secret),
                "changed_at": now,
            }

        return await self._change(name_or_id, organization, changed)

    async def remove(self, name_or_id: str, *, organization: str | None = None) -> ProviderKeyRow | None:
        """Forget a key, which is returned; gateway keys that stand for it are refused from then on."""
        async with self._database.begin() as connection:
            found = await connection.execute(_named(name_or_id, organization))
            row = _only([ProviderKeyRow(**row) for row in found.mappings()], name_or_id)
            if row is not None:
                await connection.execute(delete(PROVIDER_KEY).where(PROVIDER_KEY.c.id == row.id))
        return row

    async def renew(self, progress: Callable[[int, int, int], None]) -> tuple[int, int]:
        """Encrypt every key with the first encryption key: how many were, and how many could not be read.

        ``progress`` hears how many rows are done, of how many, and how many of them could not be read. Interrupted, it
        goes on where it was when it is run again: every row is whole at any time.
        """
        rows = await self.all()
        renewed = unreadable = 0
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            async with self._database.begin() as connection:
                for row in part:
                    try:
                        ciphertext = self._cipher.renewed(row.ciphertext, identity(row))
                    except Unreadable:
                        unreadable += 1
                        continue
                    if ciphertext is not None:
                        # One that was replaced meanwhile is new already.
                        unchanged = PROVIDER_KEY.c.ciphertext == row.ciphertext
                        await connection.execute(
                            update(PROVIDER_KEY)
                            .where(PROVIDER_KEY.c.id == row.id, unchanged)
                            .values(ciphertext=ciphertext)
                        )
                        renewed += 1
            progress(start + len(part), len(rows), unreadable)
        return renewed, unreadable

    async def _change(
        self, name_or_id: str, organization: str | None, changed: Callable[[ProviderKeyRow], dict[str, Any]]
    ) -> ProviderKeyRow | None:
        async with self._database.begin() as connection:
            found = await connection.execute(_named(name_or_id, organization))
            row = _only([ProviderKeyRow(**row) for row in found.mappings()], name_or_id)
            if row is not None:
                values = changed(row)
                await connection.execute(update(PROVIDER_KEY).where(PROVIDER_KEY.c.id == row.id).values(**values))
                for name, value in values.items():
                    setattr(row, name, value)
        return row


def identity(row: ProviderKeyRow) -> tuple[str, str, str]:
    """What a ciphertext is bound to: put into another row, or under another provider, it cannot be read."""
    return row.organization_id, row.id, row.provider


def check_secret(secret: str) -> str:
    """``secret`` unchanged. Raises `ValueError`, which does not show it."""
    if not secret or len(secret) > MAX_SECRET or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ValueError(f"a provider's key is 1 to {MAX_SECRET} printable ASCII characters without spaces")
    return secret


def hint(secret: str) -> str:
    """As much of a provider's key as lists may show: its last four characters, if it is long."""
    return f"...{secret[-4:]}" if len(secret) >= 24 else "..."


def _of(organization: str | None) -> Select[Any]:
    query = select(PROVIDER_KEY)
    return query if organization is None else query.where(PROVIDER_KEY.c.organization_id == organization)


def _named(name_or_id: str, organization: str | None) -> Select[Any]:
    return _of(organization).where(or_(PROVIDER_KEY.c.id == name_or_id, PROVIDER_KEY.c.name == name_or_id))


def _only(rows: Sequence[ProviderKeyRow], name_or_id: str) -> ProviderKeyRow | None:
    """The one that was meant: an id goes before a name, and a name that several have means none of them."""
    meant = [row for row in rows if row.id == name_or_id] or rows
    return meant[0] if len(meant) == 1 else None
