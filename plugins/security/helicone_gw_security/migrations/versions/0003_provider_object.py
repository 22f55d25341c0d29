"""Remember whose the objects are that providers keep."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "security_0003"
down_revision = "security_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create ``provider_object``."""
    op.create_table(
        "provider_object",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), primary_key=True, nullable=False),
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("ends_at", sa.Float(), nullable=True),
    )
    op.create_index("ix_provider_object_organization_id", "provider_object", ["organization_id"])
    op.create_index("ix_provider_object_id", "provider_object", ["id"])
    op.create_index("ix_provider_object_created_at", "provider_object", ["created_at"])
    op.create_index("ix_provider_object_ends_at", "provider_object", ["ends_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("provider_object")
