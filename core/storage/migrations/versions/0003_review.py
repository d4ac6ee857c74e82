"""Corrections of annotations by people.

Revision: 0003. Follows 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATES = "state IN ('unreviewed', 'started', 'approved', 'corrected', 'rejected', 'skipped')"


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("nodes", sa.JSON(), nullable=False),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(255), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint(STATES, name=op.f("ck_reviews_state")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_reviews_run_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_reviews_document_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "document_id", name="pk_reviews"),
    )
    op.create_index("ix_reviews_document_id", "reviews", ["document_id"])
    op.create_index("ix_reviews_run_id_state", "reviews", ["run_id", "state"])
    op.create_table(
        "review_revisions",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("change", sa.JSON(), nullable=False),
        sa.Column("undo", sa.Integer()),
        sa.Column("undo_below", sa.Integer()),
        sa.Column("redo", sa.Integer()),
        sa.Column("redo_below", sa.Integer()),
        sa.Column("batch", sa.String(32), nullable=False),
        sa.Column("author", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "document_id"],
            ["reviews.run_id", "reviews.document_id"],
            name="fk_review_revisions_run_id_document_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "document_id", "number", name="pk_review_revisions"),
    )
    op.create_index("ix_review_revisions_batch", "review_revisions", ["batch"])


def downgrade() -> None:
    op.drop_table("review_revisions")
    op.drop_table("reviews")
