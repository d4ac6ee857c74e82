"""The machine against the corrections: how right it was for each type, and what it took for what."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import services
from core.evaluation.corrections import NOTHING, Quality
from core.storage import queries
from core.storage.explore_queries import Filter
from core.views.findings import label_name
from streamlit_app.components.charts import PLAIN
from streamlit_app.components.explore_charts import heat
from streamlit_app.components.explore_empty import nothing_drawn, reviewed
from streamlit_app.i18n import t
from streamlit_app.resources import application

MOST_TYPES = 20


def quality_view(chosen: Filter) -> None:
    """Precision, recall and F1 of each type on the reviewed documents of the chosen runs, and the confusion."""
    app = application()
    total = sum(queries.get_run(app.database, run).done for run in chosen.runs)
    with st.spinner(t("task.working")):
        quality = services.judge_runs(app, chosen.runs)
    if not quality.documents:
        nothing_drawn("explore.quality.none", chosen, fits=reviewed())
        return
    st.caption(t("explore.quality.note", documents=quality.documents, total=total))
    scores = quality.total
    for place, (name, value) in zip(
        st.columns(5),
        {
            "precision": f"{scores.precision:.3f}",
            "recall": f"{scores.recall:.3f}",
            "f1": f"{scores.f1:.3f}",
            "exact": f"{scores.accuracy:.1%}",
            "documents": str(quality.documents),
        }.items(),
        strict=True,
    ):
        place.metric(t(f"explore.{name}"), value, border=True)
    left, right = st.columns([5, 6], gap="medium")
    with left:
        st.subheader(t("explore.quality.types"), anchor=False)
        _scores(quality)
    with right:
        st.subheader(t("explore.quality.confusion"), anchor=False)
        _confusion(quality)


def _scores(quality: Quality) -> None:
    rows = [
        {
            "type": label_name(name),
            "precision": one.precision,
            "recall": one.recall,
            "f1": one.f1,
            "corrected": one.gold,
            "machine": one.predicted,
        }
        for name, one in sorted(quality.by_type.items(), key=lambda item: -item[1].gold)
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height="content",
        key="explore-quality-table",
        column_config={
            "type": t("column.type"),
            **{
                name: st.column_config.ProgressColumn(
                    t(f"explore.{name}"), min_value=0, max_value=1, format="%.2f", width=82
                )
                for name in ("precision", "recall", "f1")
            },
            "corrected": st.column_config.NumberColumn(t("explore.corrected"), format="%d", width=52),
            "machine": st.column_config.NumberColumn(t("explore.machine"), format="%d", width=52),
        },
    )


def _confusion(quality: Quality) -> None:
    weight: dict[str, int] = {}
    for pair, count in quality.confusion.items():
        for name in pair:
            weight[name] = weight.get(name, 0) + count
    names = sorted((name for name in weight if name != NOTHING), key=lambda name: -weight[name])
    if len(names) > MOST_TYPES:
        st.caption(t("results.most", shown=MOST_TYPES, count=len(names)))
    shown = [*names[:MOST_TYPES], NOTHING]
    drawing = heat(shown, shown, quality.confusion, x=t("explore.corrected"), y=t("explore.machine"))
    st.plotly_chart(drawing, key="explore-confusion", config=PLAIN, alt=t("explore.quality.confusion"))
