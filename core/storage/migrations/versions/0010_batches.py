"""Batches: files of the server that a process of its own, perhaps on a cluster, annotates into a folder.

Revision: 0010. Follows 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATES = ("running", "done", "failed", "cancelled")


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("input", sa.String(1024), nullable=False),
        sa.Column("output", sa.String(1024), nullable=False),
        sa.Column("task", sa.String(32), nullable=False),
        sa.Column("schema", sa.JSON(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("process", sa.String(64), nullable=False, server_default=""),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False, server_default=""),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime()),
        sa.CheckConstraint(f"state IN {STATES}", name="ck_batches_state"),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
    )


def downgrade() -> None:
    op.drop_table("batches")
