"""Versions and changes of schemas.

Revision: 0004. Follows 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("schemas", sa.Column("note", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "schema_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("schema_id", sa.Integer(), nullable=False),
        sa.Column("change", sa.JSON(), nullable=False),
        sa.Column("batch", sa.String(32), nullable=False),
        sa.Column("runs", sa.JSON(), nullable=False),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("undone_at", sa.DateTime()),
        sa.ForeignKeyConstraint(["schema_id"], ["schemas.id"], name="fk_schema_changes_schema_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_schema_changes"),
    )
    op.create_index("ix_schema_changes_schema_id", "schema_changes", ["schema_id"])


def downgrade() -> None:
    op.drop_table("schema_changes")
    op.drop_column("schemas", "note")
