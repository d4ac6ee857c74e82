"""Coreference: which word a pronoun stands for."""

from __future__ import annotations

from streamlit_app.components.coreference_input import coreference_input
from streamlit_app.components.heading import heading
from streamlit_app.components.task_page import task_page

heading("coreference")
task_page("coref", inputs=coreference_input)
