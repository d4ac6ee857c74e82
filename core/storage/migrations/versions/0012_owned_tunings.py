"""Whose a fine-tuning is, so that it is seen and ended by those who see the runs that it learns from.

Revision: 0012. Follows 0011.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

OWNERS = ("user_id", "project_id")


def upgrade() -> None:
    # Those that are there belong to the machine's own user and the first project, as documents and runs of old do.
    for owner in OWNERS:
        op.add_column("tunings", sa.Column(owner, sa.Integer(), nullable=False, server_default="1"))
        op.create_index(f"ix_tunings_{owner}_id", "tunings", [owner, "id"])


def downgrade() -> None:
    for owner in OWNERS:
        op.drop_index(f"ix_tunings_{owner}_id", "tunings")
        op.drop_column("tunings", owner)
