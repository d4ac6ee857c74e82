"""Two texts: do they mean the same, and does one follow from the other?"""

from __future__ import annotations

from streamlit_app.components.document_input import pair_input
from streamlit_app.components.heading import heading
from streamlit_app.components.task_choice import task_choice
from streamlit_app.components.task_page import task_page

heading("matching")
task_page(task_choice("matching", ["matching", "nli"]), inputs=pair_input)
