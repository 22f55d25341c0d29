"""The configuration of who people are: users, how they log in, and OpenID providers that say who somebody is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from helicone_gw import Role
from helicone_gw_security.passwords import password_problem
from helicone_gw_security.users import User, checked_email

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Email = Annotated[str, AfterValidator(checked_email)]
AuditDays = Annotated[int, Field(ge=1, le=36_500)] | None
ProviderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


def https_url(url: str, what: str, *, query: bool = False) -> str:
    """``url`` without a slash at its end, if it is one of https, or of this machine. Raises `ValueError`.

    ``query``: whether it may have one.
    """
    parts = urlsplit(url)
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise ValueError(f"{what} should be an https:// address")
    if not parts.hostname or (parts.query and not query) or parts.fragment or parts.username is not None:
        raise ValueError(f"{what} should be a host and a path, with nothing after it")
    return url.rstrip("/")


class Section(BaseModel):
    """Frozen, without unknown settings, and silent about what stands beside a mistake: it may be a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class UserConfig(Section):
    """One user: a ``password``, its argon2 hash (``helicone-gw users hash``), or neither where an OpenID provider
    says who it is."""

    password: SecretStr | None = None
    password_hash: SecretStr | None = None
    name: Annotated[str, StringConstraints(max_length=200)] = ""
    role: Role = "member"
    organization: Text = "default"

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.password_hash is not None:
            raise ValueError("password and password_hash exclude each other")
        if self.password is not None and (problem := password_problem(self.password.get_secret_value())) is not None:
            raise ValueError(problem)
        if self.password_hash is not None and not self.password_hash.get_secret_value().startswith("$argon2id$"):
            raise ValueError("password_hash should begin with $argon2id$, as `helicone-gw users hash` prints it")
        return self

    def user(self, email: str, password_hash: str | None) -> User:
        """The user of this entry."""
        return User(
            id=f"config:{self.organization}:{email}",
            organization=self.organization,
            email=email,
            name=self.name,
            role=self.role,
            password_hash=password_hash,
            stored=False,
        )


class LoginConfig(Section):
    """Sessions of browsers, in seconds, and what opens them."""

    idle: Annotated[float, Field(ge=60, le=31_536_000)] = 43_200.0
    lifetime: Annotated[float, Field(ge=60, le=31_536_000)] = 604_800.0
    keys: bool | None = None
    public_url: Annotated[str, AfterValidator(lambda url: https_url(url, "public_url"))] | None = None


class RolesConfig(Section):
    """Which values of a claim give which role; the highest that fits is taken."""

    claim: Text
    admin: tuple[Text, ...] = ()
    member: tuple[Text, ...] = ()
    viewer: tuple[Text, ...] = ()


class OrganizationsConfig(Section):
    """Which value of a claim leads to which organisation; whoever has none of them is refused."""

    claim: Text
    values: Mapping[Text, Text] = Field(min_length=1)


class OidcConfig(Section):
    """An OpenID Connect provider. ``issuer`` is its address, under which its discovery document lies.

    Whoever logs in must be a user of that e-mail address already, unless ``provision`` makes users of strangers; then
    ``allowed_domains`` must say of which domains (``["*"]`` for all). ``role`` is for those whom ``roles`` gives none;
    without it they are refused. ``unverified_email`` takes an e-mail address that the provider does not call verified.
    """

    issuer: Annotated[str, AfterValidator(lambda url: https_url(url, "issuer"))]
    client_id: Text
    client_secret: SecretStr | None = None
    label: Annotated[str, StringConstraints(max_length=100)] = ""
    scopes: tuple[Text, ...] = ("openid", "email", "profile")
    provision: bool = False
    allowed_domains: tuple[Text, ...] | None = None
    unverified_email: bool = False
    logout: bool = False
    role: Role | None = None
    roles: RolesConfig | None = None
    organization: Text = "default"
    organizations: OrganizationsConfig | None = None

    @model_validator(mode="after")
    def _careful(self) -> Self:
        if "openid" not in self.scopes:
            raise ValueError("scopes should contain openid")
        if self.provision and not self.allowed_domains:
            raise ValueError("provision makes users of strangers: allowed_domains should say of which domains")
        if self.provision and self.role is None and self.roles is None:
            raise ValueError("provision needs role or roles: what new users may do")
        return self


class IdentityConfig(Section):
    """``users`` by e-mail address, ``login``, ``oidc`` by name, and how many days the audit log is kept."""

    users: dict[Email, UserConfig] = Field(default_factory=dict)
    login: LoginConfig = LoginConfig()
    oidc: dict[ProviderName, OidcConfig] = Field(default_factory=dict)
    audit_days: AuditDays = None

    def passwords(self) -> dict[str, SecretStr | None]:
        """The password of every user, or its hash, by e-mail address."""
        return {email: entry.password or entry.password_hash for email, entry in self.users.items()}

    def listed(self) -> list[User]:
        """The users as lists show them: a password is told of, and not there."""
        return [
            entry.user(email, None if entry.password is None and entry.password_hash is None else "configured")
            for email, entry in self.users.items()
        ]

    def blanked(self) -> dict[str, Any]:
        """The same without secrets that are used no more after the start, as an update of the model."""
        blank = SecretStr("")
        users = {
            email: entry.model_copy(
                update={name: blank for name in ("password", "password_hash") if getattr(entry, name) is not None}
            )
            for email, entry in self.users.items()
        }
        return {"users": users}
