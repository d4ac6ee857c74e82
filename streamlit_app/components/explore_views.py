"""The views of the screen that explores findings: each asks the database for its counts and draws them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable

import pandas as pd
import streamlit as st

from core.polarity import polarity
from core.storage import concordance
from core.storage.explore_pairs import edges, together, types_below
from core.storage.explore_queries import Filter, score_bins, text_counts, type_counts, value_counts
from core.storage.queries import RunInfo
from core.storage.search import metadata_keys, metadata_values
from core.types import Annotation
from core.views.cards import POLARITY_COLOURS
from core.views.findings import Triple, base_name, label_name
from streamlit_app.components.annotation_table import table
from streamlit_app.components.charts import PLAIN
from streamlit_app.components.explore_charts import bars, heat, histogram, shares, timeline, type_colours
from streamlit_app.components.explore_context import context_lines, match_table
from streamlit_app.components.explore_dates import UNITS, read_date, series
from streamlit_app.components.explore_empty import POLAR, TREES, nothing_drawn, of_tasks, with_findings
from streamlit_app.components.explore_filter import sample_note, whole
from streamlit_app.components.relation_graph import figure
from streamlit_app.i18n import t
from streamlit_app.resources import application

MOST_TYPES, MOST_WORDS, MOST_ITEMS, MOST_SERIES, MOST_ASPECTS = 25, 30, 12, 8, 20
PAGE = 25
DOCUMENTS_OF_A_WORD = 10
MOST_EDGES = 40


def types_view(chosen: Filter) -> None:
    """How often each type was found, each run beside the other, and the most frequent words."""
    sample_note(chosen)
    found = type_counts(application().database, chosen)
    if nothing(not found, chosen):
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.subheader(t("explore.kinds"), anchor=False)
        totals = Counter[str]()
        for one in found:
            totals[one.type] += one.count
        most = [name for name, _ in totals.most_common(MOST_TYPES)]
        if len(totals) > MOST_TYPES:
            st.caption(t("results.most", shown=MOST_TYPES, count=len(totals)))
        counts = {
            t("explore.run", run=run): [
                (label_name(name), number)
                for name in most
                if (number := sum(one.count for one in found if (one.run_id, one.type) == (run, name)))
            ]
            for run in chosen.runs
        }
        st.plotly_chart(bars(counts), key="explore-types-chart", config=PLAIN, alt=t("chart.counts"))
    with right:
        st.subheader(t("explore.words"), anchor=False)
        words = text_counts(application().database, chosen, limit=MOST_WORDS)
        if not words:
            st.info(t("explore.words.none"), icon=":material/info:")
            return
        rows = [{"text": one.text, "type": one.type, "count": one.count, "documents": one.documents} for one in words]
        table(pd.DataFrame(rows), key="explore-words-table", whole=True)


def scores_view(chosen: Filter) -> None:
    """How the scores are spread, and the mean of each type."""
    sample_note(chosen)
    bins = score_bins(application().database, chosen)
    if nothing(not bins, chosen):
        return
    st.plotly_chart(histogram(bins), key="explore-histogram", config=PLAIN, alt=t("explore.view.scores"))
    rows = [
        {"run_id": one.run_id, "type": one.type, "findings": one.count, "mean": one.score}
        for one in type_counts(application().database, chosen)[: MOST_TYPES * len(chosen.runs)]
    ]
    table(pd.DataFrame(rows), key="explore-scores-table", whole=True)


def together_view(chosen: Filter) -> None:
    """In how many documents two types, or two words, were both found."""
    kinds = {kind: t(f"explore.together.{kind}") for kind in ("types", "words")}
    kind = st.segmented_control(
        t("explore.view.together"), list(kinds), format_func=kinds.__getitem__, default="types", required=True,
        key="explore-together", label_visibility="collapsed", persist_state="session",
    )  # fmt: skip
    sample_note(chosen)
    database = application().database
    if kind == "words":
        items = list(dict.fromkeys(one.text for one in text_counts(database, chosen, limit=MOST_ITEMS + 8)))[
            :MOST_ITEMS
        ]
    else:
        items = list(dict.fromkeys(one.type for one in type_counts(database, chosen)))[:MOST_ITEMS]
    if nothing(not items, chosen):
        return
    pairs = together(database, chosen, **{str(kind): items})
    both = pairs | {(right, left): count for (left, right), count in pairs.items()}
    st.caption(t("explore.together.note", most=MOST_ITEMS))
    st.plotly_chart(heat(items, items, both), key="explore-heat", config=PLAIN, alt=t("explore.view.together"))


def relations_view(chosen: Filter) -> None:
    """The most frequent relations as a graph and as a table."""
    sample_note(chosen)
    found = edges(application().database, chosen, limit=MOST_EDGES)
    if nothing(not found, chosen, "explore.relations.none", fits=of_tasks(TREES)):
        return
    triples = [
        Triple(
            Annotation(one.subject_type, None, None, one.subject, 1.0),
            base_name(one.relation) + (f"×{one.count}" if one.count > 1 else ""),
            Annotation(one.relation, None, None, one.object, one.score),
        )
        for one in found
    ]
    if len(found) == MOST_EDGES:
        st.caption(t("explore.relations.most", shown=MOST_EDGES))
    st.plotly_chart(
        figure(triples, label=lambda one: one.relation),
        key="explore-graph",
        config=PLAIN,
        alt=t("graph.alt", count=len(found)),
    )
    rows = [
        {
            "subject": one.subject, "subject_type": one.subject_type, "relation": base_name(one.relation),
            "object": one.object, "count": one.count, "score": one.score,
        }
        for one in found
    ]  # fmt: skip
    table(pd.DataFrame(rows), key="explore-edges-table")


def time_view(chosen: Filter) -> None:
    """What was found when, by a column of the documents that holds dates."""
    database = application().database
    keys = [key for key in metadata_keys(database) if any(map(read_date, list(metadata_values(database, key))[:20]))]
    if not keys:
        st.info(t("explore.time.none"), icon=":material/lightbulb:")
        return
    units = {"": t("explore.unit.auto")} | {unit: t(f"explore.unit.{unit}") for unit in UNITS}
    left, right, _ = st.columns([2, 2, 4])
    key = left.selectbox(t("explore.time.column"), keys, key="explore-time-key", persist_state="session")
    unit = right.selectbox(
        t("explore.unit"), list(units), format_func=units.__getitem__, key="explore-time-unit", persist_state="session"
    )
    sample_note(chosen)
    found, _, lost = series(value_counts(database, chosen, key=key), unit or None)
    if lost:
        st.caption(t("explore.time.lost", count=lost))
    if nothing(not found, chosen):
        return
    ranked = sorted(found, key=lambda name: -sum(found[name].values()))
    if len(ranked) > MOST_SERIES:
        st.caption(t("results.most", shown=MOST_SERIES, count=len(ranked)))
    shown = {label_name(name): found[name] for name in ranked[:MOST_SERIES]}
    colours = type_colours(list(shown)) | {
        name: POLARITY_COLOURS[which] for name in shown if (which := polarity(name)) is not None
    }
    st.plotly_chart(timeline(shown, colours=colours), key="explore-time", config=PLAIN, alt=t("explore.view.time"))


def polarity_view(chosen: Filter) -> None:
    """Positive against negative: of all findings of each run, and of what people speak of."""
    sample_note(chosen)
    database = application().database
    counted = type_counts(database, chosen)
    pointing = {one.type: which for one in counted if (which := polarity(label_name(one.type)))}
    if nothing(not pointing, chosen, "explore.polarity.none", fits=of_tasks(POLAR)):
        return
    colours = {t(f"polarity.{which}"): colour for which, colour in POLARITY_COLOURS.items()}
    runs: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in counted:
        if one.type in pointing:
            runs[t("explore.run", run=one.run_id)][t(f"polarity.{pointing[one.type]}")] += one.count
    st.plotly_chart(shares(runs, colours=colours), key="explore-polarity", config=PLAIN, alt=t("explore.view.polarity"))
    aspects: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for above, kind, count in types_below(database, chosen, types=list(pointing)):
        aspects[above or t("card.implicit")][t(f"polarity.{pointing[kind]}")] += count
    if aspects:
        st.subheader(t("explore.aspects"), anchor=False)
        most = sorted(aspects, key=lambda name: -aspects[name].total())[:MOST_ASPECTS]
        drawing = shares({name: aspects[name] for name in most}, colours=colours)
        st.plotly_chart(drawing, key="explore-aspects", config=PLAIN, alt=t("explore.aspects"))


def context_view(chosen: Filter) -> None:
    """The findings of the filter, or any word, in their context."""
    word = st.text_input(
        t("explore.word"), key="explore-word", placeholder=t("explore.word.example"), help=t("explore.word.help"),
        persist_state="session",
    ).strip()  # fmt: skip
    database = application().database
    everything = whole(chosen)
    size = DOCUMENTS_OF_A_WORD if word else PAGE
    if word:
        count = concordance.count_word(database, everything, word)
        st.caption(t("explore.word.count", count=f"{count:,}"))
    else:
        sample_note(chosen)
        count = concordance.count_findings(database, chosen)
        st.caption(t("explore.lines.count", count=f"{count:,}"))
    if nothing(not count, chosen):
        return
    offset = page_offset(count, size, "explore-lines-page")
    if word:
        context_lines(concordance.word_lines(database, everything, word, limit=size, offset=offset))
    else:
        context_lines(concordance.find_lines(database, chosen, limit=size, offset=offset))


def documents_view(chosen: Filter) -> None:
    """The documents with findings that the filter means, each with its way to the text and to the review."""
    sample_note(chosen)
    count = concordance.count_matches(application().database, chosen)
    st.caption(t("explore.documents.count", count=f"{count:,}"))
    if nothing(not count, chosen):
        return
    offset = page_offset(count, PAGE, "explore-documents-page")
    found = concordance.find_matches(application().database, chosen, limit=PAGE, offset=offset)
    match_table(found, key="explore-documents-table")


def page_offset(count: int, size: int, key: str) -> int:
    """Draw the pages of a list; where the chosen one begins."""
    pages = -(-count // size)
    return (st.pagination(pages, key=key, persist_state="session") - 1) * size if pages > 1 else 0


def nothing(
    empty: bool,
    chosen: Filter,
    words: str = "explore.nothing.found",
    *,
    fits: Callable[[RunInfo], bool] = with_findings,
) -> bool:
    """Say what to do when there is nothing to draw; whether that is so."""
    if empty:
        nothing_drawn(words, chosen, fits=fits)
    return empty


VIEWS: dict[str, Callable[[Filter], None]] = {
    "types": types_view,
    "scores": scores_view,
    "together": together_view,
    "relations": relations_view,
    "time": time_view,
    "polarity": polarity_view,
    "context": context_view,
    "documents": documents_view,
}
