"""Work on checkpoints in the background: its bar, its way out, and what became of it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.bootstrap import Application
from core.checkpoints.work import CANCELLED, FAILED, RUNNING, Work
from core.errors import RexError
from streamlit_app.components.messages import plain
from streamlit_app.i18n import t

EVERY_S = 0.5
PATIENCE_S = 1.0


def follow_work(app: Application, name: str, *, key: str, words: Callable[[Work], str]) -> Work | None:
    """The last work of a name, when it has ended; while it runs, draws its progress and runs the page at its end."""
    work = app.works.last(name)
    if work is None or (work.state != RUNNING or work.wait(PATIENCE_S)):
        return work

    @st.fragment(run_every=EVERY_S)
    def follow() -> None:
        if work.state != RUNNING:
            st.rerun()
        st.progress(work.progress.share, text=plain(words(work)))
        if work.cancelled():
            st.caption(t("models.stopping"))
        else:
            st.button(t("job.cancel"), key=f"{key}-cancel", icon=":material/stop_circle:", on_click=work.cancel)

    follow()
    return None


def ended_badly(work: Work) -> bool:
    """Say why a work has no result; whether that is so."""
    if work.state == FAILED:
        st.error("  \n".join(plain(line) for line in work.error.splitlines()), icon=":material/error:")
    elif work.state == CANCELLED:
        st.warning(t("models.cancelled"), icon=":material/block:")
    return work.state in (FAILED, CANCELLED)


def millions(parameters: int | None) -> str:
    """A number of weights, in the unit of the language of the session."""
    return t("models.millions", millions=parameters / 1e6) if parameters else "—"


def told(action: Callable[..., object], *arguments: object) -> None:
    """Do something; what the product refuses is told in passing."""
    try:
        action(*arguments)
    except RexError as error:
        st.toast(plain(str(error)), icon=":material/error:")
