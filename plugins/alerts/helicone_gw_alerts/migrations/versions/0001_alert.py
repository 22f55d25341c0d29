"""Create the tables of alerts, webhooks and evaluators."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "alerts_0001"
down_revision = None
branch_labels = None
depends_on = None


def _own(*columns: sa.Column[object]) -> list[sa.Column[object]]:
    return [
        sa.Column("organization_id", sa.String(), primary_key=True, nullable=False),
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        *columns,
        sa.Column("created_at", sa.Float(), nullable=False),
    ]


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "alert",
        *_own(sa.Column("definition", sa.JSON(), nullable=False), sa.Column("deleted_at", sa.Float(), nullable=True)),
    )
    op.create_table(
        "alert_event",
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("alert_id", sa.String(), nullable=False),
        sa.Column("alert_name", sa.String(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("group_value", sa.String(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("open_key", sa.String(), nullable=True),
    )
    op.create_index("uq_alert_event_open_key", "alert_event", ["open_key"], unique=True)
    op.create_index("ix_alert_event_started_at", "alert_event", ["organization_id", "started_at"])
    op.create_table(
        "webhook",
        *_own(
            sa.Column("destination", sa.Text(), nullable=False),
            sa.Column("config", sa.JSON(), nullable=False),
            sa.Column("include_data", sa.Boolean(), nullable=False),
            sa.Column("hmac_key", sa.Text(), nullable=False),
            sa.Column("sealed", sa.Boolean(), nullable=False),
        ),
    )
    op.create_table(
        "evaluator",
        *_own(
            sa.Column("name", sa.String(), nullable=False),
            sa.Column("scoring_type", sa.String(), nullable=False),
            sa.Column("llm_template", sa.JSON(), nullable=True),
            sa.Column("code_template", sa.JSON(), nullable=True),
            sa.Column("updated_at", sa.Float(), nullable=False),
        ),
    )
    op.create_table(
        "evaluator_online",
        *_own(sa.Column("evaluator_id", sa.String(), nullable=False), sa.Column("config", sa.JSON(), nullable=False)),
    )
    op.create_table(
        "alert_delivery",
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("target_id", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("dead", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
    )
    op.create_index("ix_alert_delivery_due", "alert_delivery", ["dead", "next_at"])
    op.create_index("ix_alert_delivery_target", "alert_delivery", ["kind", "target_id", "dead", "next_at"])
    op.create_table(
        "alert_cursor",
        sa.Column("organization_id", sa.String(), primary_key=True, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in (
        "alert_cursor",
        "alert_delivery",
        "evaluator_online",
        "evaluator",
        "webhook",
        "alert_event",
        "alert",
    ):
        op.drop_table(name)
