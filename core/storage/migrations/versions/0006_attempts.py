"""How often a process ended with a document in its hands, so that one that kills its process is not read for ever.

Revision: 0006. Follows 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job_documents", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("job_documents", sa.Column("taken", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    for column in ("taken", "attempts"):
        op.drop_column("job_documents", column)
