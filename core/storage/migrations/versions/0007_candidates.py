"""What came near the threshold in requests of few documents, so that an empty answer can be explained.

Revision: 0007. Follows 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("floor", sa.Float()))
    op.create_table(
        "candidates",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "document_id"],
            ["run_documents.run_id", "run_documents.document_id"],
            name="fk_candidates_run_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "document_id", name="pk_candidates"),
    )


def downgrade() -> None:
    op.drop_table("candidates")
    op.drop_column("runs", "floor")
