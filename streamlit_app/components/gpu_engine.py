"""The model on its device: where it runs, its profile, its memory against the budget, and what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.gpu.records import Event, Segment
from streamlit_app.components.gpu_gauge import memory_bar, size
from streamlit_app.components.gpu_tiles import GOOD, chips
from streamlit_app.components.job_progress import duration
from streamlit_app.components.messages import plain
from streamlit_app.components.model_work import millions
from streamlit_app.i18n import t

if TYPE_CHECKING:
    from core.gpu.governor import GovernorStatus
    from core.gpu.tenant import TenantStatus
    from core.memory_services import Demand
    from core.services import ModelStatus

EVENTS_SHOWN = 40
BYTES = {"float16": 2, "bfloat16": 2, "float32": 4}


def model_panel(status: ModelStatus, demand: Demand) -> None:
    """Which model is used, whether it is in memory, its budget, and what waits for it."""
    st.subheader(t("gpu.engine"), anchor=False)
    if not status.loaded:
        st.caption(plain(t("gpu.model.waiting", name=status.name)))
    else:
        chips(model_facts(status))
    if status.loaded and status.tenant is not None:
        engine_facts(status, status.tenant)
    unused = t("gpu.demand.never") if demand.unused_s is None else t("gpu.demand.used", ago=duration(demand.unused_s))
    queue = t("gpu.demand", tokens=demand.waiting_tokens, running=demand.running_jobs, waiting=demand.waiting_jobs)
    st.caption(f"{queue} {unused}")


def model_facts(status: ModelStatus) -> list[tuple[str, str, str]]:
    """Name, size, device and time of loading of the model in memory."""
    count = status.parameters or 0
    weights = size(count * BYTES.get(status.dtype or "", 4))
    listed = [
        (t("gpu.model.name"), status.name),
        (t("gpu.model.parameters"), t("gpu.model.millions", count=millions(count), weights=weights)),
        (t("gpu.model.device"), f"{status.device} · {status.dtype}"),
        (t("gpu.model.load"), duration(status.load_s or 0)),
    ]
    return [(name, value, GOOD) for name, value in listed]


def engine_facts(status: ModelStatus, tenant: TenantStatus) -> None:
    """Process or thread, profile and batch size of the loaded model, and its budget."""
    profile = tenant.profile
    worker = t(f"gpu.engine.{status.worker}", pid=status.pid)
    chips(
        [
            (t("gpu.engine.worker"), worker, GOOD),
            (t("gpu.engine.profile"), profile.name, GOOD),
            (t("gpu.engine.batch"), f"{profile.batch_tokens:,}", GOOD),
        ]
    )
    budget_facts(tenant.memory)


def budget_facts(memory: GovernorStatus) -> None:
    """The budget as a bar, and how often the governor had to act."""
    if not memory.budget_bytes:
        st.caption(t("gpu.engine.unbounded"))
        return
    used, budget, peak = (size(one) for one in (memory.used_bytes, memory.budget_bytes, memory.peak_bytes))
    st.caption(t("gpu.engine.budget", used=used, budget=budget, peak=peak))
    memory_bar(budget_segments(memory))
    calibrated = t("gpu.engine.calibrated" if memory.calibrated else "gpu.engine.uncalibrated")
    st.caption(
        t("gpu.engine.counts", splits=memory.splits, trims=memory.trims, ooms=memory.ooms, calibrated=calibrated)
    )


def budget_segments(memory: GovernorStatus) -> tuple[Segment, ...]:
    """The budget by what takes it, adding up to it."""
    return (
        Segment("outside_torch", memory.outside_bytes),
        Segment("torch_cached", memory.reserved_bytes - memory.allocated_bytes),
        Segment("torch_allocated", memory.allocated_bytes),
        Segment("budget_left", max(0, memory.budget_bytes - memory.used_bytes)),
    )


def event_table(events: Sequence[Event], *, key: str) -> None:
    """The latest events, newest first."""
    if not events:
        st.caption(t("gpu.events.none"))
        return
    rows = [
        {
            t("gpu.events.time"): datetime.fromtimestamp(event.time_s).strftime("%H:%M:%S"),
            t("gpu.events.kind"): t(f"gpu.event.{event.kind}"),
            t("gpu.events.text"): event.text,
        }
        for event in reversed(events[-EVENTS_SHOWN:])
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key=key, height="auto" if len(rows) < 8 else 315)
