"""Opinions: which aspect is called what, and whether that is good or bad."""

from __future__ import annotations

from streamlit_app.components.heading import heading
from streamlit_app.components.task_page import task_page

heading("aspects")
task_page("absa")
