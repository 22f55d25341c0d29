"""KeyTable: gateway keys in the database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import RowMapping, Select, bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from helicone_gw import GatewayKey, Permits
from helicone_gw_security.identity_tables import USER
from helicone_gw_security.keys import StoredKey, digest, generate, shown_prefix
from helicone_gw_security.spec import KeySpec
from helicone_gw_security.tables import GATEWAY_KEY, GatewayKeyRow

if TYPE_CHECKING:
    from helicone_gw import Database

LISTS = ("models", "providers", "paths", "networks", "origins", "limits", "budgets")
"""What a key has lists of, each a column of JSON."""


class NameTaken(Exception):
    """A key of this name exists in the organisation and is not revoked."""


class KeyTable:
    """The keys in the database, each call one transaction. SQLAlchemy's errors pass through.

    ``organization`` narrows a call to the keys of one; ``None``: every one's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, sha256: str) -> StoredKey | None:
        """The key with this hash, valid or not; after a rotation, the old secret's until its end."""
        query = select(GATEWAY_KEY).where(or_(GATEWAY_KEY.c.sha256 == sha256, GATEWAY_KEY.c.previous_sha256 == sha256))
        async with self._database.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else _stored(row, sha256)

    async def exist(self) -> bool:
        """Whether there is any key. Revoked ones count: revoking the last key must not open the gateway."""
        async with self._database.connect() as connection:
            return (await connection.execute(select(GATEWAY_KEY.c.id).limit(1))).first() is not None

    async def organizations(self) -> set[str]:
        """The organisations that have, or had, a key or a user: people call providers, too."""
        of_keys, of_users = (select(table.c.organization_id) for table in (GATEWAY_KEY, USER))
        async with self._database.connect() as connection:
            return set((await connection.execute(of_keys.union(of_users))).scalars())

    async def all(self, organization: str | None = None) -> list[GatewayKeyRow]:
        """Every key, oldest first."""
        query = _of(organization).order_by(GATEWAY_KEY.c.created_at, GATEWAY_KEY.c.id)
        async with self._database.connect() as connection:
            return [GatewayKeyRow(**row) for row in (await connection.execute(query)).mappings()]

    async def get(self, id: str, organization: str | None = None) -> GatewayKeyRow | None:
        """The key of this id."""
        async with self._database.connect() as connection:
            found = await connection.execute(_of(organization).where(GATEWAY_KEY.c.id == id))
            row = found.mappings().first()
        return None if row is None else GatewayKeyRow(**row)

    async def make(self, spec: KeySpec, *, now: float) -> tuple[str, GatewayKeyRow]:
        """Make a key; the secret that is returned is nowhere else. Raises `NameTaken`."""
        secret = generate(proxy=spec.provider_key is not None)
        lists: dict[str, Any] = {name: _as_list(getattr(spec, name)) for name in LISTS}
        row = GatewayKeyRow(
            organization_id=spec.organization,
            id=str(uuid.uuid4()),
            name=spec.name,
            owner=spec.owner or spec.name,
            prefix=shown_prefix(secret),
            sha256=digest(secret),
            created_at=now,
            expires_at=spec.expires_at,
            role=spec.role,
            scope=spec.scope,
            provider_key=spec.provider_key,
            **lists,
        )
        try:
            async with self._database.begin() as connection:
                await connection.execute(insert(GATEWAY_KEY).values(**row.model_dump()))
        except IntegrityError:
            raise NameTaken(spec.name) from None
        return secret, row

    async def create(
        self,
        name: str,
        *,
        now: float,
        owner: str | None = None,
        organization: str = "default",
        permits: Permits | None = None,
        expires_at: float | None = None,
    ) -> tuple[str, GatewayKeyRow]:
        """As `make`, for a key with permits and nothing else."""
        permits = permits or Permits()
        spec = KeySpec(
            name=name,
            owner=owner,
            organization=organization,
            models=permits.models,
            providers=permits.providers,
            paths=permits.paths,
            networks=permits.networks,
            origins=permits.origins,
            expires_at=expires_at,
        )
        return await self.make(spec, now=now)

    async def revoke(self, name_or_id: str, *, now: float, organization: str | None = None) -> list[GatewayKeyRow]:
        """Revoke the one key of this id or name that is not revoked yet, and return it.

        None at all or several (the same name in several organisations): nothing is changed, and they are returned.
        """
        return await self._change(name_or_id, organization, lambda row: {"revoked_at": now})

    async def rotate(
        self, name_or_id: str, *, now: float, until: float, organization: str | None = None
    ) -> tuple[str, list[GatewayKeyRow]]:
        """Give the one key of this id or name a new secret, which is returned; the old one is valid ``until`` then.

        The one before that is not valid any more. None at all or several: nothing is changed, and the secret is "".
        """
        secrets = {proxy: generate(proxy=proxy) for proxy in (False, True)}

        def fresh(row: GatewayKeyRow) -> str:
            return secrets[row.provider_key is not None]

        def changed(row: GatewayKeyRow) -> dict[str, Any]:
            return {
                "sha256": digest(fresh(row)),
                "prefix": shown_prefix(fresh(row)),
                "previous_sha256": row.sha256,
                "previous_until": until,
                "rotated_at": now,
            }

        rows = await self._change(name_or_id, organization, changed)
        return (fresh(rows[0]) if len(rows) == 1 else ""), rows

    async def change(self, id: str, spec: KeySpec, *, organization: str | None = None) -> GatewayKeyRow | None:
        """Let the key ``id`` be as ``spec`` says, but in the organisation that it is in; ``None``: there is no such
        key that is not revoked. Raises `NameTaken`."""
        values: dict[str, Any] = {name: _as_list(getattr(spec, name)) for name in LISTS}
        for name in ("name", "role", "scope", "provider_key", "expires_at"):
            values[name] = getattr(spec, name)
        values["owner"] = spec.owner or spec.name
        try:
            rows = await self._change(id, organization, lambda row: values if row.id == id else {})
        except IntegrityError:
            raise NameTaken(spec.name) from None
        return rows[0] if len(rows) == 1 and rows[0].id == id else None

    async def used(self, times: Mapping[str, float]) -> None:
        """Write when keys were used last, by their ids; a later time that another worker wrote stays."""
        column = GATEWAY_KEY.c.last_used_at
        statement = (
            update(GATEWAY_KEY)
            .where(GATEWAY_KEY.c.id == bindparam("which"), or_(column.is_(None), column < bindparam("at")))
            .values(last_used_at=bindparam("at"))
        )
        async with self._database.begin() as connection:
            await connection.execute(statement, [{"which": which, "at": at} for which, at in sorted(times.items())])

    async def _change(
        self, name_or_id: str, organization: str | None, changed: Callable[[GatewayKeyRow], Mapping[str, Any]]
    ) -> list[GatewayKeyRow]:
        async with self._database.begin() as connection:
            found = await connection.execute(
                _of(organization).where(
                    GATEWAY_KEY.c.revoked_at.is_(None),
                    or_(GATEWAY_KEY.c.id == name_or_id, GATEWAY_KEY.c.name == name_or_id),
                )
            )
            rows = [GatewayKeyRow(**row) for row in found.mappings()]
            # An id is unique, so it wins over a key that somebody named like another one's id.
            rows = [row for row in rows if row.id == name_or_id] or rows
            if len(rows) == 1 and (values := changed(rows[0])):
                # Of two that rotate at once the second finds another secret there, and changes nothing.
                done = await connection.execute(
                    update(GATEWAY_KEY)
                    .where(GATEWAY_KEY.c.id == rows[0].id, GATEWAY_KEY.c.sha256 == rows[0].sha256)
                    .values(**values)
                )
                if not done.rowcount:
                    return []
                for name, value in values.items():
                    setattr(rows[0], name, value)
        return rows


