"""Classification into one class, or into all that apply."""

from __future__ import annotations

from streamlit_app.components.heading import heading
from streamlit_app.components.task_choice import task_choice
from streamlit_app.components.task_page import task_page

heading("classification")
task_page(task_choice("classification", ["classification", "multilabel"]))
