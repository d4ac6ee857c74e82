"""Aspect sentiment: the attitude towards given aspects, or towards those found."""

from __future__ import annotations

from streamlit_app.components.document_input import aspect_input
from streamlit_app.components.heading import heading
from streamlit_app.components.task_page import task_page

heading("aspect_sentiment")
task_page("atsc", inputs=aspect_input)
