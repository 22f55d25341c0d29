"""Passwords that others set are for one login."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "security_identity_0003"
down_revision = "security_identity_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("gateway_user", sa.Column("temporary_until", sa.Float(), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("gateway_user", "temporary_until")
