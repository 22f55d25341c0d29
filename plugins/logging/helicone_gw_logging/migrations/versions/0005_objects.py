"""Let a row of bodies say where in an object storage they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the rows that are there have their bodies themselves."""
    op.add_column("request_body", sa.Column("object", sa.Text(), nullable=True))
