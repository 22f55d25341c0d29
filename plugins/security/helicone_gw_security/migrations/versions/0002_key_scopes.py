"""Give gateway keys origins, networks, roles, limits, rotation and the time of their last use; add provider keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "security_0002"
down_revision = "security_0001"
branch_labels = None
depends_on = None

_JSON = ("networks", "origins", "limits", "budgets")


def upgrade() -> None:
    """Add the columns, and create ``provider_key``."""
    for name in _JSON:
        op.add_column("gateway_key", sa.Column(name, sa.JSON(none_as_null=True), nullable=True))
    op.add_column("gateway_key", sa.Column("role", sa.String(), nullable=False, server_default="member"))
    op.add_column("gateway_key", sa.Column("scope", sa.String(), nullable=False, server_default="all"))
    op.add_column("gateway_key", sa.Column("provider_key", sa.String(), nullable=True))
    op.add_column("gateway_key", sa.Column("previous_sha256", sa.String(64), nullable=True))
    op.add_column("gateway_key", sa.Column("previous_until", sa.Float(), nullable=True))
    op.add_column("gateway_key", sa.Column("rotated_at", sa.Float(), nullable=True))
    op.add_column("gateway_key", sa.Column("last_used_at", sa.Float(), nullable=True))
    op.create_index("ix_gateway_key_previous_sha256", "gateway_key", ["previous_sha256"], unique=True)
    op.create_table(
        "provider_key",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("ciphertext", sa.String(), nullable=False),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
    )
    op.create_index("ix_provider_key_organization_id", "provider_key", ["organization_id"])
    op.create_index("uq_provider_key_organization_id_name", "provider_key", ["organization_id", "name"], unique=True)


def downgrade() -> None:
    """Drop ``provider_key`` and the columns."""
    op.drop_table("provider_key")
    op.drop_index("ix_gateway_key_previous_sha256", "gateway_key")
    for name in (
        "last_used_at",
        "rotated_at",
        "previous_until",
        "previous_sha256",
        "provider_key",
        "scope",
        "role",
        *reversed(_JSON),
    ):
        op.drop_column("gateway_key", name)
