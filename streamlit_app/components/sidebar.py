"""The foot of the sidebar: what runs where, and the language."""

from __future__ import annotations

import psutil
import streamlit as st

from core import services
from core.bootstrap import Application
from core.storage import queries
from streamlit_app.components.messages import plain
from streamlit_app.i18n import DEFAULT, LANGUAGE_KEY, LANGUAGES, t

MIB = 1 << 20


def status_line(app: Application) -> None:
    """Model, device, stored documents and memory of this process, on a few lines."""
    status = services.model_status(app)
    loaded = t("status.loaded" if status.loaded else "status.waiting")
    lines = [
        t("status.model", name=plain(status.name), state=loaded),
        t("status.device", device=plain(str(status.device)), dtype=plain(str(status.dtype))),
        t("status.documents", count=queries.count_documents(app.database)),
        t("status.memory", used=psutil.Process().memory_info().rss // MIB),
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
