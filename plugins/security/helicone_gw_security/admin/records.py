"""The audit log over REST: ``GET /v1/audit``, newest first."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from helicone_gw_security.admin.routing import Call, Routes

ROUTES = Routes("audit log")

MOST = 1000
"""Entries of one answer."""


class Which(Struct, forbid_unknown_fields=True):
    """``cursor`` is the ``next`` of the answer before; the others narrow what is told."""

    limit: Annotated[int, Meta(ge=1, le=MOST)] = 100
    cursor: str | None = None
    action: str | None = None
    actor: str | None = None
    subject: str | None = None


class Entry(Struct):
    """One change: who, when (epoch seconds), from where, and what."""

    id: str
    at: float
    actor_id: str
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    address: str


class Entries(Struct):
    """Entries, newest first; ``next`` leads to older ones, if there are any."""

    entries: list[Entry]
    next: str | None


@ROUTES.route("GET", "/v1/audit", query=Which, data=Entries)
async def audit(call: Call) -> Entries:
    """What was changed in the organisation, by whom."""
    which: Which = call.query
    rows = await call.desk.audit_log.entries(
        call.organization,
        limit=which.limit + 1,
        before=which.cursor,
        action=which.action,
        actor=which.actor,
        subject=which.subject,
    )
    shown = rows[: which.limit]
    entries = [
        Entry(row.id, row.at, row.actor_id, row.actor, row.action, row.subject, row.before, row.after, row.address)
        for row in shown
    ]
    return Entries(entries, shown[-1].id if len(rows) > which.limit else None)
