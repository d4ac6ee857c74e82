"""Search over the texts, metadata that can be filtered by, and counts and indices for the queries of every screen.

Revision: 0005. Follows 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.storage.search_index import create_index, drop_index

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ROWS = 1000
KEY = VALUE = 255
ORDER = "ix_run_documents_run_id_position_document_id"


def upgrade() -> None:
    op.create_table(
        "document_metadata",
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(KEY), nullable=False),
        sa.Column("value", sa.String(VALUE), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.id"], name="fk_document_metadata_document_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("document_id", "key", name="pk_document_metadata"),
        sqlite_with_rowid=False,
    )
    _copy_metadata()
    op.create_index("ix_document_metadata_key_value_document_id", "document_metadata", ["key", "value", "document_id"])
    op.add_column("runs", sa.Column("annotations", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE runs SET annotations = (SELECT count(*) FROM annotations WHERE annotations.run_id = runs.id)")
    op.create_index(ORDER, "run_documents", ["run_id", "position", "document_id"])
    create_index(op.get_bind())


def _copy_metadata() -> None:
    connection = op.get_bind()
    documents = sa.table("documents", sa.column("id", sa.Integer), sa.column("metadata", sa.JSON))
    target = sa.table("document_metadata", sa.column("document_id"), sa.column("key"), sa.column("value"))
    last = 0
    query = sa.select(documents.c.id, documents.c.metadata).order_by(documents.c.id).limit(ROWS)
    while some := connection.execute(query.where(documents.c.id > last)).all():
        last = some[-1].id
        # two long keys may begin alike: the first stays, as when documents are stored
        found = {
            (row.id, str(key)[:KEY]): str(value)[:VALUE] for row in some for key, value in reversed(row[1].items())
        }
        if found:
            rows = [{"document_id": id, "key": key, "value": value} for (id, key), value in found.items()]
            connection.execute(target.insert(), rows)


def downgrade() -> None:
    drop_index(op.get_bind())
    op.drop_index(ORDER, "run_documents")
    op.drop_column("runs", "annotations")
    op.drop_table("document_metadata")
