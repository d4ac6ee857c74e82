"""Events: what happened, with who, when and where."""

from __future__ import annotations

from streamlit_app.components.heading import heading
from streamlit_app.components.task_page import task_page

heading("events")
task_page("ee")
