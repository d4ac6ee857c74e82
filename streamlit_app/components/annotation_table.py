"""Findings as tables with scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from core.types import AnnotatedDocument, Annotation
from core.views.classes import ClassScore, class_scores
from core.views.findings import label_name, triples, walk
from streamlit_app.i18n import t

PAIRS = ("matching", "nli")


def annotation_table(results: Sequence[AnnotatedDocument], *, key: str) -> None:
    """One row a finding; with several documents each row says whose it is, and a document without any has a row.

    Pairs of texts have a row each, with both texts and what they are to one another.
    """
    if results and all(result.task in PAIRS for result in results):
        pair_table(results, key=key)
        return
    rows: list[dict[str, str | float | None]] = []
    for number, result in enumerate(results, 1):
        document: dict[str, str | float | None] = {"document": result.document.id or str(number)}
        nodes = list(walk(result.annotations))
        if not nodes:
            rows.append({**document, "text": t("table.none")})
        for node in nodes:
            one = node.annotation
            rows.append(
                {
                    **document,
                    "type": label_name(one.type) if one.start is None else one.type,
                    "text": one.text,
                    "start": one.start,
                    "end": one.end,
                    "score": one.score,
                    "above": _name(node.above),
                }
            )
    names = ["type", "text", "score", "above", "start", "end"]
    frame = pd.DataFrame(rows, columns=["document", *names])
    for empty in ("above", "start", "end", "text"):
        if frame[empty].isna().all() or (frame[empty] == "").all():
            names.remove(empty)
    table(frame[["document", *names] if len(results) > 1 else names], key=key)


def pair_table(results: Sequence[AnnotatedDocument], *, key: str) -> None:
    """Both texts of a pair, the verdict and its score, and the scores of all verdicts as far as they are known."""
    rows = []
    for number, result in enumerate(results, 1):
        scores = class_scores(result)
        verdict = next((one for one in scores if one.found), None)
        rows.append(
            {
                "document": result.document.id or str(number),
                "text": result.document.text,
                "text_pair": result.document.text_pair or "",
                "verdict": label_name(verdict.path[-1]) if verdict else result.error or t("table.none"),
                "score": verdict.score if verdict else None,
                "near": "；".join(
                    f"{label_name(one.path[-1])} {one.score:.3f}" for one in scores if one.score is not None
                ),
            }
        )
    table(pd.DataFrame(rows), key=key)


def _scores(scores: Sequence[ClassScore]) -> str:
    return "；".join(f"{label_name(one.path[-1])} {one.score:.3f}" for one in scores if one.score is not None)


def _name(above: Sequence[Annotation]) -> str | None:
    if not above:
        return None
    return f"{above[-1].type}：{above[-1].text}" if above[-1].text else above[-1].type


def triple_table(result: AnnotatedDocument, *, key: str) -> None:
    """Subject, relation, object and score, a row a relation."""
    rows = [
        {
            "subject": one.subject.text,
            "subject_type": one.subject.type,
            "relation": one.relation,
            "object": one.object.text,
            "score": one.object.score,
        }
        for one in triples(result)
    ]
    if rows:
        table(pd.DataFrame(rows), key=key)


def pronoun_table(result: AnnotatedDocument, *, key: str) -> None:
    """Pronoun, candidate and whether they are the same, a row a pair."""
    rows = [
        {"pronoun": one.text, "start": one.start, "candidate": word.text, "verdict": one.type, "score": one.score}
        for one in result.annotations
        for word in one.children
    ]
    if rows:
        table(pd.DataFrame(rows), key=key)


PATH, DEFAULT = 230, 165
"""The width of a column that may hold the path of a directory, in pixels."""


def table(frame: pd.DataFrame, *, key: str, whole: bool = False, on_select: Callable[[], None] | None = None) -> None:
    """A frame with translated headings; scores are bars. It scrolls unless it is to be `whole`.

    `on_select` is called when a row is selected; which, is at `st.session_state[key].selection.rows`.
    """
    special = {
        "score": st.column_config.ProgressColumn(t("column.score"), min_value=0, max_value=1, format="%.3f"),
        "mean": st.column_config.ProgressColumn(t("column.mean"), min_value=0, max_value=1, format="%.3f"),
        "start": st.column_config.NumberColumn(t("column.start"), width="small", format="%d"),
        "end": st.column_config.NumberColumn(t("column.end"), width="small", format="%d"),
        "value": st.column_config.TextColumn(t("column.value"), width=PATH),
        "default": st.column_config.TextColumn(t("column.default"), width=DEFAULT),
        "meaning": st.column_config.TextColumn(t("column.meaning"), width="large"),
        "seconds": st.column_config.NumberColumn(t("column.seconds"), width="small", format="%.2f"),
        "started": st.column_config.DatetimeColumn(t("column.started"), format="YYYY-MM-DD HH:mm:ss"),
        "created": st.column_config.DatetimeColumn(t("column.created"), format="YYYY-MM-DD HH:mm:ss"),
    }
    st.dataframe(
        frame,
        hide_index=True,
        column_config={name: special.get(name, t(f"column.{name}")) for name in frame.columns},
        placeholder="",
        height="content" if whole else "auto",
        key=key,
        on_select=on_select or "ignore",
        selection_mode="single-row",
    )
