"""Fetching a checkpoint from ModelScope: which one, how far it is, and what a stopped download has left."""

from __future__ import annotations

import streamlit as st

from core import model_services
from core.bootstrap import Application
from core.checkpoints.work import Work
from core.config import OFFICIAL_MODEL
from streamlit_app.components.gpu_gauge import size
from streamlit_app.components.messages import plain, shown_errors
from streamlit_app.components.model_work import ended_badly, follow_work, told
from streamlit_app.i18n import t


def model_download(app: Application) -> None:
    """Draw the form, the progress, and what is there half."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        with st.form("models-download", border=True):
            st.session_state.setdefault("models-id", OFFICIAL_MODEL)
            st.session_state.setdefault("models-revision", "master")
            name = st.text_input(t("models.id"), key="models-id", help=t("models.id.help"))
            revision = st.text_input(t("models.revision"), key="models-revision", help=t("models.revision.help"))
            if st.form_submit_button(t("models.download"), type="primary", icon=":material/download:"):
                with shown_errors():
                    app.works.forget(model_services.DOWNLOAD)
                    model_services.start_download(app, name, revision)
        work = follow_work(app, model_services.DOWNLOAD, key="models-download", words=_words)
        if work is not None and not ended_badly(work):
            st.success(t("models.downloaded", name=plain(work.about)), icon=":material/check_circle:")
            st.button(
                t("models.use"), key="models-download-use", icon=":material/swap_horiz:", type="primary",
                disabled=app.settings.model_source == work.result, on_click=_use, args=(app, work.result),
            )  # fmt: skip
        _partial(app)
    with right:
        st.markdown(t("models.download.about"))
        st.markdown(t("models.download.offline"))
        st.code(
            f"modelscope download --model {OFFICIAL_MODEL} --revision master --local_dir DIR\n"
            "python -m core models use DIR",
            language="shell",
            wrap_lines=True,
        )


def _partial(app: Application) -> None:
    for one in model_services.installed_checkpoints(app):
        if one.complete:
            continue
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(t("models.left", name=plain(one.source), size=size(one.size_bytes)))
            st.button(
                t("models.resume"), key=f"models-resume-{one.source}", icon=":material/play_circle:",
                on_click=_resume, args=(app, one.name, one.revision),
            )  # fmt: skip
            st.button(
                t("models.discard"), key=f"models-discard-{one.source}", icon=":material/delete:",
                on_click=told, args=(model_services.discard_download, app, one.source),
            )  # fmt: skip


def _words(work: Work) -> str:
    done, total = work.progress.done, work.progress.total
    if not total:
        return t("models.asking", name=work.about)
    return t("models.downloading", name=work.about, done=size(done), total=size(total), file=work.progress.what)


def _resume(app: Application, name: str, revision: str) -> None:
    app.works.forget(model_services.DOWNLOAD)
    told(model_services.start_download, app, name, revision)


def _use(app: Application, source: str) -> None:
    told(model_services.use_checkpoint, app, source)
