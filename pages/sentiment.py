"""Sentiment of a whole text."""

from __future__ import annotations

from streamlit_app.components.heading import heading
from streamlit_app.components.task_page import task_page

heading("sentiment")
task_page("sentiment")
