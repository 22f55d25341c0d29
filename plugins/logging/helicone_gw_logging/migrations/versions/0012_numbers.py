"""A table for the numbers of zones of the log, and a column for which requests have a text that few have.

Both are filled in the background, for old requests as well; texts of zones are noted anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and the column, and forget what is noted."""
    op.add_column("text_zone", sa.Column("places", sa.LargeBinary()))
    op.create_table(
        "number_zone",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("zone", sa.BigInteger(), nullable=False, autoincrement=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("requests", "first_at", "last_at", "changes")),
        sa.Column("numbers", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "zone", name="pk_number_zone"),
        sqlite_with_rowid=False,
    )
    op.execute(sa.text("DELETE FROM text_zone"))
    op.execute(sa.text("DELETE FROM log_sequence WHERE name = 'texts'"))
