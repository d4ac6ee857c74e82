"""Findings as tables with scores."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.types import AnnotatedDocument
from streamlit_app.components.findings import label_name, triples, walk
from streamlit_app.i18n import t

ROW = 35
MAX_HEIGHT = 420


def annotation_table(results: Sequence[AnnotatedDocument], *, key: str) -> None:
    """One row a finding; with several documents each row says whose it is, and a document without any has a row."""
    rows = []
    for number, result in enumerate(results, 1):
        document = {"document": result.document.id or str(number)}
        nodes = list(walk(result.annotations))
        if not nodes:
            rows.append({**document, "text": t("table.none")})
        for node in nodes:
            one, parent = node.annotation, node.above[-1] if node.above else None
            rows.append(
                {
                    **document,
                    "type": label_name(one.type) if one.start is None else one.type,
                    "text": one.text,
                    "start": one.start,
                    "end": one.end,
                    "score": one.score,
                    "above": f"{parent.type}：{parent.text}" if parent and parent.text else parent and parent.type,
                }
            )
    names = ["type", "text", "score", "above", "start", "end"]
    frame = pd.DataFrame(rows, columns=["document", *names])
    for empty in ("above", "start", "end", "text"):
        if frame[empty].isna().all() or (frame[empty] == "").all():
            names.remove(empty)
    table(frame[["document", *names] if len(results) > 1 else names], key=key)


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


def table(frame: pd.DataFrame, *, key: str) -> None:
    """A frame with translated headings; `score` is a bar, `start` and `end` are whole numbers."""
    special = {
        "score": st.column_config.ProgressColumn(t("column.score"), min_value=0, max_value=1, format="%.3f"),
        "start": st.column_config.NumberColumn(t("column.start"), width="small", format="%d"),
        "end": st.column_config.NumberColumn(t("column.end"), width="small", format="%d"),
    }
    st.dataframe(
        frame,
        hide_index=True,
        height=min(ROW * (len(frame) + 1) + 3, MAX_HEIGHT),
        column_config={name: special.get(name, t(f"column.{name}")) for name in frame.columns},
        key=key,
    )
