"""AuditLog: the record of what people changed, kept in the database and read newest first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select

from helicone_gw import AuditEntry, new_id
from helicone_gw_security.identity_tables import AUDIT, AuditRow

if TYPE_CHECKING:
    from helicone_gw import Database

MAX_DETAILS: Final = 16 * 1024
"""Bytes of JSON that ``before`` and ``after`` may each have; what is longer is left out, and said to be."""

MAX_TEXT: Final = 500
"""Characters of an actor, an action, a subject."""

_SECRET = ("secret", "password", "token", "credential", "sha256", "hash", "api_key", "apikey", "ciphertext")
_HIDDEN = "***"


class AuditLog:
    """A `helicone_gw.AuditSink` over the database. SQLAlchemy's errors pass through."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, entry: AuditEntry) -> None:
        """Keep ``entry``. Members that are named like secrets are blanked, whoever told of them."""
        values = {
            "organization_id": entry.organization,
            "id": new_id(),
            "at": entry.at,
            "actor_id": entry.actor_id[:MAX_TEXT],
            "actor": entry.actor[:MAX_TEXT],
            "action": entry.action[:MAX_TEXT],
            "subject": entry.subject[:MAX_TEXT],
            "before": bounded(entry.before),
            "after": bounded(entry.after),
            "address": entry.address[:100],
        }
        async with self._database.begin() as connection:
            await connection.execute(insert(AUDIT).values(**values))

    async def prune(self, before: float) -> int:
        """Delete what was done before then (epoch seconds); how many entries it was."""
        async with self._database.begin() as connection:
            return (await connection.execute(delete(AUDIT).where(AUDIT.c.at < before))).rowcount

    async def entries(
        self,
        organization: str,
        *,
        limit: int,
        before: str | None = None,
        action: str | None = None,
        actor: str | None = None,
        subject: str | None = None,
    ) -> list[AuditRow]:
        """The newest ``limit`` entries of an organisation, older than the one with the id ``before``."""
        query = select(AUDIT).where(AUDIT.c.organization_id == organization)
        if before is not None:
            query = query.where(AUDIT.c.id < before)
        for column, value in ((AUDIT.c.action, action), (AUDIT.c.actor, actor), (AUDIT.c.subject, subject)):
            if value is not None:
                query = query.where(column == value)
        async with self._database.connect() as connection:
            found = await connection.execute(query.order_by(AUDIT.c.id.desc()).limit(limit))
            return [AuditRow(**row) for row in found.mappings()]


def bounded(details: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """``details`` as they may be kept: JSON, without secrets, `MAX_DETAILS` long at most."""
    if details is None:
        return None
    clean: dict[str, Any] = _without_secrets(details)
    try:
        size = len(json.dumps(clean))
    except (TypeError, ValueError, RecursionError):
        return {"left_out": "it is not JSON"}
    return clean if size <= MAX_DETAILS else {"left_out": f"it has {size} bytes"}


def _without_secrets(value: Any, depth: int = 0) -> Any:
    if depth > 20:
        return _HIDDEN
    if isinstance(value, Mapping):
        return {
            str(name): _HIDDEN if _is_secret(str(name)) and item else _without_secrets(item, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(item, depth + 1) for item in value]
    return value


def _is_secret(name: str) -> bool:
    lowered = name.lower()
    return any(word in lowered for word in _SECRET)
