"""The tables of gateway keys, of providers' keys, and of the objects that providers keep."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Index, String, Table, text
from sqlmodel import Field, SQLModel


class GatewayKeyRow(SQLModel, table=True):
    """A gateway key as it lies in the database; the secret is not among it. Times are epoch seconds.

    ``prefix`` is the part of the key that people may see; a JSON column that is NULL permits everything. Within an
    organisation a name belongs to one key that is not revoked. ``previous_sha256`` is the secret before the last
    rotation, valid until ``previous_until``. ``last_used_at`` is written every minute or so.
    """

    __tablename__ = "gateway_key"
    __table_args__ = (
        Index(
            "uq_gateway_key_organization_id_name",
            "organization_id",
            "name",
            unique=True,
            # For Postgres the migration says the same. Said here, every start would import a dialect.
            sqlite_where=text("revoked_at IS NULL"),
        ),
    )

    organization_id: str = Field(default="default", index=True)
    id: str = Field(primary_key=True)
    name: str
    owner: str
    prefix: str
    sha256: str = Field(sa_column=Column(String(64), nullable=False, unique=True, index=True))
    models: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    providers: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    paths: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    networks: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    origins: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    limits: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    budgets: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    role: str = Field(default="member", sa_column=Column(String, nullable=False, server_default="member"))
    scope: str = Field(default="all", sa_column=Column(String, nullable=False, server_default="all"))
    provider_key: str | None = None
    previous_sha256: str | None = Field(default=None, sa_column=Column(String(64), unique=True, index=True))
    previous_until: float | None = None
    rotated_at: float | None = None
    last_used_at: float | None = None


class ProviderKeyRow(SQLModel, table=True):
    """A provider's key as it lies in the database: encrypted. Times are epoch seconds.

    ``hint`` is what people may see of it. ``shared``: it serves every request of its organisation to that provider,
    not only those of gateway keys that stand for it.
    """

    __tablename__ = "provider_key"
    __table_args__ = (Index("uq_provider_key_organization_id_name", "organization_id", "name", unique=True),)

    organization_id: str = Field(default="default", index=True)
    id: str = Field(primary_key=True)
    name: str
    provider: str
    ciphertext: str = Field(repr=False)
    hint: str
    shared: bool
    created_at: float
    changed_at: float


class ProviderObjectRow(SQLModel, table=True):
    """Something that a provider keeps (a file, a response, ...) under a key of the operator's, and whose it is.
    Times are epoch seconds; after ``ends_at`` it may be forgotten."""

    __tablename__ = "provider_object"
    __table_args__ = (Index("ix_provider_object_created_at", "created_at"),)

    organization_id: str = Field(default="default", index=True)
    provider: str = Field(primary_key=True)
    id: str = Field(primary_key=True, index=True)
    created_at: float
    ends_at: float | None = Field(default=None, index=True)


GATEWAY_KEY: Table = SQLModel.metadata.tables["gateway_key"]
"""The same table for SQLAlchemy Core."""

PROVIDER_KEY: Table = SQLModel.metadata.tables["provider_key"]
"""The table of providers' keys, likewise."""

PROVIDER_OBJECT: Table = SQLModel.metadata.tables["provider_object"]
"""The table of what providers keep, likewise."""
