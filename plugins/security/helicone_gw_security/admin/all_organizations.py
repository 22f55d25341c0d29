"""All organisations over REST: ``/v1/admin/organizations``, for administrators of ``default``, who run the gateway.

They see which organisations there are and who is in them, and what these are called; nothing of what they do.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from helicone_gw import BadRequest, PermissionDenied
from helicone_gw_security.admin.organizations import MemberView, NewName
from helicone_gw_security.admin.routing import Call, Routes, nothing
from helicone_gw_security.organizations import Organization

ROUTES = Routes("all organisations")

OPERATOR = "default"
"""The organisation whose administrators run the gateway."""


class OrganizationFacts(Struct):
    """An organisation, and how many ``users`` and valid ``keys`` it has. ``created_at``: epoch seconds, where known."""

    id: str
    name: str
    created_at: float | None
    users: int
    keys: int


@ROUTES.route("GET", "/v1/admin/organizations", data=list[OrganizationFacts])
async def every(call: Call) -> list[OrganizationFacts]:
    """List the organisations: those that were made, and those that a user or a key names."""
    _operates(call)
    users, keys = await call.desk.organizations.counts()
    static = Counter(user.organization for user in call.desk.logins.users.static.values())
    configured = Counter(stored.key.organization for stored in call.desk.configured_keys)
    known = {one.id: one for one in await call.desk.organizations.all()}
    for id in (*static, *configured):  # noqa: A001 - what the API calls it
        known.setdefault(id, Organization(id, id))
    return [
        OrganizationFacts(
            one.id,
            one.name,
            one.created_at,
            users.get(one.id, 0) + static[one.id],
            keys.get(one.id, 0) + configured[one.id],
        )
        for one in sorted(known.values(), key=lambda one: (one.id != OPERATOR, one.name.lower(), one.id))
    ]


@ROUTES.route("GET", "/v1/admin/organizations/{id}/members", data=list[MemberView])
async def members(call: Call) -> list[MemberView]:
    """Who is in an organisation."""
    await _found(call)
    users = await call.desk.logins.users.all(call.path["id"])
    return [MemberView(user.id, user.id, user.email, user.role) for user in users]


@ROUTES.route("POST", "/v1/admin/organizations/{id}/rename", body=NewName, data=None, status=201)
async def rename(call: Call, body: NewName) -> None:
    """Call an organisation something else. It stands in the operator's audit log and in its own."""
    before = await _found(call)
    if not body.name.strip() or not body.name.isprintable():
        raise BadRequest("name: should be printable text")
    after = await call.desk.organizations.rename(before.id, body.name, now=call.now)
    subject, was, became = f"organization:{after.id}", {"name": before.name}, {"name": after.name}
    await call.tell("organization.change", subject, was, became)
    if after.id != call.organization:
        await call.desk.audit(
            call.caller, "organization.change", subject, before=was, after=became, organization=after.id
        )


def _operates(call: Call) -> None:
    if call.organization != OPERATOR:
        raise PermissionDenied("Organisations are seen by administrators of the first one.", code="role_required")


async def _found(call: Call) -> OrganizationFacts:
    """The organisation of the path; as if it were not where nobody knows it."""
    _operates(call)
    for one in await every(call):
        if one.id == call.path["id"]:
            return one
    raise nothing("organisation")
