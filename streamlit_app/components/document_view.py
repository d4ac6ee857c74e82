"""One stored document in full: its text, its metadata, what each run found in it, and what can be done with it."""

from __future__ import annotations

import streamlit as st

from core import services
from core.bootstrap import Application
from core.errors import RexError
from core.storage import queries
from core.storage.search import Search
from core.tasks import TASKS
from core.types import Document
from streamlit_app.components.cards import quote
from streamlit_app.components.drawing import draw
from streamlit_app.components.messages import plain, show_error, shown_errors
from streamlit_app.components.task_pages import TASK_PAGES, hand_over
from streamlit_app.i18n import t, title


def document_view(app: Application, asked: str, *, place: str, search: Search) -> None:
    """Draw the document whose number `asked` came with the address; closing it empties `place` in the session.

    The next and the previous one are those of the list that `search` finds.
    """

    def turn_to(number: int | None) -> None:
        st.session_state[place] = None if number is None else str(number)

    try:
        document = queries.get_document(app.database, int(asked) if asked.isdecimal() and len(asked) < 18 else 0)
    except RexError as error:
        show_error(error)
        return
    identifier = int(asked)
    head = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
    head.subheader(plain(t("documents.one", number=identifier, id=document.id or document.name or "")), anchor=False)
    buttons = head.container(horizontal=True, width="content", gap="small")
    before, behind = queries.neighbours(app.database, identifier, search)
    for name, number, key in (("previous", before, "P"), ("next", behind, "N")):
        buttons.button(
            t(f"documents.{name}"),
            key=f"documents-{name}",
            disabled=number is None,
            shortcut=key,
            on_click=turn_to,
            args=(number,),
        )
    buttons.button(t("documents.close"), key="documents-close", icon=":material/close:", on_click=turn_to, args=(None,))
    facts = [document.name, t("documents.characters", count=f"{len(document.text):,}")]
    facts += [f"{name}：{value}" for name, value in document.metadata.items() if value]
    st.caption(plain(" · ".join(fact for fact in facts if fact)))
    _findings(app, document, identifier)
    _actions(app, document, identifier, place=place)


def _findings(app: Application, document: Document, identifier: int) -> None:
    """The text as the newest or the chosen run marked it; alone when none has read it."""
    runs = {run.id: run for run in queries.runs_of_document(app.database, identifier)}
    if not runs:
        quote(document.text)
        if document.text_pair:
            quote(document.text_pair)
        st.caption(t("documents.no_runs"))
        return

    def label(run_id: int) -> str:
        run = runs[run_id]
        task = title(TASKS[run.task].title_zh, TASKS[run.task].title_en) if run.task in TASKS else run.task
        return f"{run_id} · {task} · {run.model} · {run.started_at.astimezone():%Y-%m-%d %H:%M}"

    chosen = st.selectbox(
        t("documents.run"),
        list(runs),
        format_func=label,
        key=f"documents-run-{identifier}",
        width=560,
        persist_state="session",
    )
    result = queries.load_result(app.database, chosen, identifier)
    if result is None:
        quote(document.text)
        return
    for note in filter(None, (*result.notes, result.error)):
        st.info(plain(note), icon=":material/info:")
    draw(result, schema=None, key=f"documents-{identifier}-{chosen}")
    if not result.annotations:
        st.caption(t("results.nothing"))


def _actions(app: Application, document: Document, identifier: int, *, place: str) -> None:
    titles = {name: title(TASKS[name].title_zh, TASKS[name].title_en) for name in TASK_PAGES}
    row = st.container(horizontal=True, vertical_alignment="bottom")
    row.selectbox(
        t("documents.analyse"),
        list(titles),
        format_func=titles.__getitem__,
        key="documents-task",
        width=240,
        persist_state="session",
    )
    row.button(
        t("documents.go"),
        key="documents-go",
        icon=":material/play_arrow:",
        on_click=lambda: hand_over(st.session_state["documents-task"], document),
    )
    with row.popover(t("documents.delete"), icon=":material/delete:"):
        st.markdown(t("documents.delete.sure"))
        if st.button(t("documents.delete.yes"), key=f"documents-delete-{identifier}", type="primary"):
            with shown_errors():
                services.delete_document(app, identifier)
                st.session_state[place] = None
                st.rerun()
