"""The table of what jobs took of the machine."""

from __future__ import annotations

from sqlalchemy import BigInteger, Float, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables import Base


class RunMemoryRow(Base):
    """The most memory while a job ran, and the energy of its cards; NULL: could not be measured."""

    __tablename__ = "run_memory"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    gpu_bytes: Mapped[int | None] = mapped_column(BigInteger)
    host_bytes: Mapped[int | None] = mapped_column(BigInteger)
    energy_j: Mapped[float | None] = mapped_column(Float)
