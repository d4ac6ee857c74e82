"""Choosing the findings to explore: runs, types, words, scores, metadata; and whether a sample of them will do."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.storage import queries
from core.storage.explore_queries import Filter, document_count, type_counts
from core.storage.search import metadata_keys, metadata_values
from core.tasks import TASKS
from streamlit_app.components import address
from streamlit_app.i18n import t, title
from streamlit_app.resources import application

SAMPLE = 2000
"""Documents that are counted at once; of a larger corpus every n-th is taken unless all are asked for."""
MOST_RUNS = 200


def run_label(run: queries.RunInfo) -> str:
    """A run in a list of choices."""
    task = title(TASKS[run.task].title_zh, TASKS[run.task].title_en) if run.task in TASKS else run.task
    return f"{run.id} · {task} · {run.started_at.astimezone():%m-%d %H:%M}"


def explore_filter(runs: Sequence[queries.RunInfo]) -> Filter | None:
    """Draw the choices; the filter, or None when no run is chosen."""
    labels = {run.id: run_label(run) for run in runs}
    _first_choice(labels)
    left, right = st.columns(2)
    chosen = left.multiselect(
        t("explore.runs"), list(labels), format_func=labels.__getitem__, key="explore-runs", persist_state="session"
    )
    if not chosen:
        st.info(t("explore.runs.none"), icon=":material/lightbulb:")
        return None
    every = _every(chosen)
    counted = type_counts(application().database, Filter(tuple(chosen), every=every))
    known = list(dict.fromkeys(one.type for one in counted))
    picked = [name for name in st.session_state.get("explore-types", ()) if name in known]
    st.session_state["explore-types"] = picked
    types = right.multiselect(
        t("explore.types"), known, key="explore-types", placeholder=t("explore.types.all"), persist_state="session"
    )
    words, scores, key, value = st.columns([3, 3, 2, 2])
    contains = words.text_input(
        t("explore.contains"),
        key="explore-contains",
        placeholder=t("explore.contains.example"),
        persist_state="session",
    )
    lowest, highest = scores.slider(
        t("explore.scores"), 0.0, 1.0, (0.0, 1.0), 0.01, key="explore-scores", persist_state="session"
    )
    metadata = _metadata(key, value)
    return Filter(tuple(chosen), tuple(types), contains.strip(), lowest, highest, metadata, every)


def sample_note(chosen: Filter) -> None:
    """Say what the figures below were counted on, and offer to count everything."""
    count = document_count(application().database, chosen.runs)
    if count <= SAMPLE:
        return
    note, switch = st.columns([4, 1], vertical_alignment="center")
    if chosen.every > 1:
        note.caption(t("explore.sample", every=chosen.every, count=f"{count:,}"))
    else:
        note.caption(t("explore.whole", count=f"{count:,}"))
    switch.toggle(t("explore.all"), key="explore-all", persist_state="session")


def clear_filters() -> None:
    """Ask for every type, word, score and value again; only in a callback."""
    st.session_state["explore-types"] = []
    st.session_state["explore-contains"] = ""
    st.session_state["explore-scores"] = (0.0, 1.0)
    st.session_state["explore-key"] = st.session_state["explore-value"] = None


def whole(chosen: Filter) -> Filter:
    """The same filter over every document."""
    return Filter(chosen.runs, chosen.types, chosen.contains, chosen.lowest, chosen.highest, chosen.metadata)


def _first_choice(labels: dict[int, str]) -> None:
    """The runs of the address, or the newest one, on the first visit; runs that are gone leave the choice."""
    given = address.arrived("explore")
    wanted = [number for part in given.get("run", "").split(",") if (number := address.number(part)) in labels]
    if wanted:
        st.session_state["explore-runs"] = wanted
    if given.get("view"):
        st.session_state["explore-view"] = given["view"]
    known = st.session_state.get("explore-runs")
    st.session_state["explore-runs"] = (
        list(labels)[:1] if known is None else [number for number in known if number in labels]
    )


def _every(runs: Sequence[int]) -> int:
    if st.session_state.get("explore-all"):
        return 1
    every = -(-document_count(application().database, tuple(runs)) // SAMPLE)
    # An odd step does not fall in with documents that come in pairs.
    return every + (every > 1 and every % 2 == 0)


def _metadata(key_place: DeltaGenerator, value_place: DeltaGenerator) -> tuple[tuple[str, str], ...]:
    database = application().database
    keys = list(metadata_keys(database))
    if st.session_state.get("explore-key") not in keys:
        st.session_state["explore-key"] = None
    key = key_place.selectbox(
        t("explore.metadata"), keys, key="explore-key", index=None, placeholder=t("explore.any"), disabled=not keys,
        persist_state="session",
    )  # fmt: skip
    values = metadata_values(database, key) if key else {}
    if st.session_state.get("explore-value") not in values:
        st.session_state["explore-value"] = None
    value = value_place.selectbox(
        t("explore.value"), list(values), key="explore-value", index=None, placeholder=t("explore.any"),
        format_func=lambda one: f"{one} ({values[one]})", disabled=not key, persist_state="session",
    )  # fmt: skip
    return ((key, value),) if key and value is not None else ()
