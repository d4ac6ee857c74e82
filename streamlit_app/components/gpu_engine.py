"""The model on its device: where it runs, its profile, its memory against the budget, and what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.gpu.records import Event, Segment
from streamlit_app.components.gpu_gauge import memory_bar, size
from streamlit_app.components.messages import plain
from streamlit_app.i18n import t

if TYPE_CHECKING:
    from core.gpu.governor import GovernorStatus
    from core.gpu.tenant import TenantStatus
    from core.services import ModelStatus

EVENTS_SHOWN = 30


def engine_facts(status: ModelStatus, tenant: TenantStatus) -> None:
    """Process or thread, profile, number type and batch size of the loaded model, and its budget."""
    profile = tenant.profile
    worker = t(f"gpu.engine.{status.worker}", pid=status.pid)
    cells = [
        ("gpu.engine.worker", worker, t("gpu.engine.worker.help")),
        ("gpu.engine.profile", profile.name, t("gpu.engine.profile.help")),
        ("gpu.engine.dtype", status.dtype or t("gpu.unknown"), None),
        ("gpu.engine.batch", f"{profile.batch_tokens:,}", None),
    ]
    for column, (label, value, help_text) in zip(st.columns(len(cells)), cells, strict=True):
        column.metric(t(label), plain(value), help=help_text)
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
    st.dataframe(pd.DataFrame(rows), hide_index=True, key=key)
