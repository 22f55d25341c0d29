"""The tables of who people are: organisations, users, their sessions, logins under way, and the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, Index, String, Table, text
from sqlmodel import Field, SQLModel

IDENTITY_VERSIONS = Path(__file__).parent / "identity_migrations" / "versions"
"""The Alembic migrations of these tables, a branch of their own."""

BRANCH = "security_identity"
"""The name of that branch."""


class OrganizationRow(SQLModel, table=True):
    """An organisation that somebody made; others exist by being named. Times are epoch seconds, here and below."""

    __tablename__ = "organization"

    organization_id: str = Field(primary_key=True)
    name: str
    created_at: float


class UserRow(SQLModel, table=True):
    """A person in one organisation; whoever is in two has two users, of which neither organisation sees the other's.

    ``email`` is in lower case and belongs to one user of an organisation. ``password_hash`` is argon2's encoded form,
    ``subject`` the issuer and ``sub`` of an OpenID provider; a user may have both, or neither yet. ``removed_at`` says
    that the user is gone: e-mail, name, hash and subject are then blanked, and the row stays, so that removing the last
    user does not open the gateway. ``temporary_until`` is when a password ends that somebody else set: it is good for
    choosing another.
    """

    __tablename__ = "gateway_user"
    __table_args__ = (
        Index(
            "uq_gateway_user_organization_id_email",
            "organization_id",
            "email",
            unique=True,
            # For Postgres the migration says the same. Said here, every start would import a dialect.
            sqlite_where=text("removed_at IS NULL"),
        ),
        Index("uq_gateway_user_organization_id_subject", "organization_id", "subject", unique=True),
    )

    organization_id: str = Field(default="default")
    id: str = Field(primary_key=True)
    email: str = Field(index=True)
    name: str = ""
    role: str
    password_hash: str | None = None
    subject: str | None = None
    created_at: float
    last_login_at: float | None = None
    removed_at: float | None = None
    temporary_until: float | None = None


class SessionRow(SQLModel, table=True):
    """A browser's session. ``sha256`` is the hash of what its cookie holds; ``holder`` is ``user:<id>`` or
    ``key:<hash of the gateway key>``, and who that is now is looked up there.

    ``provider`` is the OpenID provider that it began at, ``sid`` the hash of what the session is called there, and
    ``id_token`` its ID token, encrypted with what the cookie holds.
    """

    __tablename__ = "gateway_session"

    organization_id: str = Field(default="default")
    sha256: str = Field(sa_column=Column(String(64), primary_key=True))
    holder: str = Field(index=True)
    created_at: float
    seen_at: float
    expires_at: float = Field(index=True)
    address: str = ""
    provider: str | None = None
    sid: str | None = Field(default=None, sa_column=Column(String(64), nullable=True, index=True))
    id_token: str | None = Field(default=None, repr=False)


class LoginStateRow(SQLModel, table=True):
    """A login at an OpenID provider that has begun. ``sha256`` is the hash of its ``state``, ``browser`` that of the
    cookie of whoever began it."""

    __tablename__ = "login_state"

    organization_id: str = Field(default="default")
    sha256: str = Field(sa_column=Column(String(64), primary_key=True))
    browser: str = Field(sa_column=Column(String(64), nullable=False))
    provider: str
    nonce: str
    verifier: str
    next: str
    expires_at: float = Field(index=True)


class AuditRow(SQLModel, table=True):
    """One change that somebody made, as `helicone_gw.AuditEntry` says it; ids grow with time."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_organization_id_id", "organization_id", "id"),)

    organization_id: str = Field(default="default")
    id: str = Field(primary_key=True)
    at: float
    actor_id: str
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    after: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    address: str = ""


ORGANIZATION: Table = SQLModel.metadata.tables["organization"]
USER: Table = SQLModel.metadata.tables["gateway_user"]
SESSION: Table = SQLModel.metadata.tables["gateway_session"]
LOGIN_STATE: Table = SQLModel.metadata.tables["login_state"]
AUDIT: Table = SQLModel.metadata.tables["audit_entry"]
