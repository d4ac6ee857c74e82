"""What jobs took: the most memory on card and host, and energy.

Revision: 0011. Follows 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_memory",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("gpu_bytes", sa.BigInteger(), nullable=True),
        sa.Column("host_bytes", sa.BigInteger(), nullable=True),
        sa.Column("energy_j", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_memory_run_id_runs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_run_memory"),
    )


def downgrade() -> None:
    op.drop_table("run_memory")
