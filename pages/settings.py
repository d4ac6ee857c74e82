"""The settings in force, where each comes from, and what it means."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import services
from core.config import ROOT, Settings
from streamlit_app.components.annotation_table import table
from streamlit_app.components.heading import heading
from streamlit_app.components.job_progress import duration
from streamlit_app.components.messages import plain
from streamlit_app.components.model_work import millions
from streamlit_app.i18n import t
from streamlit_app.resources import application

heading("settings")
app = application()
status = services.model_status(app)
cells = {
    "settings.model": status.name,
    "settings.device": f"{status.device or app.settings.device} · {status.dtype or app.settings.dtype}",
    "settings.parameters": millions(status.parameters),
    "settings.load": "—" if not status.load_s else duration(status.load_s),
}
for column, (label, value) in zip(st.columns(len(cells)), cells.items(), strict=True):
    column.metric(t(label), plain(str(value)), border=True)

frame = pd.DataFrame(
    {
        "setting": name,
        "value": app.settings.shown(name),
        "variable": f"REX_{name.upper()}",
        "default": str(field.default).removeprefix(f"{ROOT}/"),
        "meaning": t(f"settings.meaning.{name}"),
    }
    for name, field in Settings.model_fields.items()
)
table(frame, key="settings-table", whole=True)
st.caption(t("settings.how"))
