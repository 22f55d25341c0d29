"""The table of gateway keys."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Index, String, Table, text
from sqlmodel import Field, SQLModel


class GatewayKeyRow(SQLModel, table=True):
    """A gateway key as it lies in the database; the secret is not among it. Times are epoch seconds.

    ``prefix`` is the part of the key that people may see; a JSON column that is NULL permits everything. Within an
    organisation a name belongs to one key that is not revoked.
    """

    __tablename__ = "gateway_key"
    __table_args__ = (
        Index(
            "uq_gateway_key_organization_id_name",
            "organization_id",
            "name",
            unique=True,
            sqlite_where=text("revoked_at IS NULL"),
            postgresql_where=text("revoked_at IS NULL"),
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


GATEWAY_KEY: Table = SQLModel.metadata.tables["gateway_key"]
"""The same table for SQLAlchemy Core."""
