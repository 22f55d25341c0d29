"""Create the tables of prompts."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "prompts_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and the one row of ``prompt_state``."""
    op.create_table(
        "prompt",
        sa.Column("organization_id", sa.String(), primary_key=True, nullable=False),
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("highest", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "prompt_version",
        sa.Column("organization_id", sa.String(), primary_key=True, nullable=False),
        sa.Column("id", sa.String(), primary_key=True, nullable=False),
        sa.Column("prompt_id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("major_version", sa.Integer(), nullable=False),
        sa.Column("minor_version", sa.Integer(), nullable=False),
        sa.Column("commit_message", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
    )
    op.create_index(
        "uq_prompt_version_number",
        "prompt_version",
        ["organization_id", "prompt_id", "major_version", "minor_version"],
        unique=True,
    )
    op.create_table(
        "prompt_environment",
        sa.Column("organization_id", sa.String(), primary_key=True, nullable=False),
        sa.Column("prompt_id", sa.String(), primary_key=True, nullable=False),
        sa.Column("environment", sa.String(), primary_key=True, nullable=False),
        sa.Column("version_id", sa.String(), nullable=False),
    )
    op.create_table(
        "prompt_file",
        sa.Column("organization_id", sa.String(), primary_key=True, nullable=False),
        sa.Column("prompt_id", sa.String(), primary_key=True, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
    )
    op.create_table(
        "prompt_template",
        sa.Column("organization_id", sa.String(), primary_key=True, nullable=False),
        sa.Column("prompt_id", sa.String(), primary_key=True, nullable=False),
        sa.Column("version", sa.Integer(), primary_key=True, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("template", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
    )
    op.create_index(
        "uq_prompt_template_sha256", "prompt_template", ["organization_id", "prompt_id", "sha256"], unique=True
    )
    state = op.create_table(
        "prompt_state",
        sa.Column("id", sa.Integer(), primary_key=True, nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("signing_key", sa.LargeBinary(), nullable=False),
    )
    op.bulk_insert(state, [{"id": 1, "changes": 0, "signing_key": secrets.token_bytes(32)}])


def downgrade() -> None:
    """Drop the tables."""
    for name in ("prompt_state", "prompt_template", "prompt_file", "prompt_environment", "prompt_version", "prompt"):
        op.drop_table(name)
