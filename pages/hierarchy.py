"""Classification in levels: a broad class, then a narrower one."""

from __future__ import annotations

from streamlit_app.components.heading import heading
from streamlit_app.components.task_page import task_page

heading("hierarchy")
task_page("hierarchy")
