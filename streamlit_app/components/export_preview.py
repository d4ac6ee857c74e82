"""What an exported file begins with."""

from __future__ import annotations

from html import escape
from pathlib import Path

import pandas as pd
import streamlit as st

from core.exporters.preview import ROWS, Preview, preview
from streamlit_app.components.messages import plain, shown_errors
from streamlit_app.i18n import t

PAGE_HEIGHT, TEXT_HEIGHT = 420, 260
LONG = 800
"""Characters of a text that scrolls."""


def export_preview(path: Path) -> None:
    """Draw the first lines or rows of the file at `path`, one tab for each sheet or file in it."""
    st.subheader(t("exports.preview"), anchor=False)
    with shown_errors():
        parts = preview(path)
        if not parts:
            st.caption(t("exports.preview.large"))
            return
        if not parts[0].page:
            st.caption(t("exports.preview.note", rows=ROWS))
        if len(parts) == 1 and not parts[0].name:
            _part(parts[0], key="exports-preview")
            return
        for number, (place, part) in enumerate(zip(st.tabs([plain(one.name) for one in parts]), parts, strict=True)):
            with place:
                _part(part, key=f"exports-preview-{number}")


def _part(part: Preview, *, key: str) -> None:
    if part.page:
        # The frame inside may neither run a script nor reach the desk, whatever stands in the page.
        frame = 'sandbox="" style="border:0;width:100%;height:100vh;background:Canvas"'
        st.iframe(f'<iframe {frame} srcdoc="{escape(part.page)}"></iframe>', height=PAGE_HEIGHT)
    elif part.columns:
        # Two columns may have one name.
        names = {str(number): name for number, name in enumerate(part.columns)}
        st.dataframe(pd.DataFrame(part.rows, columns=list(names)), hide_index=True, column_config=names, key=key)
    else:
        text = "\n".join(part.lines)
        st.code(text, language=None, wrap_lines=True, height=TEXT_HEIGHT if len(text) > LONG else "content")
