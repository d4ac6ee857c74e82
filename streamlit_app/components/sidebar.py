"""The foot of the sidebar: what runs where, and the language."""

from __future__ import annotations

import streamlit as st

from core import services
from core.bootstrap import Application
from core.storage import queries
from streamlit_app.components.gpu_gauge import gpu_gauge
from streamlit_app.components.messages import plain
from streamlit_app.i18n import DEFAULT, LANGUAGE_KEY, LANGUAGES, t


def status_line(app: Application) -> None:
    """Model, device, stored documents and memory, on a few lines."""
    _status(app)
    gpu_gauge(app)


# Timed, because a page loads the model and stores documents after the sidebar was drawn.
@st.fragment(run_every="4s")
def _status(app: Application) -> None:
    status = services.model_status(app)
    loaded = t("status.loaded" if status.loaded else "status.waiting")
    lines = [
        t("status.model", name=plain(status.name), state=loaded),
        t(
            "status.device",
            device=plain(status.device or app.settings.device),
            dtype=plain(status.dtype or app.settings.dtype),
        ),
        t("status.documents", count=queries.count_documents(app.database)),
    ]
    st.caption("  \n".join(lines))


def language_switch() -> None:
    """Chinese or English, for this session."""
    st.segmented_control(
        t("status.language"),
        list(LANGUAGES),
        format_func=LANGUAGES.__getitem__,
        default=DEFAULT,
        required=True,
        key=LANGUAGE_KEY,
        label_visibility="collapsed",
    )
