"""Keep the opened page on the screen when a timer of the page before it fires late.

A part that draws itself anew asks in the name of the page that the browser believes it shows. Asked between a change
of pages by the server and the browser's hearing of it, that is the page before: the browser is then told that it is
back there, wipes the screen, and nothing but that part is drawn.
"""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

OPENED = "desk-opened"
"""Where the session keeps the page that was run whole last: Streamlit's mark of it and our name."""


def remember_page(name: str) -> None:
    """Note the page that is run; once in each run of the whole page."""
    st.session_state[OPENED] = (_asked_for(), name)


def bring_back() -> None:
    """Open the page that was run last if this part is asked for in the name of another; first in the part."""
    mark, name = st.session_state.get(OPENED, (None, ""))
    if mark is not None and mark != _asked_for():
        st.switch_page(f"../pages/{name}.py")


def _asked_for() -> str:
    context = get_script_run_ctx()
    return context.page_script_hash if context is not None else ""
