"""The text of a document with its findings marked."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.rendering import STYLES, highlight
from core.types import Annotation


def annotated_text(text: str, annotations: Sequence[Annotation]) -> None:
    """Draw `text` with `annotations`; everything of the user's is escaped by the renderer."""
    with st.container(border=True):
        st.html(f"{STYLES}{highlight(text, annotations)}")
