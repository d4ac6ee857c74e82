"""What came near the threshold in requests of few documents, so that an empty answer can be explained.

Revision: 0007. Follows 0006.
"""

from __future__ import annotations

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
