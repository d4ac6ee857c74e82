"""The title of a page and one sentence of what it does."""

from __future__ import annotations

import streamlit as st

from streamlit_app.i18n import t


def heading(page: str) -> None:
    """Draw the title and the sentence of `page`."""
    with st.container(key="desk-heading", horizontal=True, vertical_alignment="bottom", gap="small"):
        st.header(t(f"page.{page}"), anchor=False, width="content")
        st.caption(t(f"page.{page}.intro"))
