"""Fine-tuning jobs: progress, scores before and after, and what became of the result.

Revision: 0009. Follows 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATES = ("running", "done", "failed", "cancelled", "kept", "discarded")


def upgrade() -> None:
    op.create_table(
        "tunings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("source", sa.String(512), nullable=False),
        sa.Column("folder", sa.String(1024), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.Column("history", sa.JSON(), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("error", sa.Text(), nullable=False, server_default=""),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("owner", sa.String(255), nullable=False, server_default=""),
        sa.Column("heartbeat_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime()),
        sa.CheckConstraint(f"state IN {STATES}", name="ck_tunings_state"),
        sa.PrimaryKeyConstraint("id", name="pk_tunings"),
    )
    op.create_index("ix_tunings_state", "tunings", ["state"])


def downgrade() -> None:
    op.drop_table("tunings")
