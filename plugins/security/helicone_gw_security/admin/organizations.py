"""Organisations over REST: ``/v1/organization``, in Helicone's shapes. Nobody sees another than their own."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from helicone_gw import BadRequest, PermissionDenied, Role
from helicone_gw_security.admin.people import (
    NewUser,
    Password,
    UserChanges,
    change_user,
    make_user,
    remove_user,
)
from helicone_gw_security.admin.routing import Call, Conflict, Routes, nothing
from helicone_gw_security.organizations import OrganizationTaken, checked_id
from helicone_gw_security.passwords import password_problem
from helicone_gw_security.users import checked_email

ROUTES = Routes("organisations")

Name = Annotated[str, Meta(min_length=1, max_length=200)]
OrgRole = Literal["viewer", "member", "admin", "owner"]


class OrganizationView(Struct):
    """An organisation, and the role that the caller has in it."""

    id: str
    name: str
    role: str
    created_at: float | None


class FirstAdmin(Struct, forbid_unknown_fields=True):
    """Whoever administers a new organisation."""

    email: Annotated[str, Meta(max_length=254)]
    password: Password


class NewOrganization(Struct, forbid_unknown_fields=True):
    """An organisation to make, with its first administrator."""

    id: Annotated[str, Meta(max_length=100)]
    admin: FirstAdmin
    name: Annotated[str, Meta(max_length=200)] = ""


class NewName(Struct, forbid_unknown_fields=True):
    """What the organisation is to be called."""

    name: Name


class NewMember(Struct, forbid_unknown_fields=True):
    """Somebody to take in; a temporary password is made for them."""

    email: Annotated[str, Meta(max_length=254)]
    role: Role = "member"


class MemberRole(Struct, forbid_unknown_fields=True, rename="camel"):
    """Which role a member is to have ("owner" is "admin")."""

    member_id: str
    role: OrgRole


class MemberView(Struct):
    """A member, as Helicone's API shows one."""

    id: str
    member: str
    email: str
    org_role: str


class Taken(Struct, rename="camel"):
    """A member who was taken in."""

    temporary_password: str | None


class WhichMember(Struct, forbid_unknown_fields=True, rename="camel"):
    """The member that is meant."""

    member_id: str


@ROUTES.route("GET", "/v1/organization", role="viewer", data=list[OrganizationView])
async def list_organizations(call: Call) -> list[OrganizationView]:
    """The caller's organisation, in a list, as the only one that they see."""
    own = await call.desk.organizations.get(call.organization)
    role = "admin" if call.caller is None else call.caller.role
    return [OrganizationView(own.id, own.name, role, own.created_at)]


@ROUTES.route("POST", "/v1/organization/create", body=NewOrganization, data=str, status=201)
async def create(call: Call, body: NewOrganization) -> str:
    """Make an organisation with its first administrator; only administrators of ``default`` do, who see nothing of it
    afterwards."""
    if call.organization != "default":
        raise PermissionDenied("Organisations are made by administrators of the first one.", code="role_required")
    if (problem := password_problem(body.admin.password)) is not None:
        raise BadRequest(f"password: {problem}")
    try:
        checked_id(body.id)
        email = checked_email(body.admin.email)
    except ValueError as wrong:
        raise BadRequest(f"{wrong}.") from None
    if not body.name.isprintable():
        raise BadRequest("name: should be printable text")
    configured = {stored.key.organization for stored in call.desk.configured_keys}
    configured |= {user.organization for user in call.desk.logins.users.static.values()}
    if body.id in configured:
        raise Conflict("An organisation of this id exists.", code="organization_taken")
    hashed = await call.desk.logins.passwords.hash(body.admin.password)
    try:
        made = await call.desk.organizations.create(body.id, body.name or body.id, now=call.now)
    except OrganizationTaken:
        raise Conflict("An organisation of this id exists.", code="organization_taken") from None
    await call.desk.logins.users.table.add(email, "admin", now=call.now, organization=made.id, password_hash=hashed)
    await call.tell("organization.create", f"organization:{made.id}", None, {"name": made.name, "admin": email})
    return made.id


@ROUTES.route("POST", "/v1/organization/{id}/update", body=NewName, data=None, status=201)
async def rename(call: Call, body: NewName) -> None:
    """Call the organisation something else."""
    _own(call)
    if not body.name.strip() or not body.name.isprintable():
        raise BadRequest("name: should be printable text")
    before = await call.desk.organizations.get(call.organization)
    after = await call.desk.organizations.rename(call.organization, body.name, now=call.now)
    await call.tell("organization.change", f"organization:{after.id}", {"name": before.name}, {"name": after.name})


@ROUTES.route("GET", "/v1/organization/{id}/members", role="member", data=list[MemberView])
async def members(call: Call) -> list[MemberView]:
    """The members of the organisation."""
    _own(call)
    users = await call.desk.logins.users.all(call.organization)
    return [MemberView(user.id, user.id, user.email, user.role) for user in users]


@ROUTES.route("POST", "/v1/organization/{id}/add_member", body=NewMember, data=Taken, status=201)
async def add_member(call: Call, body: NewMember) -> Taken:
    """Take somebody in, with a temporary password that is in this answer and nowhere else."""
    _own(call)
    made = await make_user(call, NewUser(body.email, role=body.role, generate_password=True))
    return Taken(made.temporary_password)


@ROUTES.route("POST", "/v1/organization/{id}/update_member", body=MemberRole, data=None, status=201)
async def update_member(call: Call, body: MemberRole) -> None:
    """Give a member another role."""
    _own(call)
    role: Role = "admin" if body.role == "owner" else body.role
    await change_user(call, body.member_id, UserChanges(role=role))


@ROUTES.route("DELETE", "/v1/organization/{id}/remove_member", query=WhichMember, data=None)
async def remove_member(call: Call) -> None:
    """Remove a member, and end their sessions."""
    _own(call)
    await remove_user(call, call.query.member_id)


def _own(call: Call) -> None:
    """Another organisation than the caller's is as if it were not."""
    if call.path["id"] != call.organization:
        raise nothing("organisation")
