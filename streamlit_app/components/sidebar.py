"""The foot of the sidebar: memory, and the language."""

from __future__ import annotations

import streamlit as st

from streamlit_app.i18n import DEFAULT, LANGUAGE_KEY, LANGUAGES, t


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
        persist_state="session",
    )
