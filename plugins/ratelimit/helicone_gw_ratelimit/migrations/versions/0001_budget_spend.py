"""Create the table of what was spent of budgets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "ratelimit_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create ``budget_spend``."""
    op.create_table(
        "budget_spend",
        sa.Column("organization_id", sa.String(), primary_key=True, nullable=False),
        sa.Column("budget", sa.String(), primary_key=True, nullable=False),
        sa.Column("every", sa.String(), primary_key=True, nullable=False),
        sa.Column("segment", sa.String(), primary_key=True, nullable=False),
        sa.Column("period", sa.BigInteger(), primary_key=True, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.Float(), nullable=True),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("reset_at", sa.Float(), nullable=True),
    )
    op.create_index("ix_budget_spend_ends_at", "budget_spend", ["ends_at"])
    op.create_index(
        "ix_budget_spend_reset_at",
        "budget_spend",
        ["reset_at"],
        sqlite_where=sa.text("reset_at IS NOT NULL"),
        postgresql_where=sa.text("reset_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Drop ``budget_spend``."""
    op.drop_table("budget_spend")
