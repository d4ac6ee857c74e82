"""The report of the overview on the screen and as a file: figures on top, then a part for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from core.schemas.schema import Schema
from core.storage.queries import RunInfo
from core.tasks import TASKS
from core.types import AnnotatedDocument
from core.views.figures import figure_tiles
from core.views.report import report_page
from streamlit_app.components.drawing import draw_finding, draw_text
from streamlit_app.components.messages import plain
from streamlit_app.components.relation_arcs import relation_arcs
from streamlit_app.i18n import language, t, title

WHOLE = ("ner", "re")
"""Tasks whose part takes the whole width."""
LEFT = ("ee", "mrc", "coref")
COLUMNS = 70
"""Chinese characters on a line of arcs over the whole width of a screen of 1440 pixels."""
MARKED = ("ner", "mrc", "coref")
"""Tasks that show the text itself."""


def overview_report(found: Sequence[AnnotatedDocument], *, schemas: Mapping[str, Schema]) -> None:
    """Draw what every task found in one text; `schemas` is what each was asked."""
    st.html(figure_tiles(found, t, titles=task_titles(found)))
    for result in found:
        if result.task in WHOLE:
            _part(result, schemas.get(result.task))
    # Two columns read like a page: events and answers on the left, opinions and classes on the right.
    columns = st.columns(2, gap="medium")
    for result in found:
        if result.task not in WHOLE:
            with columns[result.task not in LEFT]:
                _part(result, schemas.get(result.task))


def report_download(found: Sequence[AnnotatedDocument], *, schemas: Mapping[str, Schema], job: RunInfo) -> None:
    """A button for the report as one HTML file, made when it is pressed."""
    words, titles, code = t, task_titles(found), language()
    facts = [
        t("report.characters", count=f"{len(found[0].document.text):,}") if found else "",
        t("report.model", model=job.model, revision=job.revision or "—", threshold=job.threshold),
        f"{job.started_at.astimezone():%Y-%m-%d %H:%M}",
    ]

    def data() -> bytes:
        page = report_page(found, titles=titles, schemas=schemas, word=words, language=code, facts=facts)
        return page.encode("utf-8", errors="xmlcharrefreplace")

    st.download_button(
        t("report.download"),
        data=data,
        file_name="overview.html",
        mime="text/html",
        icon=":material/article:",
        key="overview-report",
        help=t("report.download.help"),
        disabled=not found,
        on_click="ignore",
    )


def task_titles(found: Sequence[AnnotatedDocument]) -> dict[str, str]:
    """The names of the tasks in the language of the session."""
    return {one.task: title(TASKS[one.task].title_zh, TASKS[one.task].title_en) for one in found}


def _part(result: AnnotatedDocument, schema: Schema | None) -> None:
    key = f"overview-{result.task}"
    with st.container(border=True):
        st.subheader(task_titles([result])[result.task], anchor=False)
        if result.error:
            st.error(plain(result.error), icon=":material/error:")
        elif not result.annotations and not result.candidates:
            st.caption(t("overview.nothing"))
        else:
            if result.task == "re":
                relation_arcs(result, key=key, columns=COLUMNS)
            elif result.task in MARKED:
                draw_text(result, schema=schema, key=key)
            draw_finding(result, schema=schema, key=key)
