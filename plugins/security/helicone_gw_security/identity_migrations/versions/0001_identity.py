"""Create the tables of organisations, users, sessions, logins under way, and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "security_identity_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the five tables."""
    op.create_table(
        "organization",
        sa.Column("organization_id", sa.String(), primary_key=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "gateway_user",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("last_login_at", sa.Float(), nullable=True),
        sa.Column("removed_at", sa.Float(), nullable=True),
    )
    op.create_index("ix_gateway_user_email", "gateway_user", ["email"])
    op.create_index(
        "uq_gateway_user_organization_id_email",
        "gateway_user",
        ["organization_id", "email"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_index(
        "uq_gateway_user_organization_id_subject", "gateway_user", ["organization_id", "subject"], unique=True
    )
    op.create_table(
        "gateway_session",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(64), primary_key=True, nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
    )
    op.create_index("ix_gateway_session_holder", "gateway_session", ["holder"])
    op.create_index("ix_gateway_session_expires_at", "gateway_session", ["expires_at"])
    op.create_table(
        "login_state",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(64), primary_key=True, nullable=False),
        sa.Column("browser", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("verifier", sa.String(), nullable=False),
        sa.Column("next", sa.String(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
    )
    op.create_index("ix_login_state_expires_at", "login_state", ["expires_at"])
    op.create_table(
        "audit_entry",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("actor_id", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("address", sa.String(), nullable=False),
    )
    op.create_index("ix_audit_entry_organization_id_id", "audit_entry", ["organization_id", "id"])


def downgrade() -> None:
    """Drop them."""
    for table in ("audit_entry", "login_state", "gateway_session", "gateway_user", "organization"):
        op.drop_table(table)
