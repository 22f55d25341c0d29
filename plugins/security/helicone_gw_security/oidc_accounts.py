"""From what an OpenID provider says of somebody to a user: which organisation, which role, and whether at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from helicone_gw import PermissionDenied, Role
from helicone_gw_security.users import EmailTaken, LastAdmin, User, Users, checked_email

if TYPE_CHECKING:
    from helicone_gw_security.identity_config import OidcConfig

MAX_SUBJECT: Final = 255
"""Characters of a subject (OpenID Connect Core 1.0, section 2)."""


class Refused(PermissionDenied):
    """The provider knows them, and the gateway does not let them in."""

    code = "sso_refused"


def claim(claims: Mapping[str, Any], path: str) -> list[str]:
    """The texts of the claim at ``path`` ("realm_access.roles"); a claim whose own name has dots goes first."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    return [str(item) for item in value] if isinstance(value, list) else [] if value is None else [str(value)]


def organization_of(config: OidcConfig, claims: Mapping[str, Any]) -> str:
    """The organisation that somebody belongs to. Raises `Refused`."""
    if config.organizations is None:
        return config.organization
    for value in claim(claims, config.organizations.claim):
        if value in config.organizations.values:
            return config.organizations.values[value]
    raise Refused("You belong to no organisation of this gateway.")


def role_of(config: OidcConfig, claims: Mapping[str, Any]) -> Role | None:
    """The role that the claims give, the highest that fits; ``None`` when the configuration leaves it to the gateway.

    Raises `Refused`.
    """
    if config.roles is None:
        return None
    values = set(claim(claims, config.roles.claim))
    given: tuple[tuple[Role, tuple[str, ...]], ...] = (
        ("admin", config.roles.admin),
        ("member", config.roles.member),
        ("viewer", config.roles.viewer),
    )
    for role, which in given:
        if values.intersection(which):
            return role
    if config.role is None:
        raise Refused("You have no role in this gateway.")
    return config.role


def email_of(config: OidcConfig, claims: Mapping[str, Any]) -> str:
    """The e-mail address, which the provider must have verified unless it is trusted without. Raises `Refused`."""
    try:
        email = checked_email(str(claims.get("email", "")))
    except ValueError:
        raise Refused("The provider tells no e-mail address of yours.") from None
    if not config.unverified_email and claims.get("email_verified") not in (True, "true"):
        raise Refused("The provider has not verified your e-mail address.")
    domains = [domain.lower() for domain in config.allowed_domains or ("*",)]
    if "*" not in domains and email.rpartition("@")[2] not in domains:
        raise Refused("Your e-mail address is of no domain that may log in.")
    return email


def subject_of(config: OidcConfig, sub: str) -> str:
    """What users have as their subject: two issuers may call two people the same."""
    return f"{config.issuer} {sub}"


@dataclass(frozen=True, slots=True)
class Account:
    """A user who logs in, and who they were ``before``: ``None`` for one who was just made.

    ``kept``: the claims give another role, and it stayed: nobody else could administer the organisation.
    """

    user: User
    before: User | None
    kept: bool = False


async def account(config: OidcConfig, claims: Mapping[str, Any], users: Users, now: float) -> Account:
    """The user whom ``claims`` are of, made or changed where the configuration says so.

    A user is found by issuer and subject, and before the first such login by the e-mail address. Raises `Refused`.
    """
    subject = subject_of(config, claims["sub"])
    if len(claims["sub"]) > MAX_SUBJECT:
        raise Refused("The provider names you in a way that is too long.")
    organization, role, email = organization_of(config, claims), role_of(config, claims), email_of(config, claims)
    user = await users.table.of_subject(subject, organization)
    if user is None:
        user = next(iter(await users.of_email(email, organization)), None)
        if user is not None and user.stored and user.subject is not None:
            raise Refused("Somebody else of this e-mail address logs in here.")
    if user is None:
        return Account(await _provisioned(config, claims, users, email, organization, role, subject, now), None)
    if not user.stored:
        return Account(user, user)
    values: dict[str, str] = {"subject": subject} if user.subject is None else {}
    if role is not None and role != user.role:
        values["role"] = role
    kept = False
    try:
        changed = await users.table.change(user.id, organization, **values) if values else user
    except LastAdmin:
        kept = True
        changed = await users.table.change(user.id, organization, subject=subject)
    if changed is None:
        raise Refused("You are no user of this gateway.")
    return Account(changed, user, kept)


async def _provisioned(
    config: OidcConfig,
    claims: Mapping[str, Any],
    users: Users,
    email: str,
    organization: str,
    role: Role | None,
    subject: str,
    now: float,
) -> User:
    given = role if role is not None else config.role
    if not config.provision or given is None:
        raise Refused("You are no user of this gateway; an administrator can add you.")
    name = str(claims.get("name", ""))[:200]
    try:
        return await users.table.add(
            email,
            given,
            now=now,
            organization=organization,
            name=name if name.isprintable() else "",
            subject=subject,
        )
    except EmailTaken:
        raise Refused("Somebody else of this e-mail address logs in here.") from None
