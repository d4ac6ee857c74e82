"""Checkpoints: what is installed and which one answers, fetching, comparing, and fine-tuning on corrections."""

from __future__ import annotations

import streamlit as st

from streamlit_app.components.heading import heading
from streamlit_app.components.model_compare import model_compare
from streamlit_app.components.model_download import model_download
from streamlit_app.components.model_list import model_list
from streamlit_app.components.model_tuning import model_tuning
from streamlit_app.i18n import t
from streamlit_app.resources import application

VIEWS = {"list": model_list, "download": model_download, "compare": model_compare, "tune": model_tuning}
ICONS = {"list": "deployed_code", "download": "download", "compare": "compare", "tune": "model_training"}

heading("models")
wanted = st.query_params.get("view", "")
if wanted in VIEWS and "models-view" not in st.session_state:
    st.session_state["models-view"] = wanted
labels = {name: f":material/{ICONS[name]}: {t(f'models.view.{name}')}" for name in VIEWS}
st.session_state.setdefault("models-view", "list")
chosen = st.segmented_control(
    t("models.view"),
    list(VIEWS),
    format_func=labels.__getitem__,
    required=True,
    key="models-view",
    label_visibility="collapsed",
    persist_state="session",
)
VIEWS[chosen or "list"](application())
