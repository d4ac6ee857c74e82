"""Fine-tuning jobs: progress, scores before and after, and what became of the result.

Revision: 0009. Follows 0008.
"""

from __future__ import annotations

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
