"""Remember at which OpenID provider a session began, so that it can end there, and from there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "security_identity_0002"
down_revision = "security_identity_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("gateway_session", sa.Column("provider", sa.String(), nullable=True))
    op.add_column("gateway_session", sa.Column("sid", sa.String(64), nullable=True))
    op.add_column("gateway_session", sa.Column("id_token", sa.String(), nullable=True))
    op.create_index("ix_gateway_session_sid", "gateway_session", ["sid"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_gateway_session_sid", "gateway_session")
    for name in ("id_token", "sid", "provider"):
        op.drop_column("gateway_session", name)
