"""Remember the last deliveries of each webhook."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "alerts_0002"
down_revision = "alerts_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "alert_delivered",
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("target_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.Float(), nullable=False),
    )
    op.create_index("ix_alert_delivered_target", "alert_delivered", ["target_id", "delivered_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("alert_delivered")
