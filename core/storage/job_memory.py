"""What jobs took of the machine: the most memory of all their stretches, and the energy of all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from core.storage.database import storage_errors, writing
from core.storage.memory_tables import RunMemoryRow
from core.storage.tables import RunRow


@dataclass(frozen=True, slots=True)
class JobMemory:
    """Bytes at most on the cards and on the host while a job ran, and joules; None where it was not measured."""

    gpu_bytes: int | None = None
    host_bytes: int | None = None
    energy_j: float | None = None


def keep(engine: Engine, job_ids: Sequence[int], taken: JobMemory) -> None:
    """Add one stretch to what jobs took; jobs read together share its peaks, and none is given its energy."""
    with storage_errors(engine), Session(writing(engine)) as session, session.begin():
        for job_id in session.scalars(select(RunRow.id).where(RunRow.id.in_(job_ids))).all():
            row = session.get(RunMemoryRow, job_id)
            if row is None:
                row = RunMemoryRow(run_id=job_id)
                session.add(row)
            row.gpu_bytes = _most(row.gpu_bytes, taken.gpu_bytes)
            row.host_bytes = _most(row.host_bytes, taken.host_bytes)
            if taken.energy_j is not None and len(job_ids) == 1:
                row.energy_j = (row.energy_j or 0.0) + taken.energy_j


def of_job(engine: Engine, job_id: int) -> JobMemory | None:
    """What a job took so far; None when nothing was measured."""
    columns = (RunMemoryRow.gpu_bytes, RunMemoryRow.host_bytes, RunMemoryRow.energy_j)
    with storage_errors(engine), engine.connect() as connection:
        row = connection.execute(select(*columns).where(RunMemoryRow.run_id == job_id)).first()
    return None if row is None else JobMemory(*row)


def _most(old: int | None, new: int | None) -> int | None:
    known = [one for one in (old, new) if one is not None]
    return max(known) if known else None
