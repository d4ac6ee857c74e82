"""Relations: who or what stands in which relation to whom."""

from __future__ import annotations

from streamlit_app.components.heading import heading
from streamlit_app.components.task_page import task_page

heading("relations")
task_page("re")
