"""Create the table of gateway keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "security_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create ``gateway_key``."""
    op.create_table(
        "gateway_key",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("models", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("providers", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("paths", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.Column("revoked_at", sa.Float(), nullable=True),
    )
    op.create_index("ix_gateway_key_organization_id", "gateway_key", ["organization_id"])
    op.create_index("ix_gateway_key_sha256", "gateway_key", ["sha256"], unique=True)
    op.create_index(
        "uq_gateway_key_organization_id_name",
        "gateway_key",
        ["organization_id", "name"],
        unique=True,
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )


def downgrade() -> None:
    """Drop ``gateway_key``."""
    op.drop_table("gateway_key")
