"""The text of a document with its findings marked: types to choose from, and pages where it is long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import streamlit as st

from core.rendering import STYLES, highlight
from core.types import Annotation
from core.views.findings import flat_spans
from core.views.text_pages import pages_of
from streamlit_app.components.messages import plain
from streamlit_app.i18n import t


def annotated_text(
    text: str, annotations: Sequence[Annotation], *, key: str, types: Iterable[str] = (), choose: bool = True
) -> None:
    """Draw `text` with `annotations`; everything of the user's is escaped by the renderer.

    `types` keep the colours of a schema; `choose`: types can be switched off.
    """
    found = flat_spans(annotations)
    counts = Counter(one.type for one in found)
    known = [*types, *sorted(counts)]
    if choose and len(counts) > 1:
        kept = _types(counts, key=key)
        found = [one for one in found if one.type in kept]
    pages = pages_of(text, ((one.start, one.end) for one in found if one.start is not None and one.end is not None))
    part = pages[0]
    if len(pages) > 1:
        number = st.pagination(len(pages), key=f"{key}-text-page-{len(pages)}")
        part = pages[number - 1]
        here = sum(1 for one in found if one.start is not None and part[0] <= one.start < part[1])
        st.caption(t("view.page", start=part[0], end=part[1], length=len(text), here=here, found=len(found)))
    with st.container(border=True):
        st.html(f"{STYLES}{highlight(text, found, types=known, part=part)}")


def _types(counts: Counter[str], *, key: str) -> set[str]:
    chosen = st.pills(
        t("view.types"),
        list(counts),
        selection_mode="multi",
        default=list(counts),
        format_func=lambda name: f"{plain(name)} {counts[name]}",
        # Another text or threshold has other types: a choice among the old ones would hide the new.
        key=f"{key}-types-{hash(tuple(counts))}",
        label_visibility="collapsed",
    )
    return set(chosen or ())
