"""Entities: names, places, amounts and any other type, marked in the text."""

from __future__ import annotations

from streamlit_app.components.heading import heading
from streamlit_app.components.task_page import task_page

heading("entities")
task_page("ner")
