"""Durable jobs: what has still to be read, who works on it, and what each document was read on.

Revision: 0002. Follows 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATES = "state IN ('queued', 'running', 'paused', 'done', 'failed', 'cancelled')"
OLD_STATES = "state IN ('running', 'done', 'failed', 'cancelled')"
CHILDREN = ("run_documents", "annotations")


def upgrade() -> None:
    _check_states(STATES)
    op.add_column("runs", sa.Column("source", sa.String(512), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("failed", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("owner", sa.String(255), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("heartbeat_at", sa.DateTime()))
    op.add_column("runs", sa.Column("worked_s", sa.Float(), nullable=False, server_default="0"))
    op.add_column("run_documents", sa.Column("dtype", sa.String(32), nullable=False, server_default=""))
    op.add_column("run_documents", sa.Column("device", sa.String(64), nullable=False, server_default=""))
    op.create_table(
        "job_documents",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_job_documents_run_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.id"], name="fk_job_documents_document_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "document_id", name="pk_job_documents"),
    )
    op.create_index("ix_job_documents_document_id", "job_documents", ["document_id"])
    op.create_index("ix_job_documents_run_id_position", "job_documents", ["run_id", "position"])
    of_run = "SELECT {} FROM run_documents WHERE run_documents.run_id = runs.id"
    failed = of_run.format("count(*)") + " AND run_documents.error <> ''"
    op.execute(f"UPDATE runs SET failed = ({failed}), worked_s = coalesce(({of_run.format('sum(duration_s)')}), 0)")
    op.execute(
        "UPDATE run_documents SET dtype = (SELECT dtype FROM runs WHERE runs.id = run_id), "
        "device = (SELECT device FROM runs WHERE runs.id = run_id)"
    )


def downgrade() -> None:
    op.execute("UPDATE runs SET state = 'cancelled' WHERE state IN ('queued', 'paused')")
    op.drop_table("job_documents")
    for table, columns in (
        ("run_documents", ("device", "dtype")),
        ("runs", ("worked_s", "heartbeat_at", "owner", "failed", "source")),
    ):
        for column in columns:
            op.drop_column(table, column)
    _check_states(OLD_STATES)


def _check_states(condition: str) -> None:
    name = op.f("ck_runs_state")
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(name, "runs", type_="check")
        op.create_check_constraint(name, "runs", condition)
        return
    # SQLite changes a condition only by making the table anew, and dropping the old one empties what refers to it,
    # unless foreign keys are off: then the rows are there still and are passed over.
    for child in CHILDREN:
        op.execute(f"CREATE TEMPORARY TABLE kept_{child} AS SELECT * FROM {child}")
    with op.batch_alter_table("runs", recreate="always") as batch:
        batch.create_check_constraint(name, condition)
    for child in CHILDREN:
        op.execute(f"INSERT OR IGNORE INTO {child} SELECT * FROM kept_{child}")
        op.execute(f"DROP TABLE kept_{child}")
