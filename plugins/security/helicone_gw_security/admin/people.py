"""Users over REST: ``/v1/admin/users``."""

from __future__ import annotations

import secrets
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from helicone_gw import BadRequest, Role
from helicone_gw_security.admin.routing import Call, Conflict, Routes, nothing
from helicone_gw_security.passwords import LONGEST, TEMPORARY, password_problem
from helicone_gw_security.users import EmailTaken, LastAdmin, User

ROUTES = Routes("users")

MAX_USERS = 10_000
"""Users of an organisation that are made over REST."""

Text = Annotated[str, Meta(max_length=200)]
Password = Annotated[str, Meta(max_length=LONGEST)]


class NewUser(Struct, forbid_unknown_fields=True):
    """A user to make. ``generate_password`` gives them one that is good for choosing their own, for a week; without it,
    and without ``password``, only an OpenID provider lets them in."""

    email: Annotated[str, Meta(max_length=254)]
    role: Role = "member"
    name: Text = ""
    password: Password | None = None
    generate_password: bool = False


class UserChanges(Struct, forbid_unknown_fields=True):
    """What of a user is to change; a new role or password ends their sessions. The password is good for choosing their
    own, for a week."""

    role: Role | UnsetType = UNSET
    name: Text | UnsetType = UNSET
    password: Password | UnsetType = UNSET


class UserView(Struct):
    """A user. Times are epoch seconds. ``configured``: of the configuration, which alone changes them."""

    id: str
    email: str
    name: str
    role: str
    organization: str
    has_password: bool
    has_openid: bool
    password_temporary: bool
    created_at: float | None
    last_login_at: float | None
    configured: bool


class MadeUser(Struct):
    """A user who was made; ``temporary_password`` is shown this once, when it was asked for."""

    user: UserView
    temporary_password: str | None = None


@ROUTES.route("GET", "/v1/admin/users", data=list[UserView])
async def list_users(call: Call) -> list[UserView]:
    """List the users of the organisation."""
    return [view(user) for user in await call.desk.logins.users.all(call.organization)]


@ROUTES.route("POST", "/v1/admin/users", body=NewUser, data=MadeUser, status=201)
async def add(call: Call, body: NewUser) -> MadeUser:
    """Make a user of the organisation."""
    return await make_user(call, body)


@ROUTES.route("PATCH", "/v1/admin/users/{id}", body=UserChanges, data=UserView)
async def change(call: Call, body: UserChanges) -> UserView:
    """Give a user another role, name or password."""
    return view(await change_user(call, call.path["id"], body))


@ROUTES.route("DELETE", "/v1/admin/users/{id}", data=UserView)
async def remove(call: Call) -> UserView:
    """Remove a user, and end their sessions."""
    return view(await remove_user(call, call.path["id"]))


async def make_user(call: Call, body: NewUser) -> MadeUser:
    """Make a user of the caller's organisation, and tell of it."""
    logins = call.desk.logins
    password = secrets.token_urlsafe(15) if body.generate_password and body.password is None else body.password
    if password is not None and (problem := password_problem(password)) is not None:
        raise BadRequest(f"password: {problem}")
    if not body.name.isprintable():
        raise BadRequest("name: should be printable text")
    known = await logins.users.all(call.organization)
    if len(known) >= MAX_USERS:
        raise Conflict(f"An organisation has {MAX_USERS} users at most.", code="too_many")
    if body.email.strip().lower() in {user.email for user in known}:
        raise Conflict("A user of this e-mail address exists.", code="email_taken")
    hashed = None if password is None else await logins.passwords.hash(password)
    try:
        user = await logins.users.table.add(
            body.email,
            body.role,
            now=call.now,
            organization=call.organization,
            name=body.name,
            password_hash=hashed,
            temporary_until=call.now + TEMPORARY if body.generate_password and body.password is None else None,
        )
    except EmailTaken:
        raise Conflict("A user of this e-mail address exists.", code="email_taken") from None
    except ValueError as problem:
        raise BadRequest(f"email: {problem}") from None
    await call.tell("user.create", f"user:{user.id}", None, user.described())
    return MadeUser(view(user), password if body.password is None else None)


async def change_user(call: Call, id: str, body: UserChanges) -> User:
    """Change a user of the caller's organisation, and tell of it."""
    logins, user = call.desk.logins, await _found(call, id)
    values: dict[str, str | float] = {}
    if body.role is not UNSET and body.role != user.role:
        _not_oneself(call, user, "role")
        values["role"] = body.role
    if body.name is not UNSET:
        if not body.name.isprintable():
            raise BadRequest("name: should be printable text")
        values["name"] = body.name
    if body.password is not UNSET:
        _not_oneself(call, user, "password")
        if (problem := password_problem(body.password)) is not None:
            raise BadRequest(f"password: {problem}")
        values["password_hash"] = await logins.passwords.hash(body.password)
        values["temporary_until"] = call.now + TEMPORARY
    if not values:
        return user
    try:
        changed = await logins.users.table.change(id, call.organization, **values)
    except LastAdmin as problem:
        raise Conflict(str(problem), code="last_admin") from None
    if changed is None:
        raise nothing("user")
    if values.keys() & {"role", "password_hash"}:
        await logins.sessions.end_all(f"user:{id}")
    if "password_hash" in values:
        await call.tell("user.set_password", f"user:{id}")
    if values.keys() & {"role", "name"}:
        await call.tell("user.change", f"user:{id}", user.described(), changed.described())
    return changed


async def remove_user(call: Call, id: str) -> User:
    """Remove a user of the caller's organisation, and tell of it."""
    user = await _found(call, id)
    _not_oneself(call, user, "existence")
    try:
        removed = await call.desk.logins.users.table.remove(id, call.organization, now=call.now)
    except LastAdmin as problem:
        raise Conflict(str(problem), code="last_admin") from None
    if removed is None:
        raise nothing("user")
    await call.desk.logins.sessions.end_all(f"user:{id}")
    await call.tell("user.remove", f"user:{id}", user.described())
    return user


async def _found(call: Call, id: str) -> User:
    user = await call.desk.logins.users.get(id, call.organization)
    if user is None:
        raise nothing("user")
    if not user.stored:
        raise Conflict("This user is in the configuration: change it there and restart.", code="configured")
    return user


def _not_oneself(call: Call, user: User, what: str) -> None:
    """Nobody takes their own rights away: an organisation would be left without an administrator by mistake."""
    if call.caller is not None and call.caller.id == f"user:{user.id}":
        raise Conflict(f"Your own {what} is another's to change.", code="oneself")


def view(user: User) -> UserView:
    """A user, as they are shown."""
    return UserView(
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,
        organization=user.organization,
        has_password=user.password_hash is not None,
        has_openid=user.subject is not None,
        password_temporary=user.temporary_until is not None,
        created_at=user.created_at,
        last_login_at=user.last_login_at,
        configured=not user.stored,
    )
