"""Relations, roles and opinions as arcs over the text; long texts in pages."""

from __future__ import annotations

import streamlit as st

from core.types import AnnotatedDocument
from core.views.arcs import Line, Link, Word, graph_of, lines_of, shown
from core.views.arcs_svg import arcs_svg
from streamlit_app.components.cards import quote
from streamlit_app.components.picture import picture
from streamlit_app.i18n import t

COLUMNS = 40
"""Chinese characters on a line, which fit beside the inputs of a page on a screen of 1440 pixels."""
FEWEST, MOST = 16, 110
"""The shortest and the longest lines that a window of another width may ask for."""
LINES, ARCS = 24, 160
"""What one page of the picture holds at most."""


def relation_arcs(result: AnnotatedDocument, *, key: str, columns: int = COLUMNS) -> None:
    """Draw the lines of a text that something was found in, with an arc from each finding to what is below it.

    `columns`: the length of its lines until the browser has told how much room there is at such places.
    """
    text = result.document.text
    room = f"arcs-room-{columns}"
    columns = st.session_state.get(room, columns)
    words, links = graph_of(result.annotations)
    if not words:
        quote(text)
        return
    rows = shown(lines_of(text, words, links, columns=columns))
    pages = row_pages(rows)
    number = 1
    if len(pages) > 1:
        number = st.pagination(len(pages), key=f"{key}-arcs-page")
    chosen = pages[min(number, len(pages)) - 1]
    st.caption(_told(rows, chosen, words, links))
    picture(
        arcs_svg(text, chosen, words, links, fold=t("view.fold"), alt=t("view.arcs.alt", count=len(links))),
        key=f"{key}-arcs-{number}",
        columns=columns,
        on_fits=lambda fits: st.session_state.update({room: min(max(fits, FEWEST), MOST)}),
    )


def row_pages(rows: list[Line | int]) -> list[list[Line | int]]:
    """The rows in pages of at most `LINES` lines and, but for a single line with more, `ARCS` arcs."""
    pages: list[list[Line | int]] = [[]]
    lines = arcs = 0
    for row in rows:
        count = len(row.arcs) if isinstance(row, Line) else 0
        if lines and (lines + 1 > LINES or arcs + count > ARCS):
            pages.append([])
            lines = arcs = 0
        pages[-1].append(row)
        lines, arcs = lines + isinstance(row, Line), arcs + count
    return pages


def _told(rows: list[Line | int], chosen: list[Line | int], words: list[Word], links: list[Link]) -> str:
    left_out = sum(row for row in rows if isinstance(row, int))
    said = t("view.arcs", words=len(words), links=len(links))
    if len(chosen) < len(rows):
        lines = [row for row in chosen if isinstance(row, Line)]
        said += t("view.arcs.page", start=lines[0].start, end=lines[-1].end)
    return said + (t("view.arcs.left_out", count=left_out) if left_out else "")
