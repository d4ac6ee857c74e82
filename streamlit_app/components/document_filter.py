"""Choose documents by their metadata: a key, then some of its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st
from sqlalchemy import Engine

from core.storage.search import metadata_keys, metadata_values
from streamlit_app.i18n import t


def document_filter(database: Engine, *, key: str) -> dict[str, list[str]]:
    """Draw the two choices; what documents must have, empty when nothing is chosen or there is no metadata."""
    keys = metadata_keys(database)
    if not keys:
        return {}
    name = st.selectbox(
        t("documents.filter.key"),
        list(keys),
        index=None,
        placeholder=t("documents.filter.none"),
        format_func=lambda one: f"{one}（{keys[one]:,}）",
        key=f"{key}-filter-key",
        width=240,
        persist_state="session",
    )
    if name is None:
        return {}
    values = metadata_values(database, name)
    chosen = st.multiselect(
        t("documents.filter.values"),
        list(values),
        format_func=lambda one: f"{one or '—'}（{values[one]:,}）",
        placeholder=t("choose"),
        key=f"{key}-filter-values-{name}",
        width=360,
        persist_state="session",
    )
    return {name: chosen} if chosen else {}


def choose_filter(key: str, metadata: Mapping[str, Sequence[str]]) -> None:
    """Have the filter of `key` say `metadata`, as `document_filter` gave it; only in a callback."""
    st.session_state[f"{key}-filter-key"] = next(iter(metadata), None)
    for name, values in metadata.items():
        st.session_state[f"{key}-filter-values-{name}"] = list(values)
