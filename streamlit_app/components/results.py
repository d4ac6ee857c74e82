"""Results of one or many documents: figures, pages to leaf through, one table of all, downloads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.schemas.schema import Schema
from core.thresholds import at_threshold
from core.types import AnnotatedDocument
from core.views.findings import label_name, walk
from streamlit_app.components.annotation_table import annotation_table
from streamlit_app.components.candidates import revealed_candidates, why_empty
from streamlit_app.components.charts import class_sunburst, count_bars
from streamlit_app.components.downloads import downloads
from streamlit_app.components.drawing import draw
from streamlit_app.components.messages import plain
from streamlit_app.i18n import t

MOST_TYPES = 25
_NOTHING = {"coref": "results.nothing.coref"}
"""What is said where nothing was found, as far as it is not the schema that can be changed."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How results are looked at: `asked` is the threshold of the run, `threshold` that of the screen.

    With a `task`, the fields of its page can be changed from here.
    """

    asked: float
    threshold: float
    task: str | None = None


def results(stored: Sequence[AnnotatedDocument], *, schema: Schema | None, name: str, key: str, shown: Shown) -> None:
    """Draw what stands of `stored`, all of one task asked with `schema`; `name` begins the names of files."""
    found = [at_threshold(one, shown.threshold) for one in stored] if shown.threshold > shown.asked else stored
    total = sum(1 for result in found for _ in walk(result.annotations))
    head, buttons = st.columns([2, 3], vertical_alignment="center")
    windows = sum(result.windows for result in found)
    head.markdown(t("results.count", documents=len(found), findings=total, windows=windows))
    with buttons:
        downloads(found, name=name, key=key)
    if len(found) == 1:
        _one(found[0], schema=schema, key=key, shown=shown)
        return
    # Only the chosen view is drawn: a table of thousands of rows should not be made for nobody.
    views = {view: t(f"results.view.{view}") for view in ("each", "all", "summary")}
    view = st.segmented_control(
        t("results.view"),
        list(views),
        format_func=views.__getitem__,
        default="each",
        required=True,
        key=f"{key}-view",
        label_visibility="collapsed",
    )
    if view == "each":
        number = st.pagination(len(found), key=f"{key}-page")
        result = found[number - 1]
        st.caption(t("results.document", number=number, id=plain(result.document.id or result.document.name or "—")))
        _one(result, schema=schema, key=f"{key}-{number}", shown=shown)
    elif view == "all":
        annotation_table(found, key=f"{key}-all")
    else:
        _summary(found, key=key)


def _one(result: AnnotatedDocument, *, schema: Schema | None, key: str, shown: Shown) -> None:
    for note in result.notes:
        st.info(plain(note), icon=":material/info:")
    if result.error:
        st.error(plain(result.error), icon=":material/error:")
    revealed_candidates(result, threshold=shown.threshold, asked=shown.asked)
    if not result.annotations and not result.error and not _why(result, schema=schema, key=key, shown=shown):
        st.info(t(_NOTHING.get(result.task, "results.nothing")), icon=":material/search_off:")
    draw(result, schema=schema, key=key)
    if result.annotations:
        _why(result, schema=schema, key=key, shown=shown)


def _why(result: AnnotatedDocument, *, schema: Schema | None, key: str, shown: Shown) -> bool:
    return why_empty(result, schema=schema, threshold=shown.threshold, asked=shown.asked, task=shown.task, key=key)


def _summary(found: Sequence[AnnotatedDocument], *, key: str) -> None:
    nodes = [node for result in found for node in walk(result.annotations)]
    if not nodes:
        st.info(t("results.nothing"), icon=":material/search_off:")
        return
    if found[0].task == "hierarchy":
        class_sunburst(found, key=f"{key}-sunburst")
    counts = Counter(
        label_name(node.annotation.type) if node.annotation.start is None else node.annotation.type for node in nodes
    ).most_common()
    if len(counts) > MOST_TYPES:
        st.caption(t("results.most", shown=MOST_TYPES, count=len(counts)))
    count_bars(counts[:MOST_TYPES], key=f"{key}-counts")
