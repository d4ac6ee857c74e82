"""Reading comprehension: questions answered from the text, or by one of several options."""

from __future__ import annotations

from streamlit_app.components.heading import heading
from streamlit_app.components.question_editor import question_editor
from streamlit_app.components.task_page import task_page

heading("reading")
task_page("mrc", ask=question_editor)
