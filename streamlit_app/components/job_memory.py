"""What a job took of the machine, in words."""

from __future__ import annotations

from core.storage.job_memory import JobMemory
from streamlit_app.components.gpu_gauge import size
from streamlit_app.i18n import t

WATT_HOUR_J = 3600


def memory_text(memory: JobMemory) -> str:
    """The most memory on cards and host, and the energy; a dash while nothing is known."""
    told = []
    if memory.gpu_bytes is not None:
        told.append(t("jobs.memory.gpu", size=size(memory.gpu_bytes)))
    if memory.host_bytes is not None:
        told.append(t("jobs.memory.host", size=size(memory.host_bytes)))
    if memory.energy_j is not None:
        told.append(t("jobs.memory.energy", energy=energy(memory.energy_j)))
    return " · ".join(told) or "—"


def energy(joules: float) -> str:
    """Joules, or watt-hours from one on."""
    return f"{joules:.0f} J" if joules < WATT_HOUR_J else f"{joules / WATT_HOUR_J:.1f} Wh"