def _of(organization: str | None) -> Select[Any]:
    query = select(GATEWAY_KEY)
    return query if organization is None else query.where(GATEWAY_KEY.c.organization_id == organization)


def _stored(row: RowMapping, sha256: str) -> StoredKey:
    expires_at = row["expires_at"]
    if sha256 != row["sha256"]:
        until = row["previous_until"] or 0.0
        expires_at = until if expires_at is None else min(until, expires_at)
    return StoredKey(
        key=GatewayKey(
            id=row["id"],
            name=row["name"],
            owner=row["owner"],
            organization=row["organization_id"],
            permits=Permits(
                models=_as_tuple(row["models"]),
                providers=_as_tuple(row["providers"]),
                paths=_as_tuple(row["paths"]),
                networks=_as_tuple(row["networks"]),
                origins=_as_tuple(row["origins"]),
            ),
            role=row["role"],
            scope=row["scope"],
            limits=_as_tuple(row["limits"]) or (),
            budgets=_as_tuple(row["budgets"]) or (),
            provider_key=row["provider_key"],
        ),
        sha256=sha256,
        expires_at=expires_at,
        revoked_at=row["revoked_at"],
        stored=True,
    )


def _as_list(patterns: Sequence[str] | None) -> list[str] | None:
    return None if patterns is None else list(patterns)


def _as_tuple(patterns: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if patterns is None else tuple(patterns)


State = Literal["active", "expired", "revoked"]


def state(row: GatewayKeyRow, now: float) -> State:
    """Whether a key may be used at ``now`` (epoch seconds), in one word."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and now >= row.expires_at else "active"
