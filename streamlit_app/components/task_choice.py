"""Choosing between two tasks that share a page."""

from __future__ import annotations

import streamlit as st

from streamlit_app.components import address
from streamlit_app.i18n import t


def task_choice(page: str, tasks: list[str]) -> str:
    """Draw the choice; the name of the chosen task, the first one to begin with."""
    labels = {task: t(f"task.{task}") for task in tasks}
    asked = st.query_params.get("task", "")
    if asked in tasks and address.is_new(asked):
        st.session_state[f"{page}-task"] = asked
    st.session_state.setdefault(f"{page}-task", tasks[0])
    chosen = st.segmented_control(
        t("task.choice"),
        tasks,
        format_func=labels.__getitem__,
        required=True,
        key=f"{page}-task",
        label_visibility="collapsed",
        persist_state="session",
    )
    return chosen or tasks[0]
